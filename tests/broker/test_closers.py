"""Descriptors whose close waits for somebody: a file on a mount whose server hangs."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wire
from test_reload import reload
from wire import Connection, wait_for

SH = "sh -c #script\n  allow_any = script\n"
HERE = Path(__file__).resolve().parent


def closers(broker):
    found = []
    for child in broker.children():
        try:
            if Path(f"/proc/{child}/comm").read_text() == "sluice-closer\n":
                found.append(child)
        except FileNotFoundError:
            pass
    return found


def memory_file():
    return os.memfd_create("output", os.MFD_CLOEXEC)


def test_files_in_memory_are_written_and_closed(start_broker):
    broker = start_broker(SH)
    assert broker.call("sh", "-c", "exit 3").status == 3
    before = broker.descriptors()
    for number in range(20):
        fd = memory_file()
        assert broker.call("sh", "-c", f"echo {number}", stdout=fd).status == 0
        assert os.pread(fd, 100, 0) == f"{number}\n".encode()
        os.close(fd)
    assert 1 <= len(closers(broker)) <= 3
    wait_for(lambda: broker.descriptors() <= before + 6, "all to be closed")


def test_a_closer_that_takes_long_is_left_to_it(start_broker):
    broker = start_broker(SH)
    fd = memory_file()
    assert broker.call("sh", "-c", "exit 3", stdout=fd).status == 3
    first = wait_for(lambda: closers(broker), "a closer")[0]
    os.kill(first, signal.SIGSTOP)
    try:
        wait_for(lambda: " T " in Path(f"/proc/{first}/stat").read_text(), "it to stop")
        for _ in range(5):
            assert broker.call("sh", "-c", "exit 3", stdout=fd).status == 3
        wait_for(lambda: len(closers(broker)) >= 2, "another one")
        assert broker.call("nope", stdout=fd).status == -1
        event = reload(broker)
        assert "note" not in event
    finally:
        os.kill(first, signal.SIGCONT)
    assert broker.call("sh", "-c", "exit 3", stdout=fd).status == 3
    os.close(fd)


def test_a_closer_that_is_killed_is_replaced(start_broker):
    broker = start_broker(SH)
    fd = memory_file()
    broker.call("sh", "-c", "exit 3")
    for _ in range(3):
        assert broker.call("sh", "-c", "exit 3", stdout=fd).status == 3
        closer = wait_for(lambda: closers(broker), "a closer")[0]
        os.kill(closer, signal.SIGKILL)
        wait_for(lambda: closer not in closers(broker), "it to be gone")
    before = broker.descriptors()
    assert broker.call("sh", "-c", "exit 3", stdout=fd).status == 3
    assert broker.descriptors() <= before + 6
    os.close(fd)


def test_closers_end_with_the_broker(start_broker):
    broker = start_broker(SH)
    fd = memory_file()
    broker.call("sh", "-c", "exit 3", stdout=fd)
    os.close(fd)
    closer = wait_for(lambda: closers(broker), "a closer")[0]
    broker.process.kill()
    wait_for(lambda: not Path(f"/proc/{closer}").exists() or
             ") Z" in Path(f"/proc/{closer}/stat").read_text(), "it to end")


class HangingMount:
    """In a mount namespace of its own, which ends with it."""

    def __init__(self, folder):
        folder.mkdir()
        self.process = subprocess.Popen(
            ["unshare", "-m", sys.executable, str(HERE / "hanging_fuse.py"), str(folder)],
            stdout=subprocess.PIPE)
        self.mounted = self.process.stdout.readline() == b"mounted\n"
        self.path = f"/proc/{self.process.pid}/root{folder}/file"

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.skipif(os.getuid() != 0 or not os.path.exists("/dev/fuse"), reason="needs a mount")
def test_a_file_whose_server_hangs_delays_nobody(start_broker, home):
    broker = start_broker(SH + "  timeout = 500ms\n", "max_active = 4")
    hanging = HangingMount(home / "mount")
    if not hanging.mounted:
        hanging.end()
        pytest.skip("FUSE cannot be mounted here")
    # Its descriptors are closed only by the end of a process, which the end of the server lets go on.
    holder = os.fork()
    if holder == 0:
        try:
            fd = os.open(hanging.path, os.O_WRONLY)
            connections = []
            for argv in (["nope"], ["sh", "-c", "exit 0"], ["nope"], ["sh", "-c", "exit 0"]):
                connection = Connection(broker.socket)
                connection.send1(argv, stdin=fd, stdout=fd, stderr=fd)
                connections.append(connection)
            malformed = Connection(broker.socket)
            malformed.send(b"garbage", [fd] * 3)
            time.sleep(60)
        finally:
            os._exit(0)
    try:
        wait_for(lambda: len(broker.events("reject")) == 3, "the refusals")
        wait_for(lambda: len(broker.events("start")) >= 2, "the calls")
        for _ in range(20):
            began = time.monotonic()
            assert broker.call("sh", "-c", "exit 3").status == 3
            assert time.monotonic() - began < 2
        # The children cannot end: their output is being closed. They are given up on.
        wait_for(lambda: [e["status"] for e in broker.events("exit") if e["call"] in (2, 4)]
                 == [wire.TIMEOUT] * 2, "the calls to be answered")
        assert broker.status()["active"] == 0
        assert broker.call("sh", "-c", "exit 3").status == 3
    finally:
        hanging.end()
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
    wait_for(lambda: broker.status()["background"] == 0, "the processes to end")
    assert broker.stop() == 0
