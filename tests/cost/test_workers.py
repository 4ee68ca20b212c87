"""Workers are forked when more calls run than ever before, and then kept: forking one costs more than
a call."""

import array
import os
import socket
import struct
from pathlib import Path

from conftest import Served, compile_rules

AT_ONCE = 64  # max_active, where a policy does not set it
CAT = struct.pack("<IIIIII", 0x534C4358, 2, 1, 0, 1, 8) + b"/bin/cat" + struct.pack("<II", 0, 0)


def workers(served):
    return {pid for pid in children_of(served.process.pid) if name_of(pid) == "sluice-worker"}


def burst(path):
    """As many calls as may run at once, all of them running before the first one ends."""
    read, write = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    connections = []
    outputs = os.pipe()
    for _ in range(AT_ONCE):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendmsg([CAT], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                    array.array("i", [read, outputs[1], null]))])
        connections.append(connection)
    yield
    for descriptor in (read, write, null, *outputs):
        os.close(descriptor)
    for connection in connections:
        assert struct.unpack("<i", connection.recv(65536)[8:12])[0] == 0
        connection.close()


def children_of(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def running(served):
    """Programs, that is: not the children that wait for calls, which have their worker's name."""
    return [child for worker in workers(served) for child in children_of(worker)
            if name_of(child) == "cat"]


def run_burst(served, wait):
    calls = burst(served.path)
    next(calls)
    wait(lambda: len(running(served)) >= AT_ONCE)
    next(calls, None)
    wait(lambda: not running(served))
    return workers(served)


def test_a_second_burst_forks_no_worker(tmp_path, wait):
    broker = compile_rules(tmp_path, "/bin/cat\n")
    served = Served(tmp_path, broker, [])
    try:
        first = run_burst(served, wait)
        assert len(first) >= AT_ONCE
        # Where all are taken, one is forked ahead of need; nothing else is.
        assert len(run_burst(served, wait) - first) <= 1
    except BaseException:
        served.process.kill()
        raise
    served.stop()
