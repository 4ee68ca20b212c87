"""Running out of descriptors, processes, memory and disk: the calls that it touches are refused with
the right status and reason, the broker stays up, and it serves again when the shortage is over."""
import os
import resource
import sys

import pytest
import wire
from abilities import FOREIGN_UID, needs_mount, needs_others
from conftest import Broker, with_defaults
from wire import AUDIT, BUSY, SPAWN, Connection, wait_for

SH = "sh -c #script\n  allow_any = script\n"


def limits(**soft_and_hard):
    def lower():
        for name, value in soft_and_hard.items():
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    return lower


def gate(home, name="gate"):
    return f"while [ ! -e {home}/{name} ]; do sleep 0.01; done"


@pytest.fixture
def start_limited(compile_rules, home):
    started = []

    def start(rules, defaults="", **how):
        broker = Broker(compile_rules(with_defaults(rules, defaults)), home, **how)
        started.append(broker)
        return broker

    yield start
    for broker in started:
        broker.kill()


@pytest.mark.parametrize("limit", [22, 24, 26, 28, 30, 34])
def test_descriptors_run_out_while_calls_run(start_limited, home, limit):
    """At each limit another step is the one that fails. None of them ends the broker or leaks."""
    broker = start_limited(SH, preexec=limits(NOFILE=limit))
    connections = []
    for _ in range(12):
        connection = Connection(broker.socket)
        connection.send1(["sh", "-c", f"{gate(home)}; exit 3"])
        connections.append(connection)
    wait_for(lambda: len(broker.events("start")) + len(broker.events("reject")) >= 12 or
             broker.status()["queued"] > 0, "all to be started or refused")
    (home / "gate").touch()
    statuses = [connection.reply().status for connection in connections]
    assert set(statuses) <= {3, BUSY, SPAWN}, statuses
    for connection in connections:
        connection.close()
    for event in broker.events("reject"):
        assert event["reason"] == "busy" or event["reason"].startswith("spawn: "), event
    for event in broker.events("exit"):
        assert event["status"] in (3, SPAWN), event
    wait_for(lambda: broker.status()["connections"] == 0, "the connections to be gone")
    wait_for(lambda: broker.call("sh", "-c", "exit 4").status == 4, "service")
    assert len(broker.events("start")) == len(broker.events("exit"))


@needs_others  # the limit counts every process of this user
def test_processes_run_out(start_limited, home):
    uid = FOREIGN_UID + os.getpid()

    def as_nobody():
        resource.setrlimit(resource.RLIMIT_NPROC, (6, 6))
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

    os.chown(home, uid, uid)
    broker = start_limited(SH, preexec=as_nobody)
    connections = []
    for _ in range(8):
        connection = Connection(broker.socket)
        connection.send2(["sh", "-c", f"{gate(home)}; exit 3"])
        connections.append(connection)
    wait_for(lambda: len(broker.events("exit")) + len(broker.events("reject")) >= 5, "refusals")
    os.close(os.open(home / "gate", os.O_CREAT | os.O_WRONLY, 0o644))
    replies = [connection.reply() for connection in connections]
    statuses = [reply.status for reply in replies]
    assert SPAWN in statuses and set(statuses) <= {3, 2, SPAWN}, statuses
    assert all(reply.text for reply in replies if reply.status == SPAWN)
    for connection in connections:
        connection.close()
    wait_for(lambda: broker.status()["active"] == 0, "all to be over")
    wait_for(lambda: broker.call("sh", "-c", "exit 4").status == 4, "service")
    assert len(broker.events("start")) == len(broker.events("exit"))


@pytest.mark.measures_memory
def test_memory_runs_out(start_limited, home):
    rules = "sh -c #script #words...\n  allow_any = script, words\n  allow_max = words:65536\n\n" + SH
    broker = start_limited(rules, "max_active = 1\nqueue = 4096",
                           preexec=limits(AS=64 * 1024 * 1024))
    first = Connection(broker.socket)
    first.send1(["sh", "-c", gate(home)])
    broker.wait_event("start")
    body = wire.body2(["sh", "-c", "exit 5", "sh", *["w" * 65536] * 15])
    waiting = []
    for _ in range(60):
        memfd = wire.sealed_memfd(body)
        connection = Connection(broker.socket)
        connection.send(wire.frame2(wire.CALL, b"\1\0\0\0"), [*connection.standard(), memfd])
        os.close(memfd)
        waiting.append(connection)
    wait_for(lambda: broker.status()["queued"] + broker.status().get("refused.busy", 0) == 60,
             "all to wait or be refused")
    assert broker.status()["refused.busy"] > 0
    (home / "gate").touch()
    assert first.reply().status == 0
    statuses = [connection.reply().status for connection in waiting]
    assert set(statuses) <= {5, BUSY, SPAWN} and 5 in statuses
    for connection in [first, *waiting]:
        connection.close()
    wait_for(lambda: broker.call("sh", "-c", "exit 4").status == 4, "service")


def test_a_file_size_limit_does_not_kill_the_broker(start_limited):
    """SIGXFSZ would; the write fails instead, and strict audit refuses the calls it cannot record."""
    broker = start_limited(SH, preexec=limits(FSIZE=1500))
    statuses = [broker.call("sh", "-c", "exit 3").status for _ in range(12)]
    assert statuses[0] == 3 and statuses[-1] == AUDIT
    assert broker.status()["audit"] == "unhealthy"


def small_disk(size):
    """Runs the broker with a small file system under its logs, in a mount namespace of its own."""
    return ("unshare", "-m", "sh", "-c",
            f'mkdir -p "$HOME/log" && mount -t tmpfs -o size={size},mode=0700 none "$HOME/log" && '
            'exec "$@"', "sh")


@needs_mount
def test_the_disk_fills_and_is_emptied(start_limited, home):
    broker = start_limited(SH, wrapper=small_disk("128k"))
    log = f"/proc/{broker.pid}/root{home}/log"
    assert broker.call("sh", "-c", "exit 3").status == 3
    with open(f"{log}/filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 512)
        except OSError:
            pass
    statuses = [broker.call("sh", "-c", "exit 3").status for _ in range(60)]
    assert statuses[-1] == AUDIT
    assert broker.status()["audit"] == "unhealthy"
    os.unlink(f"{log}/filler")
    wait_for(lambda: broker.call("sh", "-c", "exit 3").status == 3, "service again")
    assert broker.status()["audit"] == "healthy"
    with open(f"{log}/manifest.jsonl") as manifest:
        text = manifest.read()
    assert '"kind":"healthy"' in text
    assert all(line.startswith("{") and line.endswith("}") for line in text.splitlines())


def test_standard_error_that_nobody_reads(compile_rules, home):
    """A full pipe on standard error stops nothing."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(write, True)
    broker = Broker(compile_rules(with_defaults(SH)), home, pass_fds=[write], wrapper=(
        sys.executable, "-c", f"import os, sys; os.dup2({write}, 2); os.execv(sys.argv[1], "
        "sys.argv[1:])"))
    for _ in range(20):
        broker.signal(10)  # SIGUSR1
        assert broker.call("sh", "-c", "exit 3").status == 3
    os.close(read)  # now writing there is EPIPE, and SIGPIPE
    os.close(write)
    broker.signal(10)
    assert broker.call("sh", "-c", "exit 3").status == 3
    broker.kill()
