"""A broker whose every rule is confined confines itself as well, and still does all that it must."""
import os
import signal
import socket
from pathlib import Path

import pytest
import wire
from conftest import with_defaults
from test_reload import install, reload
from wire import Connection, Output, wait_for

STRICT = """
sh -c #script
  allow_any = script
  timeout = 20s
  stdoutfile = $HOME/log/#$call.out
"""

DEFAULTS = "syscalls = strict\nfs_exec = @system\nfs_read = @dev\nmax_active = 2"


@pytest.fixture
def broker(start_broker):
    return start_broker(STRICT, DEFAULTS)


def status_field(broker, name):
    text = Path(f"/proc/{broker.pid}/status").read_text()
    return [line for line in text.splitlines() if line.startswith(name + ":")][0].split()[1]


def test_it_gives_up_what_it_does_not_need(broker):
    assert status_field(broker, "NoNewPrivs") == "1"
    assert status_field(broker, "Seccomp") == "2"
    assert int(status_field(broker, "CapEff"), 16) == 0


def test_it_serves(broker, home):
    reply, output = broker.output("sh", "-c", "echo fine; exit 3")
    assert (reply.status, output) == (3, b"fine\n")
    assert (home / "log" / "1.out").read_bytes() == b"fine\n"
    with Connection(broker.socket) as connection:
        end, fd = os.pipe()
        connection.send2(["sh", "-c", "exit 4"], reply=fd)
        os.close(fd)
        assert len(os.read(end, 100)) == 16
        os.close(end)
        connection.send2(["sh", "-c", "trap 'exit 5' TERM; echo; while :; do :; done"],
                         stdout=(output := Output()))
        output.close_writer()
        assert os.read(output.end, 1) == b"\n"
        connection.signal(signal.SIGTERM)
        assert connection.reply().status == 5
        connection.send2(["nope"])
        assert connection.reply().status == -1
        memfd = wire.sealed_memfd(wire.body2(["sh", "-c", "exit 6"]))
        connection.send(wire.frame2(wire.CALL, b"\1\0\0\0"), [*connection.standard(), memfd])
        os.close(memfd)
        assert connection.reply().status == 6
    assert broker.status()["audit"] == "healthy"


def test_calls_wait_and_time_out_and_end_with_their_trees(start_broker, home):
    broker = start_broker(STRICT.replace("20s", "500ms"), DEFAULTS)
    script = "(trap '' TERM; while :; do sleep 0.05; done) & sleep 300"
    connections = []
    for _ in range(4):
        connection = Connection(broker.socket)
        connection.send1(["sh", "-c", script])
        connections.append(connection)
    assert [connection.reply().status for connection in connections] == [wire.TIMEOUT] * 4
    for connection in connections:
        connection.close()
    wait_for(lambda: broker.status()["background"] == 0, "the trees to be gone")


def test_the_trail_is_reopened(broker):
    broker.call("sh", "-c", "exit 0")
    os.rename(broker.manifest, broker.manifest.with_suffix(".1"))
    event = reload(broker)
    assert "note" not in event
    assert broker.call("sh", "-c", "exit 0").status == 0
    assert len(broker.events("start")) == 1


def test_an_equal_one_takes_its_place(broker, compile_rules):
    with Connection(broker.socket) as connection, Output() as output:
        connection.send1(["sh", "-c", "read x; echo $x; exit 7"], stdin=(stdin := os.pipe())[0],
                         stdout=output)
        broker.wait_event("start")
        install(broker, compile_rules(with_defaults(
            STRICT + "\ntrue\n  timeout = 20s\n", DEFAULTS)))
        event = reload(broker)
        assert "note" not in event, event
        os.write(stdin[1], b"hello\n")
        assert connection.reply().status == 7
        assert output.read() == b"hello\n"
        os.close(stdin[0])
        os.close(stdin[1])
    assert broker.call("true").status == 0
    assert broker.stop() == 0
    assert not broker.socket.exists()


def test_one_that_needs_more_is_refused(broker, compile_rules):
    install(broker, compile_rules(with_defaults(STRICT, "max_active = 2")))
    event = reload(broker)
    assert "restart" in event["note"]
    assert broker.call("sh", "-c", "exit 3").status == 3


def capturing(count, directory):
    """Rules whose output goes to directory(number)."""
    return "".join(f"echo n{number}\n  timeout = 20s\n"
                   f"  stdoutfile = $HOME/{directory(number)}/#$call.out\n"
                   f"  stderrfile = $HOME/errors/#$call.err\n" for number in range(count))


def restriction_note(broker):
    return [line for line in broker.stderr().splitlines()
            if "not restricted in the file system" in line]


