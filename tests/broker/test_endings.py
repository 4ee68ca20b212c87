"""How calls end before their time, and what is left of them: nothing."""
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from conftest import with_defaults
from wire import OUTPUT, TIMEOUT, Connection, Output, receive_reply, wait_for

SH = "sh -c #script\n  allow_any = script\n"


def timed(milliseconds, more=""):
    return SH + f"  timeout = {milliseconds}ms\n" + more


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def read_pids(path, count):
    def found():
        words = path.read_text().split() if path.exists() else []
        return [int(word) for word in words] if len(words) >= count else None
    return wait_for(found, f"{count} pids in {path}")


def test_the_timeout_asks_first(start_broker, home):
    broker = start_broker(timed(200))
    began = time.monotonic()
    reply = broker.call("sh", "-c", f"trap 'echo asked > {home}/said; exit 0' TERM; "
                        "while :; do sleep 0.02; done")
    assert reply.status == TIMEOUT
    assert time.monotonic() - began < 2
    assert (home / "said").read_text() == "asked\n"
    assert "signal" not in broker.wait_event("exit")


def test_the_timeout_kills_what_does_not_listen(start_broker):
    broker = start_broker(timed(200))
    began = time.monotonic()
    assert broker.call("sh", "-c", "trap '' TERM; while :; do sleep 0.02; done").status == TIMEOUT
    assert 2.2 <= time.monotonic() - began < 20
    assert broker.wait_event("exit")["signal"] == 9


def test_a_stopped_child_is_ended(start_broker):
    broker = start_broker(timed(200))
    assert broker.call("sh", "-c", "kill -STOP $$").status == TIMEOUT


def test_a_member_that_ignores_sigterm_dies_with_its_leader_gone(start_broker, home):
    """The leader dies on SIGTERM at once, a member of its group does not."""
    broker = start_broker(timed(300))
    script = (f"(trap '' TERM; sh -c 'echo $PPID' > {home}/pid; while :; do sleep 0.02; done) & "
              "while :; do sleep 0.02; done")
    assert broker.call("sh", "-c", script).status == TIMEOUT
    (pid,) = read_pids(home / "pid", 1)
    wait_for(lambda: not alive(pid), "the member to be killed")


@pytest.mark.parametrize("escape", [
    "setsid sh -c 'echo $$ > {pids}; exec sleep 300' &",
    "setsid setsid sh -c '(echo $$ > {pids}; trap \"\" TERM HUP; exec sleep 300) &' &",
    "(setsid sh -c 'sh -c \"echo \\$\\$ > {pids}; exec sleep 300\" &' &) &",
])
def test_nothing_survives_the_timeout_of_a_tree(start_broker, home, escape):
    broker = start_broker(timed(500))
    script = escape.format(pids=home / "pids") + " sleep 300"
    assert broker.call("sh", "-c", script).status == TIMEOUT
    pids = read_pids(home / "pids", 1)
    wait_for(lambda: not any(alive(pid) for pid in pids), "the tree to be gone")
    wait_for(lambda: broker.status()["background"] == 0, "the call to be forgotten")


def test_a_fork_storm_at_the_moment_of_the_kill(start_broker, home):
    broker = start_broker(timed(300))
    mark = f"storm-{os.getpid()}-{home.name}"
    script = (f"f() {{ setsid sh -c 'exec sleep 300 {mark}' 2>/dev/null & }}; "
              f"trap '' TERM; while :; do sleep 300.{os.getpid()} & "
              "i=$((i+1)); [ $i -lt 200 ] || sleep 0.01; done")
    assert broker.call("sh", "-c", script).status == TIMEOUT

    def left():
        found = 0
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    command = Path(f"/proc/{entry}/cmdline").read_bytes()
                except OSError:
                    continue
                found += f"300.{os.getpid()}".encode() in command
        return found

    wait_for(lambda: left() == 0, "the storm to be over")


