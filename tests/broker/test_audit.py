"""The audit trail of a running broker: what is in the manifest, and what happens when it cannot be
kept. Each event's exact bytes are in tests/unit/test_audit.c."""
import json
import os
import resource
import subprocess
import threading
import time

import pytest
import wire
from conftest import with_defaults
from wire import AUDIT, Connection, Output, wait_for

TRUE = "true\n"
SH = "sh -c #script\n  allow_any = script\n"


def pairs(events):
    """How often each call was started and ended."""
    counts = {}
    for event in events:
        if event["kind"] in ("start", "exit", "lost"):
            counts.setdefault(event["call"], []).append(event["kind"])
    return counts


def limit_files(pid, size):
    """The size that files written by `pid` can have: a full disk for that process alone."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)
                     if size is not None else (resource.RLIM_INFINITY,) * 2)


@pytest.fixture
def long_manifest(home):
    """A manifest that is longer already than what a broker says on its standard error, which is a file
    too and has the same limit."""
    (home / "log").mkdir(mode=0o700)
    path = home / "log" / "manifest.jsonl"
    path.write_text(json.dumps({"kind": "filler", "text": "x" * 65536}) + "\n")
    path.chmod(0o600)


def copiers(broker):
    def name(pid):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            return None
    return [pid for pid in broker.children() if name(pid) == "sluice-capture"]


# ---- events --------------------------------------------------------------------------------------

def test_the_two_events_of_a_call(start_broker):
    broker = start_broker("echo #word\n  word = [a-z]+\n  stdoutfile = $HOME/log/#$call.out\n")
    before = time.time_ns() // 1_000_000
    reply, output = broker.output("echo", "hello")
    assert (reply.status, output) == (0, b"hello\n")
    end = broker.wait_event("exit")  # written after the answer
    after = time.time_ns() // 1_000_000
    (start,) = broker.events("start")
    assert before <= start.pop("ts") <= end.pop("ts") <= after
    assert start == {"call": 1, "kind": "start", "pid": os.getpid(), "uid": os.getuid(),
                     "line": start["line"], "argv": ["echo", "hello"],
                     "resolved": start["resolved"],
                     "stdout": str(broker.home / "log" / "1.out")}
    assert os.path.basename(start["resolved"]) == "echo"
    usage = {key: end.pop(key) for key in ("user_ms", "system_ms", "max_rss_kb", "duration_ms")}
    assert all(isinstance(value, int) and value >= 0 for value in usage.values())
    assert end == {"call": 1, "kind": "exit", "status": 0, "stdout_bytes": 6, "stderr_bytes": 0}
    assert (broker.home / "log" / "1.out").read_bytes() == b"hello\n"


def test_serve_and_stop(start_broker):
    broker = start_broker(TRUE)
    assert broker.stop() == 0
    serve, stop = broker.events()
    assert (serve["kind"], serve["pid"], serve["rules"]) == ("serve", broker.pid, 1)
    assert serve["policy"].startswith("sha256:") and len(serve["policy"]) == 7 + 64
    assert (stop["kind"], stop["pid"]) == ("stop", broker.pid)
    assert (stop["last_call"], stop["active"]) == (0, [])


def test_what_exit_only_and_argv_only_leave_out(start_broker):
    broker = start_broker("echo #a\n  allow_any = a\n  log = exit-only\n\n"
                          "printf #a\n  allow_any = a\n  log = argv-only\n",
                          "stdoutfile = $HOME/log/#$call.out")
    assert broker.output("echo", "secret")[1] == b"secret\n"
    assert broker.output("printf", "word")[1] == b"word"
    ends = [broker.wait_event("exit", call=call) for call in (1, 2)]
    assert [event["call"] for event in broker.events("start")] == [2]
    assert broker.events("start")[0]["argv"] == ["printf", "word"]
    assert ends[0]["uid"] == os.getuid() and ends[0]["line"] > 0 and "argv" not in ends[0]
    assert "secret" not in broker.manifest.read_text()
    assert not list((broker.home / "log").glob("*.out"))


def test_a_long_argv_is_logged_whole(start_broker):
    broker = start_broker("true #words...{0,255}\n  allow_any = words\n")
    argv = ["true"] + ["\x01\x02\"\\é" * 100] * 255
    assert broker.call(*argv).status == 0
    assert broker.events("start")[0]["argv"] == argv
    assert broker.call("nope", *argv[1:]).status == wire.NO_RULE
    assert broker.events("reject")[0]["argv"] == ["nope", *argv[1:]]


def test_a_logfile_by_date(compile_rules, home, start_broker):
    rules = "defaults:\n  logfile = $HOME/logs/#$date/#$uid.jsonl\n\n" + TRUE
    from conftest import Broker
    broker = Broker(compile_rules(rules), home)
    try:
        assert broker.call("true").status == 0
        assert broker.stop() == 0
        texts = [path.read_text() for path in (home / "logs").glob(f"*-*-*/{os.getuid()}.jsonl")]
        kinds = [json.loads(line)["kind"] for line in "".join(sorted(texts)).splitlines()]
        assert [kind for kind in kinds if kind != "continue"] == ["serve", "start", "exit", "stop"]
    finally:
        broker.kill()


# ---- the file ------------------------------------------------------------------------------------

@pytest.mark.parametrize("audit", ["strict", "best-effort"])
def test_an_unsafe_manifest_keeps_the_broker_from_starting(compile_rules, home, audit):
    binary = compile_rules(with_defaults(TRUE, f"audit = {audit}"))

    def refusal():
        done = subprocess.run([binary, "serve", "--socket", home / "s"], timeout=60,
                              env={"HOME": str(home)}, stderr=subprocess.PIPE)
        assert done.returncode == 2
        return done.stderr.decode()

    (home / "log").mkdir(mode=0o700)
    (home / "real").touch(mode=0o600)
    (home / "log" / "manifest.jsonl").symlink_to(home / "real")
    assert "manifest.jsonl: is a symbolic link" in refusal()
    (home / "log" / "manifest.jsonl").unlink()
    (home / "log").chmod(0o777)
    assert f"{home}/log can be written by everybody" in refusal()
    (home / "log").chmod(0o700)
    os.mkfifo(home / "log" / "manifest.jsonl")
    assert "is not a regular file" in refusal()


def test_rotation_under_load_loses_and_splits_nothing(start_broker):
    broker = start_broker(TRUE)
    done, calls = threading.Event(), []

    def caller():
        while not done.is_set():
            calls.append(broker.call("true").status)

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    files = []
    for number in range(15):
        wait_for(lambda: len(broker.events("exit")) > 3, "a few calls")
        files.append(broker.manifest.with_suffix(f".{number}"))
        os.rename(broker.manifest, files[-1])
        broker.signal(1)
        wait_for(broker.manifest.exists, "the new manifest")
    done.set()
    for thread in threads:
        thread.join()
    assert broker.stop() == 0
    text = "".join(path.read_text() for path in [*files, broker.manifest])
    events = [json.loads(line) for line in text.splitlines()]
    assert text.endswith("\n") and set(calls) == {0}
    assert pairs(events) == {call: ["start", "exit"] for call in range(1, len(calls) + 1)}


def test_a_manifest_that_is_removed_is_begun_again(start_broker):
    broker = start_broker(TRUE)
    assert broker.call("true").status == 0
    broker.wait_event("exit")
    broker.manifest.unlink()
    assert broker.call("true").status == 0
    broker.wait_event("exit")
    kinds = [event["kind"] for event in broker.events()]
    assert kinds == ["continue", "start", "exit"]
    assert "was removed" in broker.stderr()


# ---- what cannot be kept -------------------------------------------------------------------------

@pytest.mark.parametrize("room", [0, 40])
def test_strict_refuses_while_the_manifest_is_full(start_broker, long_manifest, room):
    broker = start_broker(TRUE)
    assert broker.call("true").status == 0
    broker.wait_event("exit")
    limit_files(broker.pid, broker.manifest.stat().st_size + room)
    assert [broker.call("true").status for _ in range(3)] == [AUDIT] * 3
    assert broker.manifest.read_text().endswith("}\n")
    limit_files(broker.pid, None)
    wait_for(lambda: broker.events("healthy"), "the trail to be healthy")
    assert broker.call("true").status == 0
    (healthy,) = broker.events("healthy")
    assert healthy["missed"] >= 3 and healthy["unhealthy_ms"] >= 0
    assert broker.stop() == 0
    assert all(kinds == ["start", "exit"] for kinds in pairs(broker.events()).values())
    assert "the audit trail cannot be kept" in broker.stderr()


def test_best_effort_runs_all_the_same_and_says_so(start_broker, long_manifest):
    broker = start_broker(TRUE, "audit = best-effort")
    limit_files(broker.pid, broker.manifest.stat().st_size)
    assert [broker.call("true").status for _ in range(3)] == [0] * 3
    limit_files(broker.pid, None)
    assert broker.stderr().count("not recorded: ") >= 3
    assert not broker.events("start")
    wait_for(lambda: broker.events("healthy"), "the trail to be healthy")


def test_an_unsafe_capture_file_refuses_the_call_alone(start_broker, home):
    broker = start_broker("true\n  stdoutfile = $HOME/out/#$call\n\nfalse\n")
    (home / "out").mkdir()
    (home / "out").chmod(0o777)
    assert broker.call("true").status == AUDIT
    assert broker.call("false").status == 1
    assert broker.rejects() == ["audit"]
    (home / "out").chmod(0o700)
    assert broker.call("true").status == 0


def test_best_effort_runs_without_a_capture_file(start_broker, home):
    broker = start_broker("echo #a\n  allow_any = a\n  stdoutfile = $HOME/out/#$call\n",
                          "audit = best-effort")
    (home / "out").write_text("in the way")
    reply, output = broker.output("echo", "x")
    assert (reply.status, output) == (0, b"x\n")
    (start,) = broker.events("start")
    assert "stdout" not in start and f"{home}/out is not a directory" in start["capture_error"]
    assert "runs without its capture file" in broker.stderr()


def test_a_capture_that_fails_mid_call(start_broker, home):
    script = f"head -c 30000 /dev/zero; while [ ! -e {home}/gate ]; do sleep 0.02; done; " \
             "head -c 200000 /dev/zero"
    broker = start_broker(SH + "  stdoutfile = $HOME/out/#$call\n")
    with Connection(broker.socket) as connection, Output() as output:
        connection.send1(["sh", "-c", script], stdout=output)
        output.close_writer()
        wait_for(lambda: list((home / "out").glob("*")) and
                 (home / "out" / "1").stat().st_size == 30000, "the first part")
        for pid in copiers(broker):
            limit_files(pid, 40000)
        (home / "out").chmod(0o777)  # what the probe then finds wrong
        (home / "gate").touch()
        assert len(output.read()) == 230000
        assert connection.reply().status == 0
    event = broker.wait_event("exit")
    assert event["truncated"] is True and event["stdout_bytes"] == 230000
    assert (home / "out" / "1").stat().st_size == 40000
    (unhealthy,) = broker.events("unhealthy")
    assert f"{home}/out/1: File too large" in unhealthy["reason"]
    assert broker.call("sh", "-c", "true").status == AUDIT
    (home / "out").chmod(0o700)
    wait_for(lambda: broker.events("healthy"), "the trail to be healthy")
    assert broker.call("sh", "-c", "true").status == 0


# ---- after a crash -------------------------------------------------------------------------------

def test_calls_of_a_broker_that_was_killed_are_lost(start_broker):
    broker = start_broker("sleep #n\n  n = [0-9]+\n\ntrue\n")
    assert broker.call("true").status == 0
    with Connection(broker.socket) as connection:
        connection.send1(["sleep", "60"])
        broker.wait_event("start", call=2)
        assert broker.call("true").status == 0
        broker.wait_event("exit", call=3)
        broker.kill()
    again = start_broker("sleep #n\n  n = [0-9]+\n\ntrue\n")
    assert again.call("true").status == 0
    again.wait_event("exit", call=4)
    assert pairs(again.events()) == {1: ["start", "exit"], 2: ["start", "lost"],
                                     3: ["start", "exit"], 4: ["start", "exit"]}
    again.kill()
    third = start_broker("sleep #n\n  n = [0-9]+\n\ntrue\n")
    assert len(third.events("lost")) == 1
