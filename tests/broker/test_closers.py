"""What a caller brings or names can lie on a mount whose server does not answer. That keeps nobody else
waiting: not its close, not its opening, not what the kernel then does not let go."""
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wire
from abilities import can_look_into, can_mount
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
        except (FileNotFoundError, ProcessLookupError):
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
    assert 1 <= len(closers(broker)) <= 20  # one at once for each, and they are used again
    wait_for(lambda: broker.descriptors() <= before + 7, "all to be closed")


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
    assert broker.descriptors() <= before + 7
    os.close(fd)


def test_closers_end_with_the_broker(start_broker):
    broker = start_broker(SH)
    fd = memory_file()
    broker.call("sh", "-c", "exit 3", stdout=fd)
    os.close(fd)
    closer = wait_for(lambda: closers(broker), "a closer")[0]
    broker.process.kill()
    wait_for(lambda: not wire.is_alive(closer), "it to end")


class HangingMount:
    """In a mount namespace of its own, which ends with it."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.process = subprocess.Popen(
            ["unshare", "-m", sys.executable, str(HERE / "hanging_fuse.py"), str(folder)],
            stdout=subprocess.PIPE)
        self.holders = []
        self.mounted = self.process.stdout.readline() == b"mounted\n"
        self.path = f"/proc/{self.process.pid}/root{folder}/file"
        self.enter = ("nsenter", "-m", "-t", str(self.process.pid))

    def hold(self, act):
        """Runs act(descriptor of a file) in a process of its own that then stays: its descriptors are
        closed only by its end, which the end of the server lets go on."""
        holder = os.fork()
        if holder == 0:
            try:
                kept = act(os.open(self.path, os.O_WRONLY))
                time.sleep(120)
                del kept
            finally:
                os._exit(0)
        self.holders.append(holder)

    def hold_lock(self, act):
        """act(memory) in a process of its own, where the memory is not there until the end of the server:
        in a system call it keeps the locks that were taken."""
        holder = os.fork()
        if holder == 0:
            try:
                fd = os.open(f"{os.path.dirname(self.path)}/memory", os.O_RDWR)
                act(mmap.mmap(fd, mmap.PAGESIZE))
            finally:
                os._exit(0)
        self.holders.append(holder)
        assert self.waiting() == "read"

    def waiting(self):
        """Reads one line: somebody waits."""
        assert wire.is_readable(self.process.stdout, wire.PATIENCE)
        return self.process.stdout.readline().decode().strip()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        for holder in self.holders:
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
        self.holders = []


@pytest.fixture
def hanging(home):
    if not os.path.exists("/dev/fuse") or not can_mount():
        pytest.skip("mounts cannot be made here")
    mount = HangingMount(home / "mount")
    if not mount.mounted:
        mount.end()
        pytest.skip("FUSE cannot be mounted here")
    yield mount
    mount.end()


def calls_with(broker, fd, *commands):
    """One connection for each command, whose three descriptors are fd."""
    connections = []
    for argv in commands:
        connection = Connection(broker.socket)
        connection.send1(argv, stdin=fd, stdout=fd, stderr=fd)
        connections.append(connection)
    return connections


def serves_quickly(broker, times=10):
    for _ in range(times):
        began = time.monotonic()
        assert broker.call("sh", "-c", "exit 3").status == 3
        assert time.monotonic() - began < 2


def test_a_file_whose_server_hangs_delays_nobody(start_broker, hanging):
    broker = start_broker(SH + "  timeout = 500ms\n", "max_active = 4")

    def act(fd):
        connections = calls_with(broker, fd, ["nope"], ["sh", "-c", "exit 0"], ["nope"],
                                 ["sh", "-c", "exit 0"])
        malformed = Connection(broker.socket)
        malformed.send(b"garbage", [fd] * 3)
        return connections, malformed

    hanging.hold(act)
    wait_for(lambda: len(broker.events("reject")) == 3, "the refusals")
    wait_for(lambda: len(broker.events("start")) >= 2, "the calls")
    hung = [event["call"] for event in broker.events("start")[:2]]
    serves_quickly(broker)
    # The children cannot end: their output is being closed. They are given up on.
    for call in hung:
        event = broker.wait_event("exit", call=call)
        assert event["status"] == wire.TIMEOUT and "does not end" in event["error"]
    assert broker.status()["active"] == 0
    serves_quickly(broker, 1)
    hanging.end()
    wait_for(lambda: broker.status()["background"] == 0, "the processes to end")
    assert broker.stop() == 0


def test_a_waiting_calls_descriptors_are_in_no_table(start_broker, home):
    """A worker that is forked meanwhile would inherit and close them."""
    broker = start_broker(SH, "max_active = 1")
    first, second = Connection(broker.socket), Connection(broker.socket)
    first.send1(["sh", "-c", f"while [ ! -e {home}/gate ]; do sleep 0.01; done"])
    wait_for(lambda: broker.events("start"), "the first to run")
    fd = memory_file()
    second.send1(["sh", "-c", "echo here"], stdout=fd)
    wait_for(lambda: broker.status()["queued"] == 1, "the second to wait")

    def files():
        found = []
        for pid in [broker.pid, *broker.children()]:
            try:
                folder = f"/proc/{pid}/fd"
                found += [os.readlink(f"{folder}/{each}") for each in os.listdir(folder)]
            except OSError:
                pass
        return [link for link in found if "memfd:output" in link]

    if can_look_into(broker.pid):
        wait_for(lambda: not files(), "the descriptor to be closed")
    (home / "gate").touch()
    assert (first.reply().status, second.reply().status) == (0, 0)
    assert os.pread(fd, 100, 0) == b"here\n"
    os.close(fd)
    first.close()
    second.close()


def test_a_reload_leaves_what_hangs_behind(start_broker, hanging):
    broker = start_broker(SH)
    hanging.hold(lambda fd: calls_with(broker, fd, ["nope"]))
    assert hanging.waiting() == "close"
    wait_for(lambda: broker.rejects() == ["no_rule"], "the refusal")
    connection = Connection(broker.socket)
    os.utime(broker.binary)  # another time of change: the reload becomes it
    began = time.monotonic()
    event = reload(broker)
    assert "note" not in event and time.monotonic() - began < 10
    connection.send1(["sh", "-c", "exit 3"])
    assert connection.reply().status == 3
    connection.close()
    serves_quickly(broker)
    assert broker.stop() == 0


def test_what_hangs_does_not_keep_a_killed_brokers_socket(start_broker, hanging):
    """The next broker finds neither the lock held nor somebody listening."""
    broker = start_broker(SH)
    hanging.hold(lambda fd: calls_with(broker, fd, ["nope"]))
    assert hanging.waiting() == "close"
    wait_for(lambda: any(not os.listdir(f"/proc/{pid}/fd") for pid in closers(broker)),
             "the closer to be left with nothing")
    serves_quickly(broker)
    broker.kill()
    again = start_broker(SH)
    serves_quickly(again)


def test_files_that_hang_are_bounded(start_broker, hanging):
    """When every closer hangs, callers are refused, not served ever slower; afterwards it serves."""
    broker = start_broker(SH)
    hanging.hold(lambda fd: calls_with(broker, fd, *[["nope"]] * 60))
    wait_for(lambda: broker.call("sh", "-c", "exit 3").status == wire.BUSY, "the end of closers")
    reply = broker.call2("sh", "-c", "exit 3")
    assert reply.status == wire.BUSY and "being closed" in reply.text
    status = broker.status()
    assert status["active"] == 0
    hanging.end()
    wait_for(lambda: broker.call("sh", "-c", "exit 3").status == 3, "service again")
    serves_quickly(broker)
    assert broker.stop() == 0


def test_captured_output_to_a_file_that_hangs(start_broker, home, hanging):
    """Its copier hangs at the end; the call is over, and captures do not run out."""
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n", "max_active = 2")

    def act(fd):
        kept = []
        for _ in range(7):
            connection = Connection(broker.socket)
            connection.send1(["sh", "-c", "echo here"], stdout=fd)
            kept.append((connection, connection.reply().status))
        return kept

    hanging.hold(act)
    wait_for(lambda: len(broker.events("exit")) == 7, "the calls to end")
    assert {event["status"] for event in broker.events("exit")} == {0}
    assert all((home / "log" / f"{n}.out").read_bytes() == b"here\n" for n in range(1, 8))
    serves_quickly(broker)


PLACES = """cat #file
  file = .{1,100}
  fs_read = #file, @system, $HOME/mount
  cwd = $HOME