def test_kill_group_leaves_what_left_the_group(start_broker, home):
    broker = start_broker(timed(300, "  kill = group\n"))
    script = f"setsid sh -c 'echo $$ > {home}/pid; exec sleep 20' & sleep 300"
    assert broker.call("sh", "-c", script).status == TIMEOUT
    (pid,) = read_pids(home / "pid", 1)
    time.sleep(2.2)  # SIGKILL to the group has been sent by now
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_background_process_outlives_the_child_until_the_timeout(start_broker, home):
    broker = start_broker(timed(1500))
    script = f"sh -c 'echo $$ > {home}/pid; exec sleep 300' & sleep 0.1; exit 5"
    began = time.monotonic()
    assert broker.call("sh", "-c", script).status == 5
    assert time.monotonic() - began < 1.4
    (pid,) = read_pids(home / "pid", 1)
    event = broker.wait_event("exit")
    assert event["status"] == 5 and "timed_out" not in event
    assert alive(pid)
    status = broker.status()
    assert (status["active"], status["background"]) == (0, 1)
    wait_for(lambda: not alive(pid), "the background process to be ended")
    assert time.monotonic() - began >= 1.5
    wait_for(lambda: broker.status()["background"] == 0, "the call to be forgotten")


def test_tree_on_exit_ends_the_background_with_the_child(start_broker, home):
    broker = start_broker(SH + "  kill = tree-on-exit\n")
    script = f"setsid sh -c 'echo $$ > {home}/pid; exec sleep 300' & sleep 0.1; exit 5"
    assert broker.call("sh", "-c", script).status == 5
    (pid,) = read_pids(home / "pid", 1)
    wait_for(lambda: not alive(pid), "the background process to be ended")


def test_a_background_process_keeps_no_slot(start_broker):
    broker = start_broker(timed(20000), "max_active = 1\nqueue = 0")
    assert broker.call("sh", "-c", "sleep 300 & exit 0").status == 0
    assert broker.call("sh", "-c", "exit 6").status == 6


def test_a_full_table_of_background_calls_keeps_slots(start_broker):
    broker = start_broker(timed(2000), "max_active = 1\nqueue = 0")
    assert broker.call("sh", "-c", "sleep 300 & exit 0").status == 0
    assert broker.call("sh", "-c", "sleep 300 & exit 0").status == 0
    assert broker.call("sh", "-c", "exit 0").status == -10
    wait_for(lambda: broker.status()["active"] == 0, "the slot to be given back")
    assert broker.call("sh", "-c", "exit 0").status == 0


def test_a_caller_that_leaves_does_not_end_its_call(start_broker, home):
    broker = start_broker(SH)
    with Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", f"sleep 0.5; echo done > {home}/done"])
        broker.wait_event("start")
    event = broker.wait_event("exit")
    assert event["status"] == 0 and event["caller_gone"] is True
    assert (home / "done").exists()


def test_a_caller_that_sends_and_leaves_at_once_is_served(start_broker, home):
    broker = start_broker(SH)
    with Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", f"echo done > {home}/done"])
    assert broker.wait_event("exit")["status"] == 0
    assert (home / "done").exists()


@pytest.mark.parametrize("way", ["version 1", "version 2", "reply"])
def test_on_disconnect_kill(start_broker, home, way):
    broker = start_broker(SH + "  on_disconnect = kill\n")
    script = f"echo $$ > {home}/pid; exec sleep 300"
    with Connection(broker.socket) as connection:
        if way == "version 1":
            connection.send1(["sh", "-c", script])
        elif way == "version 2":
            connection.send2(["sh", "-c", script])
        else:
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.send2(["sh", "-c", script], reply=theirs)
            theirs.close()
        (pid,) = read_pids(home / "pid", 1)
        if way == "reply":
            mine.close()
            wait_for(lambda: not alive(pid), "the child to be ended")
    wait_for(lambda: not alive(pid), "the child to be ended")
    event = broker.wait_event("exit")
    assert event["caller_gone"] is True and event["signal"] == 15


def test_a_half_closed_caller_is_answered(start_broker):
    broker = start_broker(SH + "  on_disconnect = kill\n")
    for send in (lambda c: c.send1(["sh", "-c", "sleep 0.2; exit 4"]),
                 lambda c: c.send2(["sh", "-c", "sleep 0.2; exit 4"])):
        with Connection(broker.socket) as connection:
            send(connection)
            connection.sock.shutdown(socket.SHUT_WR)
            assert connection.reply().status == 4
    wait_for(lambda: broker.status()["connections"] == 0, "the connections to be closed")


