"""Signals and terminals: what reaches the command, and what happens to sluicify itself."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from client_helpers import clean_environment
from denied import deny

FORWARDED = ["INT", "TERM", "HUP", "QUIT", "WINCH", "TSTP", "CONT", "USR1", "USR2"]

# Ends when it is told to on standard input; says which signals came. Blocks nothing, stops at nothing.
REPORTER = r"""
import os, signal, sys
def came(number, frame):
    os.write(1, (signal.Signals(number).name + "\n").encode())
for name in %r:
    signal.signal(getattr(signal, "SIG" + name), came)
os.write(1, b"ready\n")
while True:
    line = sys.stdin.readline()
    if not line or line == "quit\n":
        os._exit(7)
""" % FORWARDED


def wait_for_text(stream, text):
    """Reads from a pipe or terminal until `text` has come; returns all that was read."""
    seen = b""
    end = time.monotonic() + 30
    while text not in seen:
        ready, _, _ = select.select([stream], [], [], max(0, end - time.monotonic()))
        assert ready, f"no {text!r} in {seen!r}"
        part = os.read(stream, 4096)
        assert part, f"no {text!r} in {seen!r}"
        seen += part
    return seen


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def start_reporter(broker, start, **arguments):
    process = start(broker, "python3", "-c", REPORTER, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, **arguments)
    wait_for_text(process.stdout.fileno(), b"ready\n")
    return process


def quit_reporter(process):
    process.stdin.write(b"quit\n")
    process.stdin.flush()
    assert process.wait(30) == 7


# ---- forwarding -------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in FORWARDED if name != "TSTP"])
def test_passes_a_signal_on_and_lives(make_broker, start, name):
    broker = make_broker()
    process = start_reporter(broker, start)
    process.send_signal(getattr(signal, "SIG" + name))
    wait_for_text(process.stdout.fileno(), b"SIG%s\n" % name.encode())
    assert broker.signals == [getattr(signal, "SIG" + name)]
    quit_reporter(process)


def test_passes_many_signals_on_in_order(make_broker, start):
    broker = make_broker()
    process = start_reporter(broker, start)
    for count, name in enumerate(["USR1", "INT", "USR2", "WINCH", "HUP", "INT", "TERM"], 1):
        process.send_signal(getattr(signal, "SIG" + name))
        broker.wait(lambda b: len(b.signals) == count)
    assert [s.name for s in broker.signals] == ["SIGUSR1", "SIGINT", "SIGUSR2", "SIGWINCH", "SIGHUP",
                                                "SIGINT", "SIGTERM"]
    quit_reporter(process)


def test_exits_as_a_command_that_the_signal_ended(make_broker, start):
    process = start(make_broker(), "sh", "-c", "echo ready; exec sleep 1000", stdout=subprocess.PIPE)
    wait_for_text(process.stdout.fileno(), b"ready\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", ["INT", "HUP", "QUIT", "TERM"])
def test_an_ignored_signal_stays_ignored(make_broker, start, name):
    """nohup(1), and what a shell without job control does for its background jobs."""
    number = getattr(signal, "SIG" + name)
    broker = make_broker()
    process = start_reporter(broker, start, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    process.send_signal(number)
    process.send_signal(signal.SIGUSR1)
    wait_for_text(process.stdout.fileno(), b"SIGUSR1\n")
    assert broker.signals == [signal.SIGUSR1]
    quit_reporter(process)


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_with_version_1_a_signal_ends_sluicify(make_broker, start, name):
    broker = make_broker(versions=(1,))
    process = start_reporter(broker, start)
    number = getattr(signal, "SIG" + name)
    process.send_signal(number)
    assert process.wait(30) == -number
    assert broker.signals == []


def test_a_signal_before_the_old_broker_answers_is_not_lost(make_broker, start):
    """Passed on to a broker that then turns out to speak version 1: it must act after all."""
    held = []
    started = threading.Event()

    def answer(frame):
        held.append(frame)
        if frame.version == 2:
            assert started.wait(30)
            process.send_signal(signal.SIGTERM)
            broker.wait(lambda b: b.signals)
            return b"XCLS\x01\0\0\0\xfe\xff\xff\xff"
        return 0, b""

    broker = make_broker(answer=answer)
    process = start(broker, "x")
    started.set()
    assert process.wait(30) == -signal.SIGTERM
    assert len(held) == 1


def test_a_stop_before_the_old_broker_answers_is_one_stop(make_broker, start):
    started = threading.Event()

    def answer(frame):
        if frame.version == 2:
            assert started.wait(30)
            process.send_signal(signal.SIGTSTP)
            wait_until(lambda: state_of(process.pid) == "T")
            process.send_signal(signal.SIGCONT)
            broker.wait(lambda b: b.signals == [signal.SIGTSTP, signal.SIGCONT])
            return b"XCLS\x01\0\0\0\xfe\xff\xff\xff"
        return 9, b""

    broker = make_broker(answer=answer)
    process = start(broker, "x", process_group=0)
    started.set()
    assert process.wait(30) == 9


def test_without_signalfd_a_signal_ends_sluicify(make_broker, start):
    process = start_reporter(make_broker(), start, preexec_fn=deny("signalfd4"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM


def test_other_signals_are_its_own(make_broker, start):
    broker = make_broker()
    process = start_reporter(broker, start)
    process.send_signal(signal.SIGALRM)
    assert process.wait(30) == -signal.SIGALRM
    broker.wait(lambda b: b.gone)


def test_the_broker_sees_a_killed_caller(make_broker, start):
    broker = make_broker()
    process = start_reporter(broker, start)
    process.kill()
    process.wait()
    broker.wait(lambda b: b.gone)


def test_a_stop_is_passed_on_and_followed(make_broker, start):
    """Its process group has a parent in the same session, this test: it is not orphaned."""
    broker = make_broker()
    process = start_reporter(broker, start, process_group=0)
    for _ in range(3):
        broker.signals.clear()
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: state_of(process.pid) == "T")
        broker.wait(lambda b: b.signals == [signal.SIGTSTP])
        process.send_signal(signal.SIGCONT)
        broker.wait(lambda b: b.signals == [signal.SIGTSTP, signal.SIGCONT])
        wait_until(lambda: state_of(process.pid) == "S")
    quit_reporter(process)


def test_a_stop_that_nobody_could_undo_is_undone(make_broker, start):
    """In an orphaned process group SIGTSTP does not stop: the command is then told to go on."""
    broker = make_broker()
    process = start_reporter(broker, start, start_new_session=True)
    process.send_signal(signal.SIGTSTP)
    broker.wait(lambda b: b.signals == [signal.SIGTSTP, signal.SIGCONT])
    assert state_of(process.pid) in "SR"
    quit_reporter(process)


# ---- terminals --------------------------------------------------------------------------------

class Terminal:
    """A pseudoterminal with a program on it, as a session of its own."""

    def __init__(self, broker, words, **more):
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))

        def prepare():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=prepare,
            env=clean_environment(SLUICE_SOCKET=broker.path, TERM="dumb", **more))
        os.close(slave)

    def type(self, text):
        os.write(self.master, text)

    def expect(self, text):
        return wait_for_text(self.master, text)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal():
    made = []

    def make(*arguments, **more):
        made.append(Terminal(*arguments, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


# Reads lines and says what it read; tells the terminal's size when that changes; survives Ctrl-C.
INTERACTIVE = r"""
import os, signal, sys
def say(text):
    os.write(1, text.encode() + b"\n")
