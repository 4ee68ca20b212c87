"""Output that is captured: to the caller and to the file, unchanged, whoever is slow or gone."""
import fcntl
import hashlib
import os
import pty
import signal
import stat
import threading
import time
from pathlib import Path

import pytest
from abilities import needs_mount
from wire import Connection, Output, wait_for

F_SETPIPE_SZ = 1031  # linux/fcntl.h; Python knows it from 3.10 on
SH = "sh -c #script\n  allow_any = script\n"
BOTH = SH + "  stdoutfile = $HOME/log/#$call.out\n  stderrfile = $HOME/log/#$call.err\n"


def out(home, call=1, kind="out"):
    return home / "log" / f"{call}.{kind}"


def test_both_streams_go_both_ways(start_broker, home):
    broker = start_broker(BOTH)
    with Output() as stdout, Output() as stderr:
        reply = broker.call("sh", "-c", "echo one; echo two >&2; echo three", stdout=stdout,
                            stderr=stderr)
        assert reply.status == 0
        assert stdout.read() == b"one\nthree\n"
        assert stderr.read() == b"two\n"
    assert out(home).read_bytes() == b"one\nthree\n"
    assert out(home, kind="err").read_bytes() == b"two\n"
    assert stat.S_IMODE(out(home).stat().st_mode) == 0o600
    start, event = broker.events("start")[0], broker.wait_event("exit")
    assert (start["stdout"], start["stderr"]) == (str(out(home)), str(out(home, kind="err")))
    assert (event["stdout_bytes"], event["stderr_bytes"]) == (10, 4)


def test_much_output_is_whole_on_both_sides(start_broker, home):
    broker = start_broker(BOTH)
    size = 30_000_000
    digest, count = hashlib.sha256(), 0
    with Connection(broker.socket) as connection, Output() as stdout:
        connection.send1(["sh", "-c", f"head -c {size} /dev/urandom"], stdout=stdout)
        stdout.close_writer()
        while part := os.read(stdout.end, 1 << 20):
            digest.update(part)
            count += len(part)
        assert connection.reply().status == 0
    assert count == size
    assert broker.wait_event("exit")["stdout_bytes"] == size
    assert hashlib.sha256(out(home).read_bytes()).digest() == digest.digest()


def test_more_than_a_pipe_holds_before_anybody_reads(start_broker, home):
    """64 KiB + 1: waiting for the child's end before reading its output would hang here."""
    broker = start_broker(BOTH)
    with Connection(broker.socket) as connection, Output() as stdout:
        connection.send1(["sh", "-c", "head -c 65537 /dev/zero"], stdout=stdout)
        assert stdout.read() == bytes(65537)
        assert connection.reply().status == 0


def test_a_callers_nonblocking_descriptor_loses_nothing(start_broker, home):
    broker = start_broker(BOTH)
    with Connection(broker.socket) as connection, Output() as stdout:
        os.set_blocking(stdout.fd, False)
        connection.send1(["sh", "-c", "head -c 1000000 /dev/zero"], stdout=stdout)
        stdout.close_writer()
        time.sleep(0.3)  # the pipe is full by now
        total = 0
        while part := os.read(stdout.end, 4096):
            total += len(part)
        assert total == 1000000
        assert connection.reply().status == 0
    assert broker.wait_event("exit")["stdout_bytes"] == 1000000


def test_a_caller_that_closed_its_end_does_not_stop_the_capture(start_broker, home):
    broker = start_broker(BOTH)
    with Connection(broker.socket) as connection:
        end, fd = os.pipe()
        connection.send1(["sh", "-c", "echo first; sleep 0.2; echo second"], stdout=fd)
        os.close(fd)
        assert os.read(end, 100) == b"first\n"
        os.close(end)
        assert connection.reply().status == 0
    assert out(home).read_bytes() == b"first\nsecond\n"
    event = broker.wait_event("exit")
    assert event["stdout_bytes"] == 13 and "truncated" not in event


def test_a_slow_caller_stalls_its_own_child_only(start_broker, home):
    broker = start_broker(BOTH, "max_active = 4")
    end, fd = os.pipe()
    stalled = Connection(broker.socket)
    stalled.send1(["sh", "-c", "yes | head -c 3000000"], stdout=fd)
    os.close(fd)
    broker.wait_event("start")
    for _ in range(5):
        reply, output = broker.output("sh", "-c", "echo quick")
        assert (reply.status, output) == (0, b"quick\n")
    total = 0
    while part := os.read(end, 65536):
        total += len(part)
    assert total == 3000000
    assert stalled.reply().status == 0
    os.close(end)
    stalled.close()


