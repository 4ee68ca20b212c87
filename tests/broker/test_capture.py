"""Captured output of a running broker, from callers that behave and callers that do not. Every kind of
descriptor is in tests/unit/test_capture.c."""
import os
import socket
import threading
import time
from pathlib import Path

import pytest
import wire
from test_closers import HangingMount, hanging, lingering  # noqa: F401 (fixtures)
from wire import TIMEOUT, Connection, Output, wait_for

CAPTURED = "  stdoutfile = $HOME/out/#$call.out\n  stderrfile = $HOME/out/#$call.err\n"
SH = "sh -c #script\n  allow_any = script\n" + CAPTURED


def reader(output):
    """Reads all of `output` at once with whatever else happens; .join() gives it."""
    class Reader(threading.Thread):
        def run(self):
            self.data = output.read()

        def join(self, timeout=wire.PATIENCE):
            super().join(timeout)
            return self.data

    output.close_writer()
    thread = Reader(daemon=True)
    thread.start()
    return thread


def test_both_streams_arrive_whole_and_in_order(start_broker, home):
    broker = start_broker(SH)
    data, errors = os.urandom(5 << 20), os.urandom(1 << 20)
    (home / "data").write_bytes(data)
    (home / "errors").write_bytes(errors)
    with Connection(broker.socket) as connection, Output() as out, Output() as err:
        connection.send1(["sh", "-c", f"cat {home}/errors >&2 & cat {home}/data; wait"],
                         stdout=out, stderr=err)
        readers = reader(out), reader(err)
        assert connection.reply().status == 0
        assert readers[0].join() == data
        assert readers[1].join() == errors
    event = broker.wait_event("exit")
    assert (event["stdout_bytes"], event["stderr_bytes"]) == (len(data), len(errors))
    assert (home / "out" / "1.out").read_bytes() == data
    assert (home / "out" / "1.err").read_bytes() == errors
    assert oct((home / "out" / "1.out").stat().st_mode & 0o7777) == "0o600"


def test_everything_is_there_when_the_reply_comes(start_broker, home):
    broker = start_broker(SH)
    for number in range(1, 40):
        reply, output = broker.output("sh", "-c", f"echo {number}; echo x >&2")
        assert (reply.status, output) == (0, f"{number}\n".encode())
        assert (home / "out" / f"{number}.out").read_text() == f"{number}\n"
        assert (home / "out" / f"{number}.err").read_text() == "x\n"


def test_names_of_capture_files(start_broker, home):
    broker = start_broker("true\n  stdoutfile = $HOME/#$date/#$rule/#$uid-#$pid-#$call.out\n")
    assert broker.call("true").status == 0
    (start,) = broker.events("start")
    folder, rule, name = start["stdout"].removeprefix(f"{home}/").split("/")
    assert time.strptime(folder, "%Y-%m-%d")
    assert rule == str(start["line"])
    assert name == f"{os.getuid()}-{os.getpid()}-1.out"
    assert os.path.exists(start["stdout"])


def test_a_background_process_does_not_hold_up_the_reply(start_broker, home):
    broker = start_broker(SH, "max_active = 1")
    script = (f"(while [ ! -e {home}/gate ]; do sleep 0.02; done; echo later) & "
              "echo now")
    with Connection(broker.socket) as connection, Output() as output:
        connection.send1(["sh", "-c", script], stdout=output)
        assert connection.reply().status == 0
        # passed on before the reply, while the other still runs
        assert os.read(output.end, 100) == b"now\n"
        assert not broker.events("exit")
        # and the slot is free
        assert broker.call("sh", "-c", "exit 3").status == 3
        (home / "gate").touch()
        assert output.read() == b"later\n"
    event = broker.wait_event("exit", call=1)
    assert event["stdout_bytes"] == 10 and "drain_timeout" not in event
    assert (home / "out" / "1.out").read_text() == "now\nlater\n"


def test_a_background_process_that_stays_ends_with_the_timeout(start_broker, home):
    broker = start_broker("sh -c #script\n  allow_any = script\n  timeout = 400ms\n  kill = group\n"
                          + CAPTURED)
    with Output() as output:
        # in a group of its own, so that only the drain timeout ends its capture
        assert broker.call("sh", "-c", "setsid sh -c 'trap \"\" TERM; sleep 30' & echo now",
                           stdout=output).status == 0
    event = broker.wait_event("exit")
    assert event["drain_timeout"] is True and event["stdout_bytes"] == 4
    assert (home / "out" / "1.out").read_text() == "now\n"


