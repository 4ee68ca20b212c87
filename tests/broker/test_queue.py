"""More calls than max_active: waiting in turn, refused beyond the queue, nobody starved."""
import os
import subprocess
import sys
import textwrap
import time

import pytest
import wire
from abilities import needs_others
from wire import BUSY, Connection, Output, wait_for

SH = "sh -c #script\n  allow_any = script\n"


def send(broker, script, version=1):
    connection = Connection(broker.socket)
    getattr(connection, f"send{version}")(["sh", "-c", script])
    return connection


def close(*connections):
    for connection in connections:
        connection.close()


def gate(home, name="gate"):
    """A script that runs until open_gate()."""
    return f"while [ ! -e {home}/{name} ]; do sleep 0.01; done"


def test_calls_wait_in_the_order_they_came(start_broker, home):
    broker = start_broker(SH, "max_active = 1\nqueue = 10")
    first = send(broker, gate(home))
    broker.wait_event("start")
    waiting = []
    for index in range(6):
        waiting.append(send(broker, f"echo {index} >> {home}/order; exit {index}", 1 + index % 2))
        wait_for(lambda: broker.status()["queued"] == index + 1, "the call to be queued")
    assert broker.status()["active"] == 1
    (home / "gate").touch()
    assert first.reply().status == 0
    assert [connection.reply().status for connection in waiting] == list(range(6))
    assert (home / "order").read_text().split() == ["0", "1", "2", "3", "4", "5"]
    close(first, *waiting)


def test_beyond_the_queue_is_busy(start_broker, home):
    broker = start_broker(SH, "max_active = 2\nqueue = 3")
    running = [send(broker, gate(home)) for _ in range(2)]
    wait_for(lambda: broker.status()["active"] == 2, "both to run")
    waiting = [send(broker, "exit 9") for _ in range(3)]
    wait_for(lambda: broker.status()["queued"] == 3, "the queue to be full")
    refused = [send(broker, "exit 9", version) for version in (1, 2)]
    for connection in refused:
        assert connection.reply().status == BUSY
    assert broker.rejects() == ["busy", "busy"]
    (home / "gate").touch()
    assert [c.reply().status for c in running + waiting] == [0, 0, 9, 9, 9]
    close(*running, *waiting, *refused)


def test_a_refusal_does_not_wait(start_broker, home):
    broker = start_broker(SH, "max_active = 1\nqueue = 3")
    first = send(broker, gate(home))
    broker.wait_event("start")
    assert broker.call("nope").status == -1
    with Connection(broker.socket) as connection:
        connection.send(wire.frame2(wire.LIST))
        assert connection.reply().status == 0
    (home / "gate").touch()
    assert first.reply().status == 0
    close(first)


@pytest.mark.measures_memory
def test_large_requests_wait_whole(start_broker, home):
    broker = start_broker("sh -c #script #words...\n  allow_any = script, words\n\n" + SH,
                          "max_active = 1\nqueue = 300")
    first = send(broker, gate(home))
    broker.wait_event("start")
    words = ["z" * 4000 for _ in range(40)]
    waiting = []
    for _ in range(20):
        connection = Connection(broker.socket)
        connection.send1(["sh", "-c", "exit $#", "sh", *words])
        waiting.append(connection)
    wait_for(lambda: broker.status()["queued"] == 20, "all to wait")
    assert broker.private_kib() > 2000
    (home / "gate").touch()
    assert first.reply().status == 0
    assert [c.reply().status for c in waiting] == [40] * 20
    close(first, *waiting)
    wait_for(lambda: broker.private_kib() < 1200, "the memory to be given back")


@pytest.mark.measures_memory
def test_the_memory_of_waiting_calls_is_bounded(start_broker, home):
    rules = "sh -c #script #words...\n  allow_any = script, words\n  allow_max = words:65536\n\n"
    broker = start_broker(rules + SH, "max_active = 1\nqueue = 4096")
    first = send(broker, gate(home))
    broker.wait_event("start")
    body = wire.body2(["sh", "-c", "exit 5", "sh", *["w" * 65536] * 15])
    waiting = []
    refused = 0
    for _ in range(80):
        memfd = wire.sealed_memfd(body)
        connection = Connection(broker.socket)
        connection.send(wire.frame2(wire.CALL, b"\1\0\0\0"), [*connection.standard(), memfd])
        os.close(memfd)
        waiting.append(connection)
    wait_for(lambda: broker.status().get("refused.busy", 0) > 0, "the bound to be reached")
    wait_for(lambda: broker.status()["queued"] + broker.status()["refused.busy"] == 80, "all")
    assert broker.private_kib() < 70 * 1024
    (home / "gate").touch()
    statuses = [connection.reply().status for connection in waiting]
    assert set(statuses) == {5, BUSY} and statuses.count(5) >= 60
    close(first, *waiting)
    wait_for(lambda: broker.private_kib() < 2000, "the memory to be given back")