def test_the_answer_does_not_wait_for_a_caller_that_does_not_read(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  timeout = 1500ms\n",
                          "max_active = 1\nqueue = 0")
    end, fd = os.pipe()
    with Connection(broker.socket) as connection:
        # more than the caller's pipe holds, less than that and the child's together
        connection.send1(["sh", "-c", "head -c 100000 /dev/zero"], stdout=fd)
        began = time.monotonic()
        assert connection.reply().status == 0
        assert time.monotonic() - began < 1.4
    # it keeps no slot
    assert broker.call("sh", "-c", "exit 3").status == 3
    # all of it is in the file; the caller never took it
    event = broker.wait_event("exit", call=1)
    assert event["stdout_bytes"] == 100000 and event["drain_timeout"] is True
    assert len(out(home).read_bytes()) == 100000
    os.close(end)
    os.close(fd)


def copiers(broker):
    return [pid for pid in broker.children() if Path(f"/proc/{pid}/comm").read_text() ==
            "sluice-capture\n"]


def sleeps(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def test_what_a_copier_takes_with_it_is_told(start_broker, home):
    """One that cannot obey, here a stopped one, is killed in the end."""
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  timeout = 500ms\n")
    with Output() as stdout, Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", f"echo one; while [ ! -e {home}/gate ]; do sleep 0.01; done; "
                          "echo two"], stdout=stdout)
        assert os.read(stdout.end, 100) == b"one\n"
        copier, = copiers(broker)
        # The caller has it before the file does, and that before it is counted.
        wait_for(lambda: out(home).read_bytes() == b"one\n" and sleeps(copier), "it to be counted")
        os.kill(copier, signal.SIGSTOP)
        (home / "gate").touch()
        connection.reply()
    event = broker.wait_event("exit", call=1)
    assert event["truncated"] is True and event["drain_timeout"] is True
    assert event["stdout_bytes"] == 4
    assert out(home).read_bytes() == b"one\n"
    unhealthy = broker.wait_event("unhealthy")
    assert str(out(home)) in unhealthy["reason"]
    wait_for(lambda: broker.call("sh", "-c", "exit 3").status == 3, "service again")


def test_a_caller_that_reads_loses_nothing_to_those_that_do_not(start_broker, home):
    """A copier that a busy machine does not let run makes its call look as if its caller did not read."""
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n", "max_active = 1\nqueue = 0")
    waiting = f"while [ ! -e {home}/gate ]; do sleep 0.01; done"
    end, fd = os.pipe()
    with Connection(broker.socket) as reader, Connection(broker.socket) as other, Output() as stdout:
        reader.send1(["sh", "-c", f"echo one; {waiting}; echo two"], stdout=stdout)
        stdout.close_writer()
        assert os.read(stdout.end, 100) == b"one\n"
        copier, = copiers(broker)
        os.kill(copier, signal.SIGSTOP)
        try:
            (home / "gate").touch()
            assert reader.reply().status == 0  # by the patience of the answer
            # another takes nothing, and wants the place in the background
            other.send1(["sh", "-c", "head -c 100000 /dev/zero"], stdout=fd)
            assert other.reply().status == 0
        finally:
            os.kill(copier, signal.SIGCONT)
        assert stdout.read() == b"two\n"
    event = broker.wait_event("exit", call=1)
    assert event["stdout_bytes"] == 8 and "drain_timeout" not in event
    os.close(end)
    os.close(fd)


@pytest.mark.parametrize("at_once", [False, True], ids=["one after another", "all at once"])
@pytest.mark.parametrize("max_active", [1, 2])
def test_callers_that_do_not_read_keep_no_slots(start_broker, home, max_active, at_once):
    """More of them than there are slots and places in the background together, and no timeout."""
    count = 2 * max_active + 3
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n",
                          f"max_active = {max_active}\nqueue = {count}")
    pipes = [os.pipe() for _ in range(count)]
    connections = []
    for _, fd in pipes:
        connections.append(Connection(broker.socket))
        connections[-1].send1(["sh", "-c", "head -c 100000 /dev/zero"], stdout=fd)
        if not at_once:
            assert connections[-1].reply().status == 0
    if at_once:
        assert [connection.reply().status for connection in connections] == [0] * count
    wait_for(lambda: broker.status()["active"] == 0, "the slots to be free")
    assert broker.status()["background"] <= max_active
    for end, fd in pipes:
        os.close(end)
        os.close(fd)
    wait_for(lambda: len(broker.events("exit")) == count, "all to be over")
    assert sorted(event["call"] for event in broker.events("exit")) == list(range(1, count + 1))
    for number in range(1, count + 1):
        assert out(home, number).stat().st_size == 100000
    for connection in connections:
        connection.close()


