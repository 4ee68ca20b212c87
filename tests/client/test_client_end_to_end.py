"""sluicify and a broker that sluicec made: what the other files test against a stand-in, once for real."""
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import textwrap

import pytest

from client_helpers import ROOT, clean_environment
from denied import deny
from test_client_signals import (FORWARDED, INTERACTIVE, REPORTER, quit_reporter, state_of,
                                 wait_for_text, wait_until)

RULES = r"""
defaults:
  exec_path = /usr/bin:/bin
  confine = best-effort

; Says things.
echo #words...{0,30}
  words = [^\x00]*

sh -c #script
  allow_any = script

python3 -c #program signals
  allow_any = program
  forward = int,term,hup,quit,winch,tstp,cont,usr1,usr2

sh -c #script deaf
  allow_any = script
  forward = none

wc -c #large
  allow_any = large
  allow_max = large:65536

python3 -c #program
  allow_any = program
  allow_max = program:65536

env
  env_from_caller = COLOUR
  env.COLOUR = [a-z]+

pwd
  cwd_from_caller = /(usr|tmp)(/.*)?

sleep #n
  n = @int(1,1000)
  timeout = 200ms
"""


@pytest.fixture(scope="module")
def binary(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "agent.rules").write_text(RULES)
    done = subprocess.run([build / "sluicec", folder / "agent.rules", "-o", folder / "agent-broker"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == 0, done.stdout.decode()
    return folder / "agent-broker"


@pytest.fixture(scope="module")
def broker(binary, tmp_path_factory):
    """The path of a served socket, one broker for all tests of this file."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    ready, told = os.pipe()
    with open(home / "stderr", "wb") as errors:
        process = subprocess.Popen(
            [binary, "serve", "--socket", home / "b.sock", "--ready-fd", str(told)], pass_fds=[told],
            env={"HOME": str(home), "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
            stdout=errors, stderr=errors)
    os.close(told)
    with os.fdopen(ready, "rb") as stream:
        assert stream.read(1) == b"\n", (home / "stderr").read_text()
    yield str(home / "b.sock")
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def at(broker):
    """What `run` and `start` want of a broker."""
    class At:
        path = broker
    return At


def test_a_call(run, at):
    result = run(at, "echo", "hello", "wörld", "")
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello wörld \n".encode(), b"")
    assert run(at, "sh", "-c", "cat; exit 7", stdin=subprocess.DEVNULL).returncode == 7
    assert run(at, "sh", "-c", "kill -9 $$").returncode == 137


def test_refusals_say_why(run, at):
    result = run(at, "sleep", "x")
    assert result.returncode == 129
    first, *rest = result.stderr.decode().splitlines()
    assert first == "sluicify: no rule for: sleep x"
    assert rest and all(line.startswith("  ") for line in rest)
    assert any("agent.rules:" in line for line in rest)
    result = run(at, "sleep", "1000")
    assert result.returncode == 124
    assert result.stderr.startswith(b"sluicify: ended by the rule's timeout: sleep 1000\n")
    assert run(at, "no-such-command").returncode == 129


def test_a_closed_standard_output(run, at):
    result = run(at, "sh", "-c", "all=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo \"$all\" >&2",
                 preexec_fn=lambda: (os.close(0), os.close(1)))
    assert (result.returncode, result.stderr) == (0, b"/dev/null\n/dev/null\n")


def test_large_arguments(run, at):
    program = "print(len('" + "x" * 65000 + "'))"
    result = run(at, "python3", "-c", program)
    assert (result.returncode, result.stdout) == (0, b"65000\n")
    # 600 KiB in a memfd, and then refused by the matcher rather than by the wire.
    result = run(at, "echo", *["y" * 100000] * 6)
    assert result.returncode == 129


def test_variables_and_directories(run, at):
    result = run(at, "-e", "COLOUR=blue", "env")
    assert result.returncode == 0
    assert b"COLOUR=blue\n" in result.stdout
    assert run(at, "-e", "COLOUR=1", "env").returncode == 129
    assert run(at, "-e", "OTHER=x", "env").returncode == 129
    assert run(at, "-C", "/usr/bin/..", "pwd").stdout == b"/usr\n"
    assert run(at, "-C", "/etc", "pwd").returncode == 129


def test_listing_and_links(run, at, tmp_path, client):
    result = run(at, "--list")
    assert result.returncode == 0
    menu = result.stdout.decode()
    assert "; Says things.\necho #words...{0,30}\n" in menu
    assert run(at, "--shims", str(tmp_path / "d")).stdout.decode().split() == [
        "echo", "sh", "python3", "wc", "env", "pwd", "sleep"]
    assert run(at, "one", "two", program=str(tmp_path / "d/echo")).stdout == b"one two\n"


def test_a_sandbox_without_sockets(run, at, client):
    """Forty calls at once through one inherited connection, where no socket can be made."""
    script = f"""
import os, subprocess, sys
sys.path.insert(0, {str(ROOT / "tests/client")!r})
from denied import deny
deny("socket")()
calls = [subprocess.Popen([{client!r}, "sh", "-c", "read x; echo $x; exit %d" % i], close_fds=False,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) for i in range(40)]
for i in reversed(range(40)):
    output, _ = calls[i].communicate(b"line %d\\n" % i, timeout=60)
    assert (calls[i].returncode, output) == (i, b"line %d\\n" % i)
print("all")
"""
    result = run(None, "--launch", at.path, "--", sys.executable, "-c", script)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"all\n", b"")


def test_a_sandbox_without_socketpairs_too(run, at, client):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(at.path)
    arguments = {"pass_fds": [connection.fileno()], "env": {"SLUICE_FD": str(connection.fileno())}}
    forbidden = deny("socket", "socketpair")
    result = run(None, "echo", "through a pipe", preexec_fn=forbidden, **arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"through a pipe\n", b"")
    assert run(None, "--list", preexec_fn=forbidden, **arguments).stdout == run(at, "--list").stdout
    result = run(None, "nothing", preexec_fn=forbidden, **arguments)
    assert result.returncode == 129
    assert result.stderr.startswith(b"sluicify: no rule for: nothing\n  ")
    connection.close()


@pytest.mark.parametrize("name", [name for name in FORWARDED if name != "TSTP"])
def test_signals(start, at, name):
    process = start(at, "python3", "-c", REPORTER, "signals", stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE)
    wait_for_text(process.stdout.fileno(), b"ready\n")
    process.send_signal(getattr(signal, "SIG" + name))
    wait_for_text(process.stdout.fileno(), b"SIG%s\n" % name.encode())
    quit_reporter(process)


def test_stop_and_continue(start, at):
    process = start(at, "python3", "-c", REPORTER, "signals", stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, process_group=0)
    wait_for_text(process.stdout.fileno(), b"ready\n")
    process.send_signal(signal.SIGTSTP)
    wait_for_text(process.stdout.fileno(), b"SIGTSTP\n")
    wait_until(lambda: state_of(process.pid) == "T")
    process.send_signal(signal.SIGCONT)
    wait_for_text(process.stdout.fileno(), b"SIGCONT\n")
    quit_reporter(process)


def test_the_rule_says_which_signals(start, at):
    """By default SIGUSR1 is not passed on, and nothing is with forward = none."""
    script = "trap 'echo usr1; exit 1' USR1; trap 'echo int; exit 2' INT; echo ready; read x; exit 3"
    process = start(at, "sh", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for_text(process.stdout.fileno(), b"ready\n")
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == b"int\n"
    assert process.wait(30) == 2
    process = start(at, "sh", "-c", script, "deaf", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for_text(process.stdout.fileno(), b"ready\n")
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGINT)
    process.stdin.write(b"x\n")
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait(30) == 3


def test_a_terminal(at, client):
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    process = subprocess.Popen(
        [client, "python3", "-c", INTERACTIVE], stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        env=clean_environment(SLUICE_SOCKET=at.path))
    os.close(slave)
    wait_for_text(master, b"tty True True True")
    os.write(master, b"hello\n")
    wait_for_text(master, b"read hello")
    os.write(master, b"\x03")
    wait_for_text(master, b"interrupted")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 50, 132, 0, 0))
    wait_for_text(master, b"size 132 50")
    os.write(master, b"raw\n")
    wait_for_text(master, b"raw now")
    os.write(master, b"\x03")
    wait_for_text(master, b"byte 3")
    os.write(master, b"quit\n")
    assert process.wait(30) == 5
    os.close(master)


def test_the_examples_of_the_manual(at, capfd):
    """docs/wire.md's two clients, against the real thing."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/wire.md").read_text(), re.S)
    spaces = [{}, {}]
    for block, space in zip(blocks, spaces):
        exec(block, space)
    null = os.open(os.devnull, os.O_RDWR)
    assert spaces[0]["call"](at.path, ["sh", "-c", "exit 3"], (null,) * 3) == 3
    assert spaces[0]["call"](at.path, ["nothing"], (null,) * 3) == -1
    os.close(null)
    program = blocks[1] + textwrap.dedent("""
        assert call_inherited(["sh", "-c", "exit 4"]) == (4, "")
        assert call_inherited(["pwd"], directory="/usr") == (0, "")
        assert call_inherited(["env"], variables=["COLOUR=red"]) == (0, "")
        status, text = call_inherited(["sleep", "x"])
        assert status == -1 and "agent.rules:" in text
        """)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(at.path)
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, pass_fds=[connection.fileno()],
                       env=clean_environment(SLUICE_FD=str(connection.fileno())))
