"""Each row of the status table and each reason of a refusal, in both versions, with its event."""
import os
import subprocess
import sys
import textwrap

import pytest
import wire
from abilities import needs_others
from wire import (AUDIT, BUSY, CONFINE, NO_RULE, OUTPUT, PEER, SPAWN, TIMEOUT, Connection, Output,
                  wait_for)

BOTH = pytest.mark.parametrize("run", [wire.run1, wire.run2], ids=["version 1", "version 2"])

RULES = """
echo #word
  word = [a-z-]+

sleep #seconds
  seconds = [0-9.]+
  timeout = 300ms
"""


@BOTH
def test_no_rule(start_broker, run):
    broker = start_broker(RULES)
    assert run(broker.socket, ["nope"]).status == NO_RULE
    assert run(broker.socket, ["echo"]).status == NO_RULE
    assert run(broker.socket, ["echo", "A"]).status == NO_RULE
    assert run(broker.socket, ["echo", "a", "b"]).status == NO_RULE
    assert broker.rejects() == ["no_rule"] * 4
    assert broker.events("reject")[0]["argv"] == ["nope"]


@BOTH
def test_a_value_like_an_option(start_broker, run):
    broker = start_broker(RULES)
    reply = run(broker.socket, ["echo", "-n"])
    assert reply.status == NO_RULE
    line = broker.binary and [n for n, text in enumerate(
        ("defaults:\n  logfile = x\n\n" + RULES).splitlines(), 1) if text == "echo #word"][0]
    assert broker.rejects() == [f"option_like: rule at line {line}, slot #word"]
    if reply.version == 2:
        assert "'-'" in reply.text


@BOTH
def test_a_value_over_its_cap(start_broker, run):
    broker = start_broker("echo #word\n  word = [a-z]*\n")
    assert run(broker.socket, ["echo", "a" * 4096]).status == 0
    assert run(broker.socket, ["echo", "a" * 4097]).status == NO_RULE
    assert broker.rejects() == ["value_too_long"]


@BOTH
def test_unsafe_arguments(start_broker, run):
    broker = start_broker("echo #word\n  allow_any = word\n  refuse = control, shell\n\n"
                          "printf #word\n  allow_any = word\n  refuse = control\n")
    refused = ["a;b", "a|b", "a&b", "a$b", "a`b", "a\nb", "\x1b[0m", "\x7f", "\x80", "\x9f"]
    for word in refused:
        assert run(broker.socket, ["echo", word]).status == NO_RULE, word
    assert broker.rejects() == ["unsafe_argv"] * len(refused)
    for word in ["a\tb", "é", "a b", "(a)", "\xa0"]:
        assert run(broker.socket, ["echo", word]).status == 0, word
    assert run(broker.socket, ["printf", "a;b"]).status == 0
    assert run(broker.socket, ["printf", "a\rb"]).status == NO_RULE


def test_unsafe_arguments_are_refused_before_matching(start_broker):
    broker = start_broker("true\n", "refuse = shell")
    assert broker.call("nope", "a;b").status == NO_RULE
    assert broker.call("nope", "a").status == NO_RULE
    assert broker.rejects() == ["unsafe_argv", "no_rule"]


@BOTH
def test_spawn(start_broker, run):
    broker = start_broker("/nonexistent/program\n")
    reply = run(broker.socket, ["/nonexistent/program"])
    assert reply.status == SPAWN
    assert broker.rejects() == ["exe_unresolved"]
    if reply.version == 2:
        assert "/nonexistent/program" in reply.text


@BOTH
def test_timeout(start_broker, run):
    broker = start_broker(RULES)
    reply = run(broker.socket, ["sleep", "30"])
    assert reply.status == TIMEOUT
    event = broker.wait_event("exit")
    assert (event["status"], event["timed_out"], event["signal"]) == (TIMEOUT, True, 15)
    assert 300 <= event["duration_ms"] < 20000
    if reply.version == 2:
        assert reply.text == "the rule's timeout of 300 ms ended the call"


@BOTH
def test_busy(start_broker, run):
    broker = start_broker("sleep #n\n  n = [0-9]+\n", "max_active = 1\nqueue = 0")
    with Connection(broker.socket) as first:
        first.send1(["sleep", "60"])
        broker.wait_event("start")
        reply = run(broker.socket, ["sleep", "0"])
        assert reply.status == BUSY
        assert broker.rejects() == ["busy"]
        assert broker.events("reject")[0]["argv"] == ["sleep", "0"]
        if reply.version == 2:
            assert "try again later" in reply.text


@BOTH
def test_output(start_broker, run):
    broker = start_broker("yes #word\n  word = [a-z]+\n  max_output = 40K\n"
                          "  stdoutfile = $HOME/log/#$call.out\n")
    with Output() as output:
        reply = run(broker.socket, ["yes", "abcdefg"], stdout=output)
        assert reply.status == OUTPUT
        assert len(output.read()) == 40 * 1024
    event = broker.wait_event("exit")
    assert event["output_limit"] is True and event["stdout_bytes"] == 40 * 1024
    if reply.version == 2:
        assert "max_output" in reply.text


@BOTH
def test_audit(start_broker, run, home):
    broker = start_broker("true\n  stdoutfile = $HOME/out/#$call\n")
    (home / "out").write_text("in the way")
    assert run(broker.socket, ["true"]).status == AUDIT
    assert broker.rejects() == ["audit"]
    (home / "out").unlink()
    assert run(broker.socket, ["true"]).status == 0