pwd
  cwd_from_caller = /.*

true
"""


@pytest.mark.parametrize("named", ["directory", "file"])
def test_a_path_whose_server_hangs_delays_nobody(start_broker, home, hanging, named):
    broker = start_broker(PLACES, wrapper=hanging.enter)
    with Connection(broker.socket) as connection:
        began = time.monotonic()
        if named == "directory":
            connection.send2(["pwd"], cwd=str(home / "mount" / "hang"))
        else:
            connection.send2(["cat", "mount/hang"])
        assert hanging.waiting() == "lookup"
        for _ in range(10):
            before = time.monotonic()
            assert broker.call("true").status == 0
            assert time.monotonic() - before < 2
        reply = connection.reply()
        assert reply.status == wire.SPAWN and "does not answer" in reply.text
        assert time.monotonic() - began > 4.5
    assert broker.rejects() == ["spawn: the file system of what the call names does not answer"]
    assert broker.status()["active"] == 0
    # Others of the same mount are served, though each is looked for by a process of its own.
    with wire.Output() as stdout:
        assert broker.call2("pwd", cwd=str(home / "mount" / "sub"), stdout=stdout).status == 0
        assert stdout.read() == f"{home}/mount/sub\n".encode()
    assert broker.call2("pwd", cwd=str(home / "mount" / "none")).status == wire.NO_RULE
    assert broker.rejects()[-1] == "cwd_not_allowed"


def test_a_caller_that_leaves_while_its_directory_hangs(start_broker, home, hanging):
    broker = start_broker("pwd\n  cwd_from_caller = /.*\n  on_disconnect = kill\n",
                          wrapper=hanging.enter)
    with Connection(broker.socket) as connection:
        connection.send2(["pwd"], cwd=str(home / "mount" / "hang"))
        assert hanging.waiting() == "lookup"
    wait_for(lambda: broker.rejects() == ["caller_gone"], "the refusal")
    assert broker.status()["active"] == 0


def test_a_reload_while_a_directory_hangs(start_broker, home, hanging):
    """The call is handed over as one that waits, and asks again."""
    broker = start_broker("pwd\n  cwd_from_caller = /.*\n\ntrue\n", wrapper=hanging.enter)
    with Connection(broker.socket) as connection:
        connection.send2(["pwd"], cwd=str(home / "mount" / "hang"))
        assert hanging.waiting() == "lookup"
        os.utime(broker.binary)
        assert "note" not in reload(broker)
        assert broker.call("true").status == 0
        hanging.end()
        reply = connection.reply()
        assert reply.status in (wire.NO_RULE, wire.SPAWN), reply.text
    assert len(broker.events("reject")) == 1


def test_more_directories_hang_than_there_are_openers(start_broker, home, hanging):
    broker = start_broker("pwd\n  cwd_from_caller = /.*\n\ntrue\n", "max_active = 100",
                          wrapper=hanging.enter)
    connections = []
    for _ in range(70):
        connection = Connection(broker.socket)
        connection.send2(["pwd"], cwd=str(home / "mount" / "hang"))
        connections.append(connection)
    wait_for(lambda: len(broker.rejects()) >= 6, "some to be refused")
    assert broker.call("true").status == 0
    assert [connection.reply().status for connection in connections] == [wire.SPAWN] * 70
    hanging.end()
    wait_for(lambda: broker.call2("pwd", cwd=str(home)).status == 0, "service")
    for connection in connections:
        connection.close()


# ---- the last close ------------------------------------------------------------------------------

class Stopped:
    """A broker that finds what is done meanwhile all at once."""

    def __init__(self, broker):
        self.broker = broker

    def __enter__(self):
        self.broker.signal(signal.SIGSTOP)
        wait_for(lambda: " T " in Path(f"/proc/{self.broker.pid}/stat").read_text(), "it to stop")

    def __exit__(self, *_):
        self.broker.signal(signal.SIGCONT)


class Lingering:
    """A TCP socket whose last close waits for two minutes: its peer does not read."""

    def __init__(self):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.socket.connect(listener.getsockname())
            self.peer = listener.accept()[0]
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 120))
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.send(bytes(65536))
        except BlockingIOError:
            pass

    def sent(self):
        """It has been sent to somebody, whose is the last now."""
        self.socket.close()


@pytest.fixture
def lingering():
    made = []

    def make():
        made.append(Lingering())
        return made[-1]

    yield make
    for each in made:
        each.peer.close()
        each.socket.close()


def test_a_lingering_socket_of_a_refused_caller_delays_nobody(start_broker, lingering):
    broker = start_broker(SH)
    connections = []
    for version in (1, 2, 1):
        held, connection = lingering(), Connection(broker.socket)
        with Stopped(broker):
            if version == 1:
                connection.send1(["nope"], stdout=held.socket.fileno())
            else:
                connection.send2(["nope"], stdout=held.socket.fileno())
            held.sent()
        serves_quickly(broker, 2)
        connections.append(connection)
    assert broker.rejects() == ["no_rule"] * 3
    assert broker.stop() == 0


def test_lingering_sockets_do_not_use_up_closers(start_broker, lingering):
    broker = start_broker(SH)
    connections = []
    with Stopped(broker):
        for _ in range(140):
            held, connection = lingering(), Connection(broker.socket)
            connection.send1(["nope"], stdout=held.socket.fileno())
            held.sent()
            connections.append(connection)
    assert {connection.reply().status for connection in connections} == {-1}
    # Those that have nothing to do go, but for one; those that are kept stay.
    wait_for(lambda: len(closers(broker)) <= 1, "the closers to have finished")
    serves_quickly(broker, 2)
    for connection in connections:
        connection.close()
    assert broker.stop() == 0


def test_a_lingering_socket_in_flight_delays_nobody(start_broker, lingering):
    """Within a Unix socket that is closed with it unread."""
    broker = start_broker(SH)
    held, connection = lingering(), Connection(broker.socket)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(ours, [b"x"], [held.socket.fileno()])
    with Stopped(broker):
        connection.send1(["nope"], stdout=theirs.fileno())
        held.sent()
        theirs.close()
        ours.close()
    serves_quickly(broker, 2)
    assert broker.stop() == 0


def test_a_lingering_socket_in_a_message_that_nobody_reads_delays_nobody(start_broker, lingering):
    """The answer to the first message ends the connection, with the second on it."""
    broker = start_broker(SH)
    for count in (1, 20):
        held, connection = lingering(), Connection(broker.socket)
        with Stopped(broker):
            connection.send1(["nope"])
            for _ in range(count):
                connection.send1(["nope"], stdout=held.socket.fileno())
            held.sent()
        serves_quickly(broker, 2)
        connection.close()
    assert broker.stop() == 0


def test_nor_does_one_in_what_came_before_a_reset(start_broker, lingering):
    """The kernel tells of a peer that closed with answers unread before what it had sent."""
    broker = start_broker(SH)
    held, connection = lingering(), Connection(broker.socket)
    connection.send2(["nope"])
    wait_for(lambda: broker.rejects() == ["no_rule"], "the refusal")
    with Stopped(broker):
        connection.send(b"garbage")
        for _ in range(20):
            connection.send2(["nope"], stdout=held.socket.fileno())
        held.sent()
        connection.close()
    serves_quickly(broker, 2)
    assert broker.stop() == 0


def test_a_lingering_socket_of_a_call_delays_nobody(start_broker, lingering, home):
    broker = start_broker(SH)
    held, connection = lingering(), Connection(broker.socket)
    with Stopped(broker):
        connection.send2(["sh", "-c", f"while [ ! -e {home}/gate ]; do sleep 0.01; done; exit 3"],
                         stdin=held.socket.fileno())
        held.sent()
    serves_quickly(broker, 2)
    (home / "gate").touch()
    assert connection.reply().status == 3
    # Nor the call itself, whose program may end before its worker has closed what it was given.
    for _ in range(10):
        held = lingering()
        with Stopped(broker):
            connection.send2(["sh", "-c", "exit 3"], stdin=held.socket.fileno())
            held.sent()
        assert connection.reply().status == 3
    connection.close()
    serves_quickly(broker, 2)
    assert broker.stop() == 0


def test_a_refused_callers_pipe_delays_nobody(start_broker, hanging):
    """Its last close waits for its lock, which somebody keeps who reads from it."""
    broker = start_broker(SH)
    reader, writer = os.pipe()
    os.write(writer, b"x" * 100)
    hanging.hold_lock(lambda memory: (os.close(writer), os.readv(reader, [memory])))
    connection = Connection(broker.socket)
    with Stopped(broker):
        connection.send1(["nope"], stdout=writer)
        os.close(writer)
    serves_quickly(broker)
    assert broker.rejects() == ["no_rule"]
    hanging.end()
    os.close(reader)
    assert broker.stop() == 0


def test_a_pipe_for_the_answer_delays_nobody(start_broker, hanging):
    broker = start_broker(SH)
    reader, writer = os.pipe()
    hanging.hold_lock(lambda memory: os.write(writer, memory))
    connection = Connection(broker.socket)
    connection.send2(["sh", "-c", "exit 0"], reply=writer)
    broker.wait_event("exit", status=0)
    serves_quickly(broker)
    hanging.end()
    os.close(writer)
    os.close(reader)
    assert broker.stop() == 0


def test_a_reply_that_its_sender_reads_too_delays_nobody(start_broker, hanging):
    """Whoever keeps a duplicate of the broker's end keeps its lock while it reads."""
    broker = start_broker(SH)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.send(b"x")
    hanging.hold_lock(lambda memory: theirs.recv_into(memory))
    connection = Connection(broker.socket)
    connection.send2(["sh", "-c", "read line"], stdin=connection.null, reply=theirs)
    broker.wait_event("start")
    mine.send(wire.frame2(wire.SIGNAL, struct.pack("<i", signal.SIGTERM)))
    serves_quickly(broker)
    hanging.end()
    mine.close()
    theirs.close()
    assert broker.stop() == 0