signal.signal(signal.SIGINT, lambda *a: say("interrupted"))
signal.signal(signal.SIGWINCH, lambda *a: say("size %d %d" % tuple(os.get_terminal_size(0))))
say("tty %s %s %s" % (os.isatty(0), os.isatty(1), os.isatty(2)))
for line in sys.stdin:
    say("read " + line.strip())
    if line == "raw\n":
        import termios, tty
        before = termios.tcgetattr(0)
        tty.setraw(0)
        say("raw now")
        say("byte %d" % os.read(0, 1)[0])
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    if line == "quit\n":
        sys.exit(5)
"""


def test_an_interactive_program_works_on_the_callers_terminal(make_broker, client, terminal):
    broker = make_broker()
    screen = terminal(broker, [client, "python3", "-c", INTERACTIVE])
    screen.expect(b"tty True True True")
    screen.type(b"hello\n")
    screen.expect(b"read hello")
    screen.type(b"\x03")
    screen.expect(b"interrupted")
    screen.resize(50, 132)
    screen.expect(b"size 132 50")
    screen.type(b"raw\n")
    screen.expect(b"raw now")
    screen.type(b"\x03")  # a byte now, and no signal
    screen.expect(b"byte 3")
    screen.type(b"quit\n")
    assert screen.process.wait(30) == 5
    assert broker.signals == [signal.SIGINT, signal.SIGWINCH]


def test_ctrl_c_ends_an_ordinary_program(make_broker, client, terminal):
    screen = terminal(make_broker(), [client, "sh", "-c", "echo ready; exec sleep 1000"])
    screen.expect(b"ready")
    screen.type(b"\x03")
    assert screen.process.wait(30) == 128 + signal.SIGINT


def test_ctrl_backslash_and_hangup(make_broker, client, terminal):
    broker = make_broker()
    screen = terminal(broker, [client, "sh", "-c", "echo ready; exec sleep 1000"])
    screen.expect(b"ready")
    screen.type(b"\x1c")
    assert screen.process.wait(30) == 128 + signal.SIGQUIT
    screen = terminal(broker, [client, "sh", "-c", "echo ready; exec sleep 1000"])
    screen.expect(b"ready")
    broker.signals.clear()
    os.close(screen.master)  # the terminal's window is closed
    screen.master = os.open("/dev/null", os.O_RDONLY)
    assert screen.process.wait(30) == 128 + signal.SIGHUP
    assert signal.SIGHUP in broker.signals


def test_job_control_of_a_shell(make_broker, client, terminal):
    """Ctrl-Z, the shell's prompt, fg, Ctrl-C: as with any program."""
    broker = make_broker()
    shell = terminal(broker, ["bash", "--norc", "--noprofile", "-i"], PS1="prompt> ",
                     PATH=os.environ["PATH"])
    shell.expect(b"prompt> ")
    shell.type(f"{client} sh -c 'echo ready; exec sleep 1000'\n".encode())
    shell.expect(b"\nready")
    shell.type(b"\x1a")
    assert re.search(rb"Stopped", shell.expect(b"prompt> "))
    broker.wait(lambda b: b.signals == [signal.SIGTSTP])
    shell.type(b"jobs\n")
    assert b"Stopped" in shell.expect(b"prompt> ")
    shell.type(b"fg\n")
    broker.wait(lambda b: signal.SIGCONT in b.signals)
    shell.type(b"\x03")
    broker.wait(lambda b: signal.SIGINT in b.signals)
    shell.expect(b"prompt> ")
    shell.type(b"echo status $?\n")
    shell.expect(b"status 130")
    shell.type(b"exit\n")
    assert shell.process.wait(30) == 0