@BOTH
def test_confine(start_broker, run, home):
    (home / "files").mkdir()
    (home / "files" / "here").write_text("content\n")
    (home / "elsewhere").write_text("secret\n")
    os.symlink(home / "elsewhere", home / "files" / "out")
    broker = start_broker("cat #file\n  file = @filename\n  cwd = $HOME/files\n"
                          "  fs_read = @system, #file\n")
    with Output() as output:
        assert run(broker.socket, ["cat", "here"], stdout=output).status == 0
        assert output.read() == b"content\n"
    assert run(broker.socket, ["cat", "out"]).status == CONFINE
    assert run(broker.socket, ["cat", "gone"]).status == CONFINE
    reasons = broker.rejects()
    assert len(reasons) == 2 and all(reason.startswith("confine: ") for reason in reasons)


def as_uid(uid, code, *words):
    """Runs Python as another user; what it prints."""
    program = textwrap.dedent(f"""
        import os, sys
        sys.path.insert(0, {os.path.dirname(wire.__file__)!r})
        import wire
        os.setgroups([]); os.setresgid({uid}, {uid}, {uid}); os.setresuid({uid}, {uid}, {uid})
        """) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], timeout=60,
                          stdout=subprocess.PIPE)
    assert done.returncode == 0
    return done.stdout.decode().strip()


def open_to_all(broker):
    os.chmod(broker.home, 0o711)
    os.chmod(broker.socket, 0o666)


@needs_others
@pytest.mark.parametrize("run", ["run1", "run2"])
def test_peer(start_broker, run):
    broker = start_broker("true\n", "allow_uid = 0, daemon")
    open_to_all(broker)
    code = f"print(wire.{run}(sys.argv[1], ['true']).status)"
    assert as_uid(1, code, broker.socket) == "0"  # daemon
    assert as_uid(2, code, broker.socket) == str(PEER)
    assert broker.call("true").status == 0
    assert broker.rejects() == ["peer_uid"]
    assert broker.events("reject")[0]["uid"] == 2


def test_allow_uid_lets_this_user_in(start_broker):
    broker = start_broker("true\n", f"allow_uid = {os.getuid()}")
    assert broker.call("true").status == 0


def test_an_unknown_name_in_allow_uid_is_said(compile_rules, home):
    binary = compile_rules("defaults:\n  allow_uid = no-such-user-here\n\ntrue\n")
    done = subprocess.run([binary, "--socket", str(home / "s")], stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 2
    assert "no-such-user-here" in done.stderr.decode()


ENV_RULES = """
env
  env = KEPT=rule
  env_from_caller = KEPT, FREE, COUNT
  env.COUNT = [0-9]+
  cwd_from_caller = /tmp(/[a-z0-9_-]+)*|/nonexistent

pwd -P
  cwd_from_caller = /.*

true
"""


def test_the_environment_that_a_caller_sends(start_broker):
    broker = start_broker(ENV_RULES)
    with Output() as output:
        reply = broker.call2("env", env=["FREE=a b;c", "COUNT=12", "KEPT=caller"], stdout=output)
        assert reply.status == 0
        lines = output.read().decode().splitlines()
    assert sorted(lines) == ["COUNT=12", "FREE=a b;c", "KEPT=caller",
                             "PATH=/bin:/usr/bin:/sbin:/usr/sbin"]


@pytest.mark.parametrize("variable, reason", [
    ("OTHER=1", "env_not_allowed: OTHER"),
    ("PATH=/tmp", "env_not_allowed: PATH"),
    ("LD_PRELOAD=/tmp/x.so", "env_not_allowed: LD_PRELOAD"),
    ("COUNT=x", "env_value: COUNT"),
    ("COUNT=", "env_value: COUNT"),
    ("FREE=a\nb", "env_value: FREE"),
])
def test_an_environment_that_the_rule_does_not_accept(start_broker, variable, reason):
    broker = start_broker(ENV_RULES)
    reply = broker.call2("env", env=[variable])
    assert (reply.status, reply.text) == (NO_RULE, reason)
    assert broker.rejects() == [reason]


def test_the_working_directory_that_a_caller_sends(start_broker, home):
    broker = start_broker(ENV_RULES)
    folder = home / "sub"
    folder.mkdir()
    os.symlink(folder, home / "link")
    with Output() as output:
        assert broker.call2("pwd", "-P", cwd=str(folder), stdout=output).status == 0
        assert output.read().decode() == f"{folder}\n"
    refused = [str(home / "link"), str(home / "gone"), str(home / "agent-broker"),
               "relative", f"{home}/sub/..", f"{home}//sub", f"{home}/./sub"]
    for cwd in refused:
        reply = broker.call2("pwd", "-P", cwd=cwd)
        assert reply.status == NO_RULE and reply.text, cwd
    assert broker.call2("env", cwd="/etc").status == NO_RULE
    assert broker.call2("true", cwd="/tmp").status == NO_RULE
    assert broker.rejects() == ["cwd_not_allowed"] * (len(refused) + 2)


def test_pattern_limit(start_broker):
    broker = start_broker("echo #word\n  word = (a+)+b\n  engine = pcre2 word\n")
    assert broker.call("echo", "aaab").status == 0
    assert broker.call("echo", "a" * 4000 + "cb").status == NO_RULE
    assert broker.rejects() == ["pattern_limit"]
    assert broker.call("echo", "c").status == NO_RULE


def test_every_call_number_is_used_once(start_broker):
    broker = start_broker(RULES)
    for _ in range(3):
        broker.call("echo", "a")
        broker.call("nope")
        broker.call2("echo", "-n")
    numbers = [event["call"] for event in broker.events() if event["kind"] in ("start", "reject")]
    assert numbers == list(range(1, 10))
    wait_for(lambda: len(broker.events("exit")) == 3, "exit events")