def test_a_waiting_caller_that_leaves(start_broker, home):
    broker = start_broker(SH + "  on_disconnect = kill\n", "max_active = 1\nqueue = 3")
    first = send(broker, gate(home))
    broker.wait_event("start")
    second = send(broker, f"echo ran > {home}/ran")
    wait_for(lambda: broker.status()["queued"] == 1, "it to wait")
    close(second)
    wait_for(lambda: broker.status()["queued"] == 0, "it to be dropped")
    assert broker.rejects() == ["caller_gone"]
    (home / "gate").touch()
    assert first.reply().status == 0
    close(first)
    assert not (home / "ran").exists()


def test_a_waiting_call_of_a_caller_that_left_runs_by_default(start_broker, home):
    broker = start_broker(SH, "max_active = 1\nqueue = 3")
    first = send(broker, gate(home))
    broker.wait_event("start")
    second = send(broker, f"echo ran > {home}/ran")
    wait_for(lambda: broker.status()["queued"] == 1, "it to wait")
    close(second)
    (home / "gate").touch()
    assert first.reply().status == 0
    event = broker.wait_event("exit", call=2)
    assert event["caller_gone"] is True
    assert (home / "ran").exists()
    close(first)


def test_a_waiting_call_is_ended_by_a_signal(start_broker, home):
    broker = start_broker(SH, "max_active = 1\nqueue = 3")
    first = send(broker, gate(home))
    broker.wait_event("start")
    with send(broker, "exit 0", 2) as second:
        wait_for(lambda: broker.status()["queued"] == 1, "it to wait")
        second.signal(28)  # SIGWINCH ends nothing
        second.signal(2)
        assert second.reply().status == 130
    (home / "gate").touch()
    assert first.reply().status == 0
    close(first)


CALLER = """
import os, sys, json
sys.path.insert(0, sys.argv[1])
uid = int(sys.argv[2])
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
import wire
connections = []
for _ in range(int(sys.argv[4])):
    c = wire.Connection(sys.argv[3])
    c.send1(["sh", "-c", sys.argv[5]])
    connections.append(c)
print("sent", flush=True)
sys.stdin.readline()
print(json.dumps([c.reply().status for c in connections]), flush=True)
"""


class Caller:
    def __init__(self, broker, uid, count, script):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CALLER, os.path.dirname(wire.__file__), str(uid),
             str(broker.socket), str(count), script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"sent\n"

    def statuses(self):
        import json
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        statuses = json.loads(self.process.stdout.readline())
        self.process.wait(wire.PATIENCE)
        return statuses


@needs_others
def test_no_uid_starves_another(start_broker, home):
    broker = start_broker(SH, "max_active = 2\nqueue = 20")
    os.chmod(home, 0o711)
    os.chmod(broker.socket, 0o666)
    greedy = Caller(broker, 1, 22, f"while [ ! -e {home}/gate ]; do sleep 0.01; done")
    wait_for(lambda: broker.status()["queued"] == 20, "the greedy uid to fill the queue")
    # In the full queue it takes the places of the greedy one's last calls, ...
    modest = Caller(broker, 2, 2, "exit 7")
    wait_for(lambda: len(broker.rejects()) == 2, "two to make room")
    (home / "gate").touch()
    assert modest.statuses() == [7, 7]
    assert sorted(greedy.statuses()) == [BUSY, BUSY] + [0] * 20
    # ... and it is served in turn with the others, not after the twenty.
    starts = [event["uid"] for event in broker.events("start")]
    assert [at for at, uid in enumerate(starts) if uid == 2][1] <= 6, starts
    uids = [event["uid"] for event in broker.events("reject")]
    assert uids == [1, 1]
