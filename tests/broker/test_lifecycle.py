"""A broker's life: start, sockets, readiness, signals, the end."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wire
from conftest import Broker, with_defaults
from wire import BUSY, Connection, wait_for

SH = "sh -c #script\n  allow_any = script\n"


def serve(binary, *arguments, env=None, **more):
    """Runs a broker that is expected to end by itself; its exit status and standard error."""
    done = subprocess.run([binary, "serve", *arguments], env=env, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=60, **more)
    return done.returncode, done.stderr.decode()


def environment(home, **more):
    return {"HOME": str(home), "PATH": os.environ["PATH"], **more}


# ---- the socket ----------------------------------------------------------------------------------

def test_the_socket_is_private_and_removed(start_broker, home):
    broker = start_broker(SH)
    assert stat.S_IMODE(broker.socket.stat().st_mode) == 0o600
    assert broker.stop() == 0
    assert not broker.socket.exists()
    assert not (home / "b.sock.lock").exists()
    kinds = [event["kind"] for event in broker.events()]
    assert kinds == ["serve", "stop"]


def test_the_default_socket(start_broker, home):
    run = home / "run"
    run.mkdir(mode=0o700)
    broker = start_broker(SH, name="my-agent", socket_path=False,
                          env={"XDG_RUNTIME_DIR": str(run)})
    path = run / "sluice" / "my-agent.sock"
    assert path.exists()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert wire.run1(path, ["sh", "-c", "exit 3"]).status == 3


def test_the_rules_socket(start_broker, home):
    broker = start_broker(SH, "socket = $HOME/sub/dir/x.sock", socket_path=False)
    assert wire.run1(home / "sub/dir/x.sock", ["sh", "-c", "exit 3"]).status == 3
    assert stat.S_IMODE((home / "sub").stat().st_mode) == 0o700
    assert broker.stop() == 0


def test_no_socket_path_at_all(compile_rules, home):
    code, err = serve(compile_rules(SH), env={"PATH": "/bin"})
    assert code == 2 and "XDG_RUNTIME_DIR" in err and "--socket" in err


def test_a_second_broker_refuses(start_broker, home):
    broker = start_broker(SH)
    code, err = serve(broker.binary, "--socket", str(broker.socket), env=environment(home))
    assert code == 2 and "another broker serves" in err and str(broker.socket) in err
    assert broker.call("sh", "-c", "exit 3").status == 3


def test_a_stale_socket_is_replaced(start_broker, home):
    broker = start_broker(SH)
    broker.process.kill()
    broker.process.wait()
    assert broker.socket.exists()
    again = start_broker(SH)
    assert again.call("sh", "-c", "exit 3").status == 3


def test_a_socket_of_something_else_is_left_alone(compile_rules, home):
    binary = compile_rules(SH)
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        path = home / f"other{kind}"
        other = socket.socket(socket.AF_UNIX, kind)
        other.bind(str(path))
        other.listen()
        code, err = serve(binary, "--socket", str(path), env=environment(home))
        assert code == 2 and "another process listens" in err
        assert path.exists()
        other.close()


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo"])
def test_anything_else_at_the_path_is_an_error(compile_rules, home, kind):
    path = home / "b.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(home / "nothing")
    else:
        os.mkfifo(path)
    code, err = serve(compile_rules(SH), "--socket", str(path), env=environment(home))
    assert code == 2 and "no socket" in err
    assert path.is_symlink() or path.exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_can_write(compile_rules, home, mode):
    folder = home / "open"
    folder.mkdir()
    folder.chmod(mode)
    code, err = serve(compile_rules(SH), "--socket", str(folder / "b.sock"), env=environment(home))
    assert code == 2 and str(folder) in err
    assert not (folder / "b.sock").exists()


def test_best_effort_warns_of_such_a_directory(start_broker, home):
    folder = home / "open"
    folder.mkdir()
    folder.chmod(0o770)
    broker = start_broker(SH, "audit = best-effort", socket_path=folder / "b.sock")
    assert "not safe" in broker.stderr()
    assert broker.call("sh", "-c", "exit 3").status == 3


def test_a_path_that_is_too_long(compile_rules, home):
    code, err = serve(compile_rules(SH), "--socket", str(home / ("x" * 120)),
                      env=environment(home))
    assert code == 2 and "at most 107 bytes" in err


def test_a_relative_socket_path(compile_rules, home):
    broker = Broker(compile_rules(SH), home, wrapper=("env", "-C", str(home)),
                    arguments=("--socket", "b.sock"))
    assert broker.call("sh", "-c", "exit 3").status == 3
    broker.kill()


# ---- activation, readiness -----------------------------------------------------------------------

ACTIVATE = """
import os, socket, sys
fd = int(sys.argv[1])
os.dup2(fd, 3)
os.environ["LISTEN_PID"] = str(os.getpid()); os.environ["LISTEN_FDS"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_socket_activation(compile_rules, home):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(home / "a.sock"))
    listener.listen()
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(listener.fileno()), "1", compile_rules(SH), "serve"],
        env=environment(home), pass_fds=[listener.fileno()])
    assert wire.run1(home / "a.sock", ["sh", "-c", "exit 3"]).status == 3
    process.terminate()
    assert process.wait(wire.PATIENCE) == 0
    assert (home / "a.sock").exists()  # the service manager's, not ours