def test_a_caller_that_never_reads_is_ended_by_the_timeout(start_broker, home):
    broker = start_broker("yes\n  timeout = 500ms\n" + CAPTURED + "\ntrue\n", "max_active = 1")
    for ends in (os.pipe(), [end.detach() for end in socket.socketpair()]):
        reply = broker.call("yes", stdout=ends[1])
        assert reply.status == TIMEOUT
        assert broker.call("true").status == 0  # the slot is free
        os.close(ends[0])
        os.close(ends[1])
    wait_for(lambda: len(broker.events("exit")) == 4, "the ends of the calls")
    for call in (1, 3):
        event = broker.wait_event("exit", call=call)
        assert event["timed_out"] is True
        written = (home / "out" / f"{call}.out").read_bytes()
        assert len(written) == event["stdout_bytes"] > 0
        assert written == b"y\n" * (len(written) // 2)


def test_a_caller_that_never_reads_delays_nobody(start_broker):
    broker = start_broker("yes\n" + CAPTURED + "\necho #a\n  allow_any = a\n" + CAPTURED)
    with Connection(broker.socket) as stuck, Output() as output:
        stuck.send1(["yes"], stdout=output)
        broker.wait_event("start", call=1)
        for _ in range(20):
            began = time.monotonic()
            assert broker.output("echo", "x")[1] == b"x\n"
            assert time.monotonic() - began < 10
        stuck.close()


def held_at_its_end(broker):
    """Whether a program waits for its own pipe's lock, while it ends."""
    for worker in broker.children():
        try:
            for child in Path(f"/proc/{worker}/task/{worker}/children").read_text().split():
                if "pipe" in Path(f"/proc/{child}/wchan").read_text():
                    return True
        except (FileNotFoundError, ProcessLookupError):
            pass
    return False


def test_a_pipe_that_its_reader_keeps_locked_gives_its_place_up(start_broker, home, hanging):  # noqa: F811
    """Passing anything on waits for the lock, and nothing interrupts that. The kernel takes the locks of
    two pipes in the order of their addresses: where the program's own comes first, the program itself
    cannot end, which is its caller's doing and keeps its caller's slot. So until it comes second."""
    for attempt in range(12):
        mount = hanging if attempt == 0 else HangingMount(home / f"mount{attempt}")
        broker = start_broker(SH, "max_active = 1\nqueue = 0")
        reader, locked = os.pipe()
        os.write(locked, b"x" * 100)
        mount.hold_lock(lambda memory: (os.close(locked), os.readv(reader, [memory])))
        end, unread = os.pipe()
        with Connection(broker.socket) as connection:
            connection.send1(["sh", "-c", "echo word"], stdout=locked)
            wire.wait_for(lambda: wire.is_readable(connection.sock, 0) or held_at_its_end(broker),
                          "an answer, or a program that cannot end")
            if answered := wire.is_readable(connection.sock, 0):
                assert connection.reply().status == 0
                assert broker.call("sh", "-c", "head -c 100000 /dev/zero", stdout=unread).status == 0
                # It wants the other one's place in the background; and what is lost is told.
                calls = {event["call"] for event in broker.events("start")}
                event = broker.wait_event("exit", call=max(calls) - 1)
                assert event["truncated"] is True and event["stdout_bytes"] == 0
        mount.end()
        for descriptor in (reader, locked, end, unread):
            os.close(descriptor)
        broker.kill()
        if answered:
            return
    pytest.skip("the program's pipe came first each time")


def test_a_socket_that_closing_waits_for_delays_no_end(start_broker, home, lingering):  # noqa: F811
    """All of the output is there, and the call is over; only its copier is not."""
    broker = start_broker(SH)
    held = lingering()
    with Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", f"while [ ! -e {home}/gate ]; do sleep 0.01; done"],
                         stdout=held.socket.fileno())
        broker.wait_event("start", call=1)
        held.sent()
        (home / "gate").touch()
        assert connection.reply().status == 0
    assert "drain_timeout" not in broker.wait_event("exit", call=1)
    for number in range(10):
        assert broker.output("sh", "-c", f"echo {number}")[1] == f"{number}\n".encode()


def test_a_caller_that_closes_its_end_does_not_stop_the_capture(start_broker, home):
    broker = start_broker(SH)
    with Connection(broker.socket) as connection, Output() as output:
        connection.send1(["sh", "-c", f"echo one; while [ ! -e {home}/gate ]; do sleep 0.02; done; "
                          "head -c 300000 /dev/zero; exit 5"], stdout=output)
        output.close_writer()
        assert os.read(output.end, 100) == b"one\n"
        output.close()
        (home / "gate").touch()
        assert connection.reply().status == 5
    event = broker.wait_event("exit")
    assert event["stdout_bytes"] == 300004 and "truncated" not in event
    assert (home / "out" / "1.out").stat().st_size == 300004


def test_what_a_callers_descriptor_cannot_take_is_told(start_broker, home):
    broker = start_broker(SH)
    full = os.open("/dev/full", os.O_WRONLY)
    assert broker.call("sh", "-c", "echo word", stdout=full).status == 0
    os.close(full)
    assert broker.wait_event("exit")["caller_error"] == "stdout: No space left on device"
    assert (home / "out" / "1.out").read_text() == "word\n"


def test_calls_that_share_a_capture_file_keep_their_lines(start_broker, home):
    broker = start_broker("sh -c #script\n  allow_any = script\n  stdoutfile = $HOME/out/all\n")
    script = ("i=0; while [ $i -lt 300 ]; do i=$((i+1)); "
              "echo \"{0} $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx {0}\"; done")
    threads = [threading.Thread(target=broker.call, args=("sh", "-c", script.replace("{0}", letter)))
               for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {letter: 0 for letter in "abcd"}
    for line in (home / "out" / "all").read_text().splitlines():
        first, number, _, last = line.split(" ")
        assert first == last
        seen[first] += 1
        assert number == str(seen[first])
    assert seen == {letter: 300 for letter in "abcd"}


def test_nothing_is_left_of_many_captures(start_broker):
    broker = start_broker(SH)

    def rounds(count):
        for _ in range(count):
            assert broker.output("sh", "-c", "echo x; echo y >&2")[0].status == 0
        wait_for(lambda: len(broker.events("exit")) == len(broker.events("start")), "the ends")
        return broker.descriptors(), len(broker.children())

    # A few copiers and workers are kept, each with its descriptors; 120 calls would leave more.
    descriptors, children = rounds(5)
    for _ in range(3):
        more_descriptors, more_children = rounds(40)
        assert more_children <= children + 8
        assert more_descriptors <= descriptors + 24
