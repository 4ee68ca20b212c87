"""Names that come to mean something else while calls use them: symlinks and directories exchanged, the
executable replaced, the socket taken away. What was checked is what is used; a call gets the one thing
or the other, or is refused, and never what it must not have."""
import ctypes
import os
import shutil
import signal
import stat
import threading
import time

import pytest
from conftest import Broker, with_defaults
from test_reload import install
from wire import AUDIT, CONFINE, NO_RULE, Connection, Output, run1, wait_for

LIBC = ctypes.CDLL(None, use_errno=True)
EXCHANGE = 2  # RENAME_EXCHANGE, renameat2(2)
AT_FDCWD = -100


def exchange(one, other):
    """Both names change places at one moment: neither is ever missing."""
    done = LIBC.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE)
    if done < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


class Exchanging:
    """Exchanges two names, again and again, until the end of the block."""

    def __init__(self, one, other):
        self.names = one, other
        self.times = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            exchange(*self.names)
            self.times += 1
            time.sleep(0.0002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert self.times > 10


def calls_until(seen, wanted, call, most=3000):
    """Calls until each of `wanted` has been seen, and a little longer; whatever else is seen stays in
    `seen` for the test to judge."""
    for number in range(most):
        seen.add(call())
        if wanted <= seen and number > 100:
            return
    raise AssertionError(f"of {wanted} only {seen} in {most} calls")


def test_the_executable_is_exchanged(start_broker, home):
    """One of the two runs, whole, whichever it is; no call fails for it."""
    (home / "bin").mkdir()
    shutil.copy("/bin/true", home / "bin" / "tool")
    shutil.copy("/bin/false", home / "bin" / "other")
    broker = start_broker(f"tool\n  exec_path = {home}/bin\n")
    seen = set()
    with Exchanging(home / "bin" / "tool", home / "bin" / "other"):
        calls_until(seen, {0, 1}, lambda: broker.call("tool").status)
    assert seen == {0, 1}
    assert {event["resolved"] for event in broker.events("start")} == {str(home / "bin" / "tool")}


def test_the_executable_is_replaced_while_it_runs(start_broker, home):
    """A call that runs goes on as what it was; the next is the new one."""
    (home / "bin").mkdir()
    shutil.copy("/bin/sleep", home / "bin" / "tool")
    broker = start_broker(f"tool #n\n  n = [0-9.]+\n  exec_path = {home}/bin\n")
    with Connection(broker.socket) as connection:
        connection.send1(["tool", "1"])
        broker.wait_event("start")
        shutil.copy("/bin/false", home / "bin" / "new")
        os.rename(home / "bin" / "new", home / "bin" / "tool")
        assert broker.call("tool", "1").status == 1
        assert connection.reply().status == 0


def test_a_callers_directory_becomes_a_symlink(start_broker, home):
    """cwd_from_caller follows none, at whatever moment one is put there."""
    (home / "secret").mkdir()
    (home / "work").mkdir()
    (home / "work" / "here").mkdir()
    os.symlink(home / "secret", home / "work" / "away")
    broker = start_broker("pwd -P\n  cwd_from_caller = /.*\n")
    inside = {f"{home}/work/here\n", f"{home}/work/away\n"}  # its name when it prints it
    seen = set()

    def call():
        with Output() as output:
            reply = broker.call2("pwd", "-P", cwd=str(home / "work" / "here"), stdout=output)
            if reply.status == 0:
                assert output.read().decode() in inside
            return reply.status

    with Exchanging(home / "work" / "here", home / "work" / "away"):
        calls_until(seen, {0, NO_RULE}, call)
    assert seen == {0, NO_RULE}
    assert set(broker.rejects()) == {"cwd_not_allowed"}


def test_a_directory_on_the_way_becomes_a_symlink(start_broker, home):
    """The same for a component that is not the last."""
    for folder in ("secret/sub", "work/here/sub"):
        (home / folder).mkdir(parents=True)
    os.symlink(home / "secret", home / "work" / "away")
    broker = start_broker("pwd -P\n  cwd_from_caller = /.*\n")
    inside = {f"{home}/work/here/sub\n", f"{home}/work/away/sub\n"}
    seen = set()

    def call():
        with Output() as output:
            reply = broker.call2("pwd", "-P", cwd=str(home / "work/here/sub"), stdout=output)
            if reply.status == 0:
                assert output.read().decode() in inside
            return reply.status

    with Exchanging(home / "work" / "here", home / "work" / "away"):
        calls_until(seen, {0, NO_RULE}, call)
    assert seen == {0, NO_RULE}


def test_a_granted_file_becomes_a_symlink(start_broker, home):
    """`fs_read = #file` grants what the name meant when it was opened, and nothing outside its folder:
    the program, which opens the name again, is held to that."""
    (home / "work").mkdir()
    (home / "work" / "file").write_text("open\n")
    (home / "secret").write_text("secret\n")
    os.symlink(home / "secret", home / "work" / "away")
    broker = start_broker("cat #file\n  file = @filename\n  cwd = $HOME/work\n"
                          "  fs_read = @system, #file\n")
    seen = set()

    def call():
        with Output() as output:
            reply = broker.call("cat", "file", stdout=output)
            assert output.read() in (b"open\n", b"")
            return reply.status

    with Exchanging(home / "work" / "file", home / "work" / "away"):
        calls_until(seen, {0, CONFINE}, call)
    assert seen <= {0, 1, CONFINE}


def test_the_directory_of_captures_is_exchanged(start_broker, home):
    """Into a directory that others can write nothing is written, at whatever moment it appears."""
    for name, mode in (("out", 0o700), ("open", 0o777)):
        (home / name).mkdir()
        (home / name).chmod(mode)
    private = os.stat(home / "out").st_ino
    broker = start_broker("echo here\n  stdoutfile = $HOME/out/#$call\n")
    seen = set()
    with Exchanging(home / "out", home / "open"):
        calls_until(seen, {0, AUDIT}, lambda: broker.call("echo", "here").status)
    assert seen == {0, AUDIT}
    wait_for(lambda: broker.status()["background"] == 0, "the captures to end")
    ended = [event for event in broker.events("exit") if event["status"] == 0]
    for name in ("out", "open"):
        files = os.listdir(home / name)
        if os.stat(home / name).st_ino == private:
            assert len(files) == len(ended)
            for file in files:
                assert (home / name / file).read_bytes() == b"here\n"
                assert stat.S_IMODE((home / name / file).stat().st_mode) == 0o600
        else:
            assert files == []


def test_a_capture_file_becomes_a_symlink(start_broker, home):
    """O_NOFOLLOW: it is refused, and what the link names stays as it was."""
    (home / "out").mkdir(mode=0o700)
    (home / "victim").write_text("")
    (home / "out" / "file").write_text("")
    (home / "out" / "file").chmod(0o600)
    os.symlink(home / "victim", home / "out" / "away")
    broker = start_broker("echo here\n  stdoutfile = $HOME/out/file\n")
    seen = set()
    with Exchanging(home / "out" / "file", home / "out" / "away"):
        calls_until(seen, {0, AUDIT}, lambda: broker.call("echo", "here").status)
    assert seen == {0, AUDIT}
    assert (home / "victim").read_bytes() == b""


def test_the_socket_is_unlinked_while_calls_run(start_broker, home):
    broker = start_broker("sh -c #script\n  allow_any = script\n")
    with Connection(broker.socket) as running, Connection(broker.socket) as idle:
        running.send1(["sh", "-c", f"while [ ! -e {home}/gate ]; do sleep 0.01; done; exit 4"])
        broker.wait_event("start")
        os.unlink(broker.socket)
        with pytest.raises(FileNotFoundError):
            Connection(broker.socket)
        idle.send1(["sh", "-c", "exit 5"])  # who is connected is served
        assert idle.reply().status == 5
        (home / "gate").touch()
        assert running.reply().status == 4
    assert broker.stop() == 0
    again = start_broker("sh -c #script\n  allow_any = script\n")
    assert again.call("sh", "-c", "exit 6").status == 6


def test_a_broker_does_not_remove_anothers_socket(start_broker, compile_rules, home):
    """The socket and the lock are taken away, another broker starts there, and the first one ends."""
    rules = "sh -c #script\n  allow_any = script\n"
    first = start_broker(rules)
    os.unlink(first.socket)
    os.unlink(home / "b.sock.lock")
    (home / "second").mkdir(mode=0o700)
    second = Broker(compile_rules(with_defaults(rules)), home / "second", socket_path=first.socket)
    try:
        assert first.stop() == 0
        assert run1(second.socket, ["sh", "-c", "exit 3"]).status == 3
        assert os.path.exists(second.socket)
        assert second.stop() == 0
        assert not os.path.exists(second.socket)
    finally:
        second.kill()


def test_the_brokers_own_executable_is_exchanged_at_each_reload(start_broker, compile_rules, home):
    """SIGHUP after SIGHUP while the file changes under it: every call is answered by one or the
    other."""
    one = "sh -c #script\n  allow_any = script\n\necho one\n"
    other = "sh -c #script\n  allow_any = script\n\necho other\n"
    broker = start_broker(one)
    shutil.copy(compile_rules(with_defaults(other)), home / "other")
    (home / "other").chmod(0o755)
    seen = set()
    with Exchanging(broker.binary, home / "other"):
        for _ in range(30):
            broker.signal(signal.SIGHUP)
            for word in ("one", "other"):
                seen.add((word, broker.call("echo", word).status))
            assert broker.call("sh", "-c", "exit 3").status == 3
    assert {status for _, status in seen} <= {0, NO_RULE}
    assert broker.process.poll() is None
    install(broker, compile_rules(with_defaults(one)))
    wait_for(lambda: not broker.signal(signal.SIGHUP) and broker.call("echo", "one").status == 0,
             "the last one")
    assert len(broker.events("start")) == len(broker.events("exit"))