@pytest.mark.parametrize("kind, count", [(socket.SOCK_STREAM, "1"), (socket.SOCK_SEQPACKET, "2")])
def test_a_wrong_activation_is_said(compile_rules, home, kind, count):
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(home / "a.sock"))
    listener.listen()
    done = subprocess.run(
        [sys.executable, "-c", ACTIVATE, str(listener.fileno()), count, compile_rules(SH)],
        env=environment(home), pass_fds=[listener.fileno()], stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 2
    assert b"SOCK_SEQPACKET" in done.stderr or b"LISTEN_FDS" in done.stderr


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(compile_rules, home, abstract):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"\0sluice-test-{home.name}" if abstract else str(home / "notify")
    manager.bind(name)
    manager.settimeout(wire.PATIENCE)
    broker = Broker(compile_rules(SH), home, env={"NOTIFY_SOCKET": name.replace("\0", "@")})
    assert b"READY=1" in manager.recv(1000).split(b"\n")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    broker.signal(signal.SIGHUP)
    lines = manager.recv(1000).split(b"\n")
    assert b"RELOADING=1" in lines
    (when,) = [int(line.split(b"=")[1]) for line in lines if line.startswith(b"MONOTONIC_USEC=")]
    assert before <= when <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert b"READY=1" in manager.recv(1000).split(b"\n")
    broker.signal(signal.SIGTERM)
    assert b"STOPPING=1" in manager.recv(1000).split(b"\n")
    assert broker.stop() == 0
    broker.kill()


def test_nothing_inherited_stays_open(compile_rules, home):
    read, write = os.pipe()
    broker = Broker(compile_rules(SH), home, wrapper=(
        sys.executable, "-c", "import os, sys\n"
        "for n in range(500, 520): os.dup2(1, n)\nos.execv(sys.argv[1], sys.argv[1:])"))
    assert broker.descriptors() < 30
    reply, output = broker.output("sh", "-c", "ls /proc/self/fd")
    assert output.split() == [b"0", b"1", b"2", b"3"]
    broker.kill()
    os.close(read)
    os.close(write)


def test_a_broker_that_is_killed_at_once_leaves_room_for_the_next(start_broker):
    """What it had just forked does not keep its lock: not while the kernel makes a network for it."""
    for _ in range(10):
        start_broker(SH + "  net = none\n").kill()
    assert start_broker(SH).call("sh", "-c", "exit 3").status == 3


def test_closed_standard_descriptors(compile_rules, home):
    broker = Broker(compile_rules(SH), home, wrapper=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    reply, output = broker.output("sh", "-c", "echo fine")
    assert (reply.status, output) == (0, b"fine\n")
    broker.kill()


# ---- signals -------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_lets_calls_finish(start_broker, home, number):
    broker = start_broker(SH, "max_active = 1")
    running = Connection(broker.socket)
    running.send1(["sh", "-c", "sleep 0.5; exit 3"])
    broker.wait_event("start")
    waiting = Connection(broker.socket)
    waiting.send1(["sh", "-c", "exit 4"])
    wait_for(lambda: broker.status()["queued"] == 1, "it to wait")
    idle = Connection(broker.socket)
    idle.send(wire.frame2(wire.HELLO))
    assert idle.reply().status == 0
    broker.signal(number)
    wait_for(lambda: not broker.socket.exists(), "the socket to go")
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        Connection(broker.socket)
    idle.send2(["sh", "-c", "exit 5"])
    assert idle.reply().status == BUSY
    assert running.reply().status == 3
    assert waiting.reply().status == 4
    assert broker.process.wait(wire.PATIENCE) == 0
    assert broker.events()[-1]["kind"] == "stop"
    for connection in (running, waiting, idle):
        connection.close()


def test_stopping_ends_calls_that_do_not_finish(start_broker, home):
    broker = start_broker(SH, "stop_timeout = 300ms\nmax_active = 1")
    running = Connection(broker.socket)
    running.send1(["sh", "-c", f"trap '' TERM; echo $$ > {home}/pid; while :; do sleep 0.05; done"])
    wait_for((home / "pid").exists, "the child to run")
    waiting = Connection(broker.socket)
    waiting.send1(["sh", "-c", "exit 4"])
    wait_for(lambda: broker.status()["queued"] == 1, "it to wait")
    began = time.monotonic()
    broker.signal(signal.SIGTERM)
    assert waiting.reply().status == BUSY
    assert running.reply().status == 137
    assert broker.process.wait(wire.PATIENCE) == 0
    assert 2.3 <= time.monotonic() - began < 20
    pid = int((home / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the child to be gone")
    starts, exits = broker.events("start"), broker.events("exit")
    assert [e["call"] for e in starts] == [e["call"] for e in exits]
    running.close()
    waiting.close()


def test_stopping_ends_background_processes(start_broker, home):
    broker = start_broker(SH + "  timeout = 60s\n", "stop_timeout = 200ms")
    assert broker.call("sh", "-c", f"setsid sh -c 'echo $$ > {home}/pid; exec sleep 300' & "
                       "sleep 0.2").status == 0
    pid = int(wait_for(lambda: (home / "pid").exists() and (home / "pid").read_text(), "the pid"))
    assert broker.stop() == 0
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the process to be gone")


def test_a_killed_broker_leaves_no_children(start_broker, home):
    broker = start_broker(SH + "  timeout = 60s\n")
    connection = Connection(broker.socket)
    connection.send1(["sh", "-c", f"setsid sh -c 'echo $$ > {home}/pid; exec sleep 300' & "
                      "sleep 300"])
    pid = int(wait_for(lambda: (home / "pid").exists() and (home / "pid").read_text(), "the pid"))
    workers = broker.children()
    broker.process.kill()
    for each in [pid, *workers]:
        wait_for(lambda: not wire.is_alive(each), f"{each} to be gone")
    connection.close()
    again = start_broker(SH)
    assert [event["call"] for event in again.events("lost")] == [1]


def test_the_status_line(start_broker):
    broker = start_broker(SH)
    broker.call("sh", "-c", "exit 3")
    broker.call("nope")
    with broker.connect() as silent:
        wait_for(lambda: broker.status()["connections"] == 1, "the silent one to be counted")
    status = broker.status()
    assert (status["calls"], status["active"], status["queued"]) == (1, 0, 0)
    assert status["refused.no_rule"] == 1
    assert status["audit"] == "healthy"
    assert status["uptime_s"] >= 0


def test_it_is_not_dumpable_and_has_no_new_privileges(start_broker):
    broker = start_broker(SH)
    status = Path(f"/proc/{broker.pid}/status").read_text()
    assert "NoNewPrivs:\t1\n" in status
    if os.getuid() != 0:
        assert os.stat(f"/proc/{broker.pid}/fd").st_uid == 0  # proc(5): not dumpable


def test_children_get_the_original_limit_of_open_files(compile_rules, home):
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))

    broker = Broker(compile_rules(SH), home, preexec=lower)
    reply, output = broker.output("sh", "-c", "ulimit -Sn")
    assert output == b"300\n"
    own = [line for line in Path(f"/proc/{broker.pid}/limits").read_text().splitlines()
           if line.startswith("Max open files")][0].split()
    assert int(own[3]) > 300
    broker.kill()


# ---- what keeps it from starting -----------------------------------------------------------------

def test_an_unset_variable_is_named(compile_rules, home):
    binary = compile_rules("defaults:\n  logfile = $XDG_RUNTIME_DIR/m.jsonl\n\ntrue\n  cwd = $HOME\n")
    code, err = serve(binary, "--socket", str(home / "s"), env={"PATH": "/bin"})
    assert code == 2 and "XDG_RUNTIME_DIR" in err and "HOME" in err


def test_a_manifest_that_cannot_be_opened(compile_rules, home):
    (home / "log").mkdir()
    (home / "log" / "manifest.jsonl").mkdir()
    code, err = serve(compile_rules(with_defaults(SH)), "--socket", str(home / "s"),
                      env=environment(home))
    assert code == 2 and "manifest.jsonl" in err
    assert not (home / "s").exists()


def test_an_executable_that_others_can_write(compile_rules, home):
    for mode, defaults, refused in ((0o757, "", True), (0o775, "", False),
                                    (0o777, "audit = best-effort", False)):
        binary = home / f"broker-{mode:o}"
        shutil.copy(compile_rules(with_defaults(SH, defaults)), binary)
        binary.chmod(mode)
        done = subprocess.run([binary, "check-host"], stdout=subprocess.PIPE, timeout=60,
                              env=environment(home, XDG_RUNTIME_DIR=str(home)))
        assert done.returncode == refused and b"can be written" in done.stdout
        if refused:
            code, err = serve(binary, "--socket", str(home / "s"), env=environment(home))
            assert code == 2 and "can be written by everybody" in err


def test_check_host(compile_rules, home):
    def check(rules, **env):
        done = subprocess.run([compile_rules(rules), "check-host"], stdout=subprocess.PIPE,
                              env=env or environment(home, XDG_RUNTIME_DIR=str(home)), timeout=60)
        return done.returncode, done.stdout.decode()

    code, out = check("true\n")
    assert code == 0 and "error" not in out
    code, out = check("no-such-program-here\n")
    assert code == 0 and "no-such-program-here" in out  # it may be installed later
    code, out = check("true\n  cwd = $XDG_RUNTIME_DIR\n", HOME=str(home), PATH="/bin")
    assert code == 1 and "XDG_RUNTIME_DIR" in out
    code, out = check("ls\n  fs_read = /nonexistent/folder\n")
    assert code == 1 and "/nonexistent/folder" in out
    shared = home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    code, out = check(f"defaults:\n  logfile = {shared}/m.jsonl\n\ntrue\n")
    assert code == 1 and str(shared) in out
    assert os.listdir(shared) == []


def test_wrong_usage_is_said(compile_rules):
    binary = compile_rules(SH)
    for words in (["--sockt", "x"], ["serve", "--ready-fd", "x"], ["lst"]):
        done = subprocess.run([binary, *words], stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 2 and b"--help" in done.stderr


def test_a_ready_descriptor_that_is_none(compile_rules, home):
    binary = compile_rules(SH)
    process = subprocess.Popen([binary, "--socket", str(home / "s"), "--ready-fd", "77"],
                               stderr=subprocess.PIPE, env=environment(home))

    def is_served():
        try:
            return wire.run1(home / "s", ["sh", "-c", "exit 3"]).status == 3
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # not there yet, or there but not listened on yet

    try:
        wait_for(is_served, "service")
    finally:
        process.terminate()
        told = process.communicate(timeout=60)[1]
    assert b"--ready-fd 77" in told
    shutil.rmtree(home / "log", ignore_errors=True)