def test_closing_the_shared_connection_leaves_its_calls(start_broker):
    broker = start_broker(SH + "  on_disconnect = kill\n")
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Connection(broker.socket) as connection:
        connection.send2(["sh", "-c", "sleep 0.3; exit 4"], reply=theirs)
        theirs.close()
    assert receive_reply(mine).status == 4


def test_huge_timeouts_do_not_overflow(start_broker):
    broker = start_broker("true\n  timeout = 8760h\n")
    assert broker.call("true").status == 0
    assert broker.wait_event("exit")["duration_ms"] < 60000


def test_output_limit_ends_the_tree(start_broker, home):
    broker = start_broker(SH + "  max_output = 10K\n  timeout = 60s\n"
                          "  stdoutfile = $HOME/log/out\n")
    with Output() as output:
        reply = broker.call("sh", "-c", f"setsid sh -c 'echo $$ > {home}/pid; exec sleep 300' & "
                            f"while [ ! -s {home}/pid ]; do sleep 0.01; done; yes", stdout=output)
        assert reply.status == OUTPUT
    (pid,) = read_pids(home / "pid", 1)
    wait_for(lambda: not alive(pid), "the tree to be gone")


def test_a_worker_that_is_killed_is_told_and_leaves_nothing(start_broker, home):
    broker = start_broker(SH + "  kill = tree\n\ncat\n  stdoutfile = $HOME/log/out\n")
    captured, source, sink = Connection(broker.socket), os.pipe(), Output()
    captured.send1(["cat"], stdin=source[0], stdout=sink)
    wait_for(lambda: broker.events("start"), "the neighbour to run")
    script = f"setsid sh -c 'echo $$ > {home}/pid; exec sleep 300' & echo $$ $PPID; sleep 300"
    with Connection(broker.socket) as connection, Output() as output:
        connection.send2(["sh", "-c", script], stdout=output)
        output.close_writer()
        child, worker = map(int, os.read(output.end, 100).split())
        (escaped,) = read_pids(home / "pid", 1)
        os.kill(worker, signal.SIGKILL)
        reply = connection.reply()
        assert reply.status == -4 and "killed" in reply.text
    wait_for(lambda: not alive(child), "the child to be gone")
    wait_for(lambda: not alive(escaped), "what left its session to be gone")
    assert broker.call("sh", "-c", "exit 3").status == 3
    # the neighbour's worker and the process that copies its output are not taken for orphans
    os.write(source[1], b"still there\n")
    os.close(source[1])
    os.close(source[0])
    assert captured.reply().status == 0
    assert sink.read() == b"still there\n"
    captured.close()
    wait_for(lambda: len(broker.events("exit")) == 3, "the exit events")


def lose_worker(broker, home, name, *command):
    """Has a call leave a process of its own session with its worker, which is then killed. The
    number of that process, once it is the broker's child or gone."""
    script = (f"(setsid sh -c 'echo $$ > {home}/{name}; exec sleep 300' &); echo $PPID; "
              f"exec sleep 300")
    with Connection(broker.socket) as connection, Output() as output:
        connection.send2([*command, "sh", "-c", script], stdout=output)
        output.close_writer()
        worker = int(os.read(output.end, 100))
        (left,) = read_pids(home / name, 1)
        os.kill(worker, signal.SIGKILL)
        assert connection.reply().status == -4
    wait_for(lambda: not alive(left) or left in broker.children(), "what is left to come home")
    return left


def test_what_a_call_may_leave_is_spared_after_a_reload_too(start_broker, compile_rules, home):
    rules = ("sh -c #script\n  allow_any = script\n  kill = group\n"
             "env sh -c #script\n  allow_any = script\n  kill = tree\n")
    broker = start_broker(rules)
    spared = lose_worker(broker, home, "spared")
    also = lose_worker(broker, home, "also")  # whose loss has the first looked at, if it came late
    assert alive(spared) and alive(also)
    shutil.copy(compile_rules(with_defaults(rules + "true\n")), home / "fresh")
    os.rename(home / "fresh", broker.binary)
    broker.signal(signal.SIGHUP)
    broker.wait_event("reload")
    killed = lose_worker(broker, home, "killed", "env")
    wait_for(lambda: not alive(killed), "what may not be left to be gone")
    assert alive(spared)
    assert broker.call("sh", "-c", "exit 3").status == 3
    for pid in (spared, also):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