def test_room_that_is_not_there_at_once_is_looked_for_again(start_broker, home):
    """Nothing tells the broker that a copier, at last, waits for its caller."""
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n", "max_active = 1\nqueue = 1")
    waiting = f"while [ ! -e {home}/gate ]; do sleep 0.01; done"
    much = "head -c 20000 /dev/zero"  # more than a caller's pipe holds here, less than the child's
    pipes = [os.pipe() for _ in range(2)]
    for _, fd in pipes:
        fcntl.fcntl(fd, F_SETPIPE_SZ, 4096)
    with Connection(broker.socket) as first, Connection(broker.socket) as second, \
            Connection(broker.socket) as third:
        first.send1(["sh", "-c", f"echo one; {waiting}; {much}"], stdout=pipes[0][1])
        assert os.read(pipes[0][0], 100) == b"one\n"
        copier, = [pid for pid in broker.children() if Path(f"/proc/{pid}/comm").read_text() ==
                   "sluice-capture\n"]
        os.kill(copier, signal.SIGSTOP)
        try:
            (home / "gate").touch()
            assert first.reply().status == 0
            second.send1(["sh", "-c", much], stdout=pipes[1][1])
            assert second.reply().status == 0
            third.send1(["sh", "-c", "exit 3"])
            wait_for(lambda: broker.status()["queued"] == 1, "the third to wait")
            assert broker.status()["active"] == 1
        finally:
            os.kill(copier, signal.SIGCONT)
        assert third.reply().status == 3
    event = broker.wait_event("exit", call=1)
    assert event["stdout_bytes"] == 20004 and event["drain_timeout"] is True
    for end, fd in pipes:
        os.close(end)
        os.close(fd)


def test_output_that_nobody_takes_ends_with_the_timeout(start_broker, home):
    """Its processes are gone, and nothing else needs its place: the timeout alone ends it."""
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  timeout = 500ms\n",
                          "max_active = 4")
    end, fd = os.pipe()
    with Connection(broker.socket) as connection:
        began = time.monotonic()
        connection.send1(["sh", "-c", "head -c 100000 /dev/zero"], stdout=fd)
        assert connection.reply().status == 0
    event = broker.wait_event("exit", call=1)
    assert time.monotonic() - began > 2.4
    assert event["stdout_bytes"] == 100000 and event["drain_timeout"] is True
    assert len(out(home).read_bytes()) == 100000
    wait_for(lambda: broker.status()["background"] == 0, "the call to be forgotten")
    os.close(end)
    os.close(fd)


# More than a terminal holds that nobody reads, less than the pipe before it does.
LINES = "yes | head -c 60000"


def test_a_terminal_that_nobody_reads_loses_the_file_nothing(start_broker, home):
    """A terminal says that it can be written while a write would wait."""
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  timeout = 4s\n")
    end, fd = pty.openpty()
    # What comes once the terminal is full stays in the pipe.
    script = ("yes | head -c 20000; "
              f"while [ $(stat -c %s {out(home)}) -lt 20000 ]; do sleep 0.01; done; "
              "yes | head -c 40000")
    assert broker.call("sh", "-c", script, stdout=fd).status == 0
    event = broker.wait_event("exit", call=1)
    assert event["stdout_bytes"] == 60000 and event["drain_timeout"] is True
    assert "truncated" not in event
    assert out(home).read_bytes() == b"y\n" * 30000
    os.close(end)
    os.close(fd)


