"""A call from end to end: what the child gets, what the caller is answered, what is recorded."""
import os
import stat
import struct

import pytest
from wire import Connection, Output, frame1, run1, run2

SH = """
sh -c #script
  allow_any = script

sh -c #script #words...
  allow_any = script, words
"""


@pytest.fixture
def sh(start_broker):
    return start_broker(SH)


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127, 255])
def test_the_exit_code_is_the_status(sh, code):
    assert sh.call("sh", "-c", f"exit {code}").status == code
    assert sh.wait_event("exit")["status"] == code


@pytest.mark.parametrize("signal", [1, 2, 9, 15, 11])
def test_a_signal_is_128_and_its_number(sh, signal):
    assert sh.call("sh", "-c", f"kill -{signal} $$").status == 128 + signal
    event = sh.wait_event("exit")
    assert (event["status"], event["signal"]) == (128 + signal, signal)


def test_the_callers_descriptors_are_the_childs(sh, home):
    (home / "in").write_bytes(b"from the caller\n")
    with open(home / "in", "rb") as stdin, Output() as out, Output() as err:
        reply = sh.call("sh", "-c", "cat; echo error >&2", stdin=stdin.fileno(), stdout=out,
                        stderr=err)
        assert reply.status == 0
        assert out.read() == b"from the caller\n"
        assert err.read() == b"error\n"


def test_arguments_arrive_byte_for_byte(sh):
    words = ["", " ", "a b", "\n", "'\"\\", "é\U0001f600", "-n", "--", "$HOME", "x" * 4096]
    script = 'for word; do printf "%s\\0" "$word"; done'
    reply, output = sh.output("sh", "-c", script, "name", *words)
    assert reply.status == 0
    assert output == b"".join(word.encode() + b"\0" for word in words)


def test_the_program_sees_the_rules_name(start_broker, home):
    program = home / "show"
    program.write_text('#!/bin/sh\nprintf "%s" "$0"\n')
    program.chmod(0o755)
    broker = start_broker(f"{program}\n\nsh -c #s\n  allow_any = s\n")
    reply, output = broker.output(str(program))
    assert (reply.status, output) == (0, str(program).encode())


def test_only_three_descriptors_are_open_in_the_child(sh):
    idle = [Connection(sh.socket) for _ in range(5)]
    reply, output = sh.output("sh", "-c", "ls /proc/self/fd")
    # ls has the folder itself open, as the lowest free number
    assert output.split() == [b"0", b"1", b"2", b"3"]
    for connection in idle:
        connection.close()


def test_signals_umask_and_group_are_those_of_a_fresh_login(sh):
    reply, output = sh.output(
        "sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status; umask; ps -o pgid= -p $$; echo $$")
    lines = output.decode().split()
    assert lines[1] == "0000000000000000"  # blocked
    assert lines[3] == "0000000000000000"  # ignored
    assert lines[4] == "0022"
    assert lines[5] == lines[6]  # its own process group


def test_the_environment_is_empty_but_for_path(sh):
    reply, output = sh.output("sh", "-c", "tr '\\0' '\\n' < /proc/$$/environ")
    assert output == b"PATH=/bin:/usr/bin:/sbin:/usr/sbin\n"


def test_the_environment_is_what_the_rule_says(start_broker):
    broker = start_broker("env\n  env = LANG, FIXED=a b, ABSENT\n",
                          env=None)
    broker.kill()
    again = start_broker("env\n  env = LANG, FIXED=a b, ABSENT\n", env={"LANG": "C.UTF-8"})
    reply, output = again.output("env")
    assert sorted(output.decode().split("\n")) == [
        "", "FIXED=a b", "LANG=C.UTF-8", "PATH=/bin:/usr/bin:/sbin:/usr/sbin"]


def test_the_working_directory(start_broker, home):
    (home / "work").mkdir()
    broker = start_broker("pwd -P\n  cwd = $HOME/work\n\nls\n  cwd = $HOME/gone\n")
    reply, output = broker.output("pwd", "-P")
    assert (reply.status, output) == (0, f"{home}/work\n".encode())
    assert broker.call("ls").status == 126
    event = broker.wait_event("exit", status=126)
    assert "No such file" in event["error"]


def test_a_script_runs_by_its_first_line(start_broker, home):
    script = home / "tool"
    script.write_text("#!/bin/sh -e\necho script $#\n")
    script.chmod(0o755)
    broker = start_broker("tool #word\n  word = [a-z]+\n  exec_path = $HOME:/bin\n".replace(
        "$HOME", str(home)))
    reply, output = broker.output("tool", "abc")
    assert (reply.status, output) == (0, b"script 1\n")
    assert broker.wait_event("start")["resolved"] == str(script)


def test_what_cannot_be_executed_is_spawn_and_not_127(start_broker, home):
    broken = home / "broken"
    broken.write_bytes(b"\x7fELF not really")
    broken.chmod(0o755)
    no_interpreter = home / "orphan"
    no_interpreter.write_text("#!/nonexistent/interpreter\n")
    no_interpreter.chmod(0o755)
    plain = home / "plain"
    plain.write_text("#!/bin/sh\n")
    rules = "\n".join(f"{home}/{name}\n" for name in ("broken", "orphan", "plain", "missing"))
    broker = start_broker(rules)
    assert broker.call(str(broken)).status == -4
    assert "Exec format error" in broker.wait_event("exit", call=1)["error"]
    assert broker.call(str(no_interpreter)).status == -4
    assert "No such file" in broker.wait_event("exit", call=2)["error"]
    assert broker.call(str(plain)).status == -4
    assert broker.call(str(home / "missing")).status == -4
    assert broker.rejects() == ["exe_unresolved", "exe_unresolved"]