def test_many_rules_may_share_few_directories(start_broker, home):
    broker = start_broker(capturing(80, lambda number: f"out{number % 2}"), DEFAULTS)
    assert restriction_note(broker) == []
    for number in (0, 79):
        assert broker.output("echo", f"n{number}")[1] == f"n{number}\n".encode()
    assert (home / "out0" / "1.out").read_bytes() == b"n0\n"
    assert (home / "out1" / "2.out").read_bytes() == b"n79\n"


def test_more_directories_than_it_counts_leave_the_restriction_out_and_say_so(start_broker, home):
    broker = start_broker(capturing(80, lambda number: f"out{number}"), DEFAULTS)
    (note,) = restriction_note(broker)
    assert "more than 64 directories" in note
    for call, number in enumerate((0, 63, 64, 79), 1):
        assert broker.output("echo", f"n{number}")[1] == f"n{number}\n".encode()
        assert (home / f"out{number}" / f"{call}.out").read_bytes() == f"n{number}\n".encode()


REACHING = "cat -- #file\n  file = @under({home}/a)\n  timeout = 20s\n"


@pytest.mark.parametrize("keys, follows", [
    ("fs_read = $HOME/a, $HOME/b", False),
    ("fs_read = $HOME/a\nexec_path = /usr/bin:/bin:/opt", False),
    ("fs_read = $HOME/a\nmax_active = 2", True)])
def test_one_that_reaches_further_is_refused(start_broker, compile_rules, home, keys, follows):
    """A broker that is restricted in the file system stays so: its successor would fail at each call."""
    for name in "ab":
        (home / name).mkdir()
        (home / name / "f").write_text(name)
    rules = REACHING.format(home=home)
    broker = start_broker(rules, "fs_read = $HOME/a")
    install(broker, compile_rules(with_defaults(rules, keys)))
    event = reload(broker)
    assert ("restart" in event.get("note", "")) != follows, event
    assert broker.output("cat", "--", f"{home}/a/f")[1] == b"a"


def test_one_that_is_not_restricted_may_reach_further(start_broker, compile_rules, home):
    """Where a slot names files (or workers change mounts) the broker has no such restriction."""
    for name in "ab":
        (home / name).mkdir()
        (home / name / "f").write_text(name)
    rules = "cat -- #file\n  file = @relpath\n  cwd = $HOME/{0}\n  fs_read = #file\n  timeout = 20s\n"
    broker = start_broker(rules.format("a"))
    assert broker.output("cat", "--", "f")[1] == b"a"
    install(broker, compile_rules(with_defaults(rules.format("b") + "\ncat -- #more #file\n"
                                                "  more, file = @relpath\n".replace(
                                                    "more, file = @relpath",
                                                    "more = @relpath\n  file = @relpath") +
                                                "  cwd = $HOME/b\n  fs_read = $HOME/b\n"
                                                "  timeout = 20s\n")))
    event = reload(broker)
    assert "note" not in event, event
    assert broker.output("cat", "--", "f")[1] == b"b"


def test_a_program_in_the_home_directory(start_broker, home):
    (home / "bin").mkdir()
    tool = home / "bin" / "tool"
    tool.write_text("#!/bin/sh\necho ran\n")
    tool.chmod(0o755)
    broker = start_broker("$HOME/bin/tool\n  fs_exec = @system\n")
    assert status_field(broker, "Seccomp") == "2"
    assert broker.output(str(tool))[1] == b"ran\n"


def test_new_privs_need_a_restart(start_broker, compile_rules):
    broker = start_broker("true\n")
    install(broker, compile_rules(with_defaults("true\n  new_privs = allow\n")))
    event = reload(broker)
    assert "privileges" in event["note"] or "no_new_privs" in event["note"], event
    assert broker.call("true").status == 0


def test_a_killed_worker_leaves_nothing_there_either(broker, home):
    with Connection(broker.socket) as connection, Output() as output:
        connection.send2(["sh", "-c", "sleep 250 & echo $! $PPID; wait"], stdout=output)
        output.close_writer()
        child, worker = map(int, os.read(output.end, 100).split())
        os.kill(worker, signal.SIGKILL)
        assert connection.reply().status == wire.SPAWN
    wait_for(lambda: not wire.is_alive(child), "the child to be gone")


def test_a_version_2_connection_through_a_reload(broker, compile_rules):
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Connection(broker.socket) as connection:
        connection.send2(["sh", "-c", "sleep 0.5; exit 8"], reply=theirs)
        theirs.close()
        broker.wait_event("start")
        install(broker, compile_rules(with_defaults(
            STRICT + "\nfalse\n  timeout = 20s\n", DEFAULTS)))
        reload(broker)
        assert wire.receive_reply(mine).status == 8
        connection.send2(["false"])
        assert connection.reply().status == 1