def test_terminals_that_nobody_reads_make_room_for_each_other(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n", "max_active = 1\nqueue = 0")
    terminals = [pty.openpty() for _ in range(2)]
    for _, fd in terminals:
        assert broker.call("sh", "-c", LINES, stdout=fd).status == 0
    # The second wants the first one's place in the background.
    event = broker.wait_event("exit", call=1)
    assert event["stdout_bytes"] == 60000 and "truncated" not in event
    assert out(home).read_bytes() == b"y\n" * 30000
    for ends in terminals:
        for end in ends:
            os.close(end)


def test_a_background_process_delays_no_answer(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  timeout = 30s\n",
                          "max_active = 1\nqueue = 0")
    times = []
    for number in range(1, 4):
        began = time.monotonic()
        with Output() as stdout:
            reply = broker.call("sh", "-c", f"(while [ ! -e {home}/gate ]; do sleep 0.02; done; "
                                "echo late) & echo early", stdout=stdout)
            times.append(time.monotonic() - began)
            assert reply.status == 0
            os.set_blocking(stdout.end, False)
            assert os.read(stdout.end, 100) == b"early\n"
            if number == 1:
                (home / "gate").touch()
                event = broker.wait_event("exit", call=1)
                assert event["stdout_bytes"] == 11
            (home / "gate").unlink(missing_ok=True)
            if number > 1:
                (home / "gate").touch()
                broker.wait_event("exit", call=number)
                (home / "gate").unlink()
        wait_for(lambda: broker.status()["background"] == 0, "it to be over")
    assert min(times) < 0.15  # not 200 ms each
    assert out(home).read_bytes() == b"early\nlate\n"


def test_a_background_process_is_cut_off_after_the_timeout(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  timeout = 500ms\n"
                          "  kill = group\n")
    script = "setsid sh -c 'while :; do echo x; sleep 0.05; done' & sleep 0.1"
    began = time.monotonic()
    assert broker.call("sh", "-c", script).status == 0
    event = broker.wait_event("exit")
    assert event["drain_timeout"] is True and event["status"] == 0
    assert 2.4 < time.monotonic() - began < 20
    # nobody reads the pipe any more: the process ends by SIGPIPE at its next word
    wait_for(lambda: broker.status()["background"] == 0, "it to be over")


def test_calls_that_share_a_file_do_not_split_lines(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/log/shared\n")
    lines = 300

    def one(name):
        line = name * 3000
        script = f"i=0; while [ $i -lt {lines} ]; do echo {line}; i=$((i+1)); done"
        with Output() as stdout, Connection(broker.socket) as connection:
            connection.send1(["sh", "-c", script], stdout=stdout)
            stdout.read()
            assert connection.reply().status == 0

    threads = [threading.Thread(target=one, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = (home / "log" / "shared").read_text().splitlines()
    assert len(written) == 3 * lines
    assert set(written) == {name * 3000 for name in "abc"}


def test_unsafe_capture_directories(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/open/#$call\n")
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    assert broker.call("sh", "-c", "echo x").status == -6
    assert broker.rejects() == ["audit"]
    assert os.listdir(home / "open") == []


def test_best_effort_runs_without_a_capture_that_cannot_be(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/open/#$call\n", "audit = best-effort")
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    reply, output = broker.output("sh", "-c", "echo x")
    assert (reply.status, output) == (0, b"x\n")
    assert str(home / "open") in broker.events("start")[0]["capture_error"]
    assert "stdout" not in broker.events("start")[0]
    assert str(home / "open") in broker.stderr()


def test_no_capture_where_the_log_leaves_it_out(start_broker, home):
    broker = start_broker(SH + "  stdoutfile = $HOME/log/#$call.out\n  log = argv-only\n")
    reply, output = broker.output("sh", "-c", "echo x")
    assert (reply.status, output) == (0, b"x\n")
    assert not out(home).exists()


@needs_mount
def test_a_disk_that_fills_during_a_call(compile_rules, home):
    from conftest import Broker, with_defaults
    from test_shortages import small_disk
    broker = Broker(compile_rules(with_defaults(
        SH + "  stdoutfile = $HOME/log/#$call.out\n")), home, wrapper=small_disk("1m"))
    log = f"/proc/{broker.pid}/root{home}/log"
    with Connection(broker.socket) as connection, Output() as stdout:
        connection.send1(["sh", "-c", "head -c 3000000 /dev/zero"], stdout=stdout)
        stdout.close_writer()
        total = 0
        while part := os.read(stdout.end, 65536):
            total += len(part)
        assert total == 3000000  # the caller gets all of it
        assert connection.reply().status == 0
    assert broker.status()["audit"] == "unhealthy"
    assert broker.call("sh", "-c", "exit 3").status == -6
    os.unlink(f"{log}/1.out")
    wait_for(lambda: broker.call("sh", "-c", "exit 3").status == 3, "service again")
    broker.kill()