def test_events_pair_and_are_private(sh):
    for _ in range(5):
        sh.call("sh", "-c", "true")
    starts, exits = sh.events("start"), sh.events("exit")
    assert [event["call"] for event in starts] == [1, 2, 3, 4, 5]
    assert [event["call"] for event in exits] == [1, 2, 3, 4, 5]
    assert starts[0]["argv"] == ["sh", "-c", "true"]
    assert starts[0]["pid"] == os.getpid() and starts[0]["uid"] == os.getuid()
    assert stat.S_IMODE(sh.manifest.stat().st_mode) == 0o600
    assert stat.S_IMODE(sh.manifest.parent.stat().st_mode) == 0o700


def test_start_is_written_before_the_child_runs(sh):
    reply, output = sh.output("sh", "-c", f"cat {sh.manifest}")
    assert b'"kind":"start"' in output and b'"kind":"exit"' not in output


def test_the_log_attribute_leaves_argv_out(start_broker):
    broker = start_broker("true\n  log = exit-only\n\nfalse\n  log = argv-only\n")
    broker.call("true")
    broker.call("false")
    broker.call("nope")
    kinds = [(event["kind"], event.get("call")) for event in broker.events()]
    assert kinds == [("serve", None), ("exit", 1), ("start", 2), ("exit", 2), ("reject", 3)]
    assert "argv" not in broker.events("exit")[0]


def test_the_listing(start_broker):
    broker = start_broker("; Say yes.\ntrue\n\necho #word\n  word = [a-z]+\n")
    expected = "; Say yes.\ntrue\n\necho #word\n  word = [a-z]+\n"
    with Connection(broker.socket) as connection:
        connection.send(struct.pack("<III", 0x534C4358, 1, 0))
        reply = connection.reply()
        assert (reply.version, reply.status, reply.text) == (1, 0, expected)
        assert connection.reply() is None  # one request, then it is closed
    assert broker.events("reject") == []


def test_a_version_1_connection_carries_one_request(sh):
    with Connection(sh.socket) as connection:
        connection.send1(["sh", "-c", "exit 3"])
        try:
            connection.send1(["sh", "-c", "exit 4"])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the first call was answered, and the connection closed, before the second was sent
        assert connection.reply().status == 3
        assert connection.reply() is None
    assert len(sh.events("start")) == 1


def test_a_version_2_connection_carries_many(sh):
    with Connection(sh.socket) as connection:
        for code in range(20):
            connection.send2(["sh", "-c", f"exit {code}"])
            reply = connection.reply()
            assert (reply.version, reply.status, reply.text) == (2, code, "")


def test_many_at_once(sh):
    connections = []
    for code in range(40):
        connection = Connection(sh.socket)
        connection.send1(["sh", "-c", f"sleep 0.1; exit {code}"])
        connections.append(connection)
    assert [connection.reply().status for connection in connections] == list(range(40))
    for connection in connections:
        connection.close()


def test_nothing_is_left_after_many_calls(sh):
    for _ in range(3):
        sh.call("sh", "-c", "true")
    before = sh.descriptors()
    for index in range(200):
        assert run1(sh.socket, ["sh", "-c", "true"]).status == 0
        assert run2(sh.socket, ["nope"]).status == -1
        with Connection(sh.socket) as connection:
            connection.send(frame1(["sh"])[:-1])  # malformed
            assert connection.reply().status == -2
    status = sh.status()
    assert (status["active"], status["background"], status["connections"]) == (0, 0, 0)
    assert sh.descriptors() <= before + 3  # at most one more idle worker


@pytest.mark.measures_memory
def test_an_idle_broker_is_small(sh):
    assert sh.call("sh", "-c", "true").status == 0
    assert sh.private_kib() < 700


def test_command_line_without_a_broker(compile_rules, home):
    import json
    import subprocess
    rules = "; Say it.\necho #word\n  word = [a-z]+\n"
    binary = compile_rules(rules)

    def run(*words):
        done = subprocess.run([binary, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={"HOME": str(home)}, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    assert run("match", "echo", "hello")[0:2] == (0, "agent.rules:2: echo #word\n")
    code, out, _ = run("match", "echo", "Hello")
    assert code == 1 and "#word accepts [a-z]+" in out and "agent.rules:2" in out
    assert run("list")[0:2] == (0, "; Say it.\necho #word\n  word = [a-z]+\n")
    listing = json.loads(run("list", "--json")[1])
    assert listing["rules"][0]["slots"][0]["pattern"] == "[a-z]+"
    assert rules in run("policy")[1]
    policy = json.loads(run("policy", "--json")[1])
    assert policy["source"] == rules
    assert run("--version")[0] == 0
    assert "usage:" in run("--help")[1]
    code, _, err = run("serv")
    assert code == 2 and "serv" in err
    assert run("match")[0] == 2
