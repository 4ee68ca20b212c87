"""One inherited connection for a whole sandbox: --launch, SLUICE_FD, fd:N."""
import os
import signal
import socket
import subprocess
import sys

import pytest

from client_helpers import clean_environment
from denied import deny


def lines(result):
    return result.stderr.decode().splitlines()


def connect(broker):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(broker.path)
    return connection


def inherit(connection):
    """How subprocess passes a connection on."""
    return {"pass_fds": [connection.fileno()], "env": {"SLUICE_FD": str(connection.fileno())}}


# ---- --launch ---------------------------------------------------------------------------------

def test_launches_a_program_with_one_connection(make_broker, run, client):
    broker = make_broker()
    script = f"{client} sh -c 'echo one; exit 3'; echo $?; {client} echo two; echo $SLUICE_FD; exit 4"
    result = run(None, "--launch", broker.path, "--", "sh", "-c", script)
    assert (result.returncode, result.stderr) == (4, b"")
    assert result.stdout == b"one\n3\ntwo\n100\n"
    assert broker.connections == 1
    assert [f.kind for f in broker.frames] == ["hello", "call", "call"]
    assert all(f.reply is not None for f in broker.frames[1:])


def test_a_sandbox_without_sockets_can_call(make_broker, run, client):
    """srt and its like forbid socket(AF_UNIX) and everything that makes one."""
    broker = make_broker()
    sandbox = [sys.executable, "-c", f"""
import os, subprocess, sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from denied import deny
deny("socket")()
print(subprocess.run([{client!r}, "echo", "direct"], env={{"SLUICE_SOCKET": {broker.path!r}}},
                     stderr=subprocess.PIPE).returncode)
print(subprocess.run([{client!r}, "sh", "-c", "exit 9"], close_fds=False).returncode)
"""]
    result = run(broker, "--launch", "--", *sandbox)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == b"125\n9\n"


def test_the_launched_program_takes_sluicifys_place(make_broker, start, client):
    broker = make_broker()
    process = start(None, "--launch", broker.path, "--", "sh", "-c", "echo $$; ls /proc/self/fd",
                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    told = process.stdout.read().split()
    assert process.wait(30) == 0
    assert int(told[0]) == process.pid
    # 0, 1, 2, the connection, and the directory that ls reads.
    assert sorted(int(fd) for fd in told[1:]) == [0, 1, 2, 3, 100]


def test_the_environment_is_the_old_one_but_for_sluice_fd(make_broker, run):
    broker = make_broker()
    result = run(broker, "--launch", broker.path, "--", "env", env={"SLUICE_FD": "77", "A": "1"})
    told = result.stdout.decode().splitlines()
    assert sorted(told) == sorted(f"{k}={v}" for k, v in clean_environment(
        SLUICE_SOCKET=broker.path, A="1", SLUICE_FD="100").items())


def test_takes_another_descriptor_where_100_is_too_many(make_broker, run, client):
    import resource

    broker = make_broker()

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))

    result = run(None, "--launch", broker.path, "--", "sh", "-c", f"echo $SLUICE_FD; {client} echo x",
                 preexec_fn=limit)
    number, output = result.stdout.split()
    assert 3 <= int(number) < 20
    assert output == b"x"


def test_launch_says_what_fails(make_broker, run, tmp_path):
    broker = make_broker()
    result = run(None, "--launch", broker.path, "--", "no-such-program", env={"PATH": "/usr/bin:/bin"})
    assert (result.returncode, lines(result)) == (
        127, ["sluicify: cannot start no-such-program: No such file or directory"])
    result = run(None, "--launch", broker.path, "--", "/")
    assert (result.returncode, lines(result)) == (126, ["sluicify: cannot start /: Permission denied"])
    result = run(None, "--launch", str(tmp_path / "none"), "--", "true")
    assert result.returncode == 125
    assert lines(result)[0].startswith("sluicify: no broker at ")


def test_launch_needs_version_2(make_broker, run):
    result = run(None, "--launch", make_broker(versions=(1,)).path, "--", "true")
    assert result.returncode == 125
    assert lines(result) == ["sluicify: this broker speaks version 1 only, which cannot do that"]


def test_launch_within_launch(make_broker, run, client):
    broker = make_broker()
    inner = f"{client} --launch -- sh -c 'echo $SLUICE_FD; {client} echo x'"
    result = run(None, "--launch", broker.path, "--", "sh", "-c", inner)
    assert result.stdout == b"100\nx\n"
    assert broker.connections == 1
    inner = f"{client} --launch fd:100 -- {client} echo y"
    assert run(None, "--launch", broker.path, "--", "sh", "-c", inner).stdout == b"y\n"


# ---- calls ------------------------------------------------------------------------------------

def test_many_callers_share_one_connection(make_broker, client):
    broker = make_broker()
    connection = connect(broker)
    processes = [
        subprocess.Popen([client, "sh", "-c", f"read x; echo {i} $x; exit {i}"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, pass_fds=[connection.fileno()],
                         env=clean_environment(SLUICE_FD=str(connection.fileno())))
        for i in range(40)]
    # All are under way at once; ended in another order than they began.
    broker.wait(lambda b: len(b.children) == 40)
    for i in sorted(range(40), key=lambda i: i * 17 % 40):
        output, _ = processes[i].communicate(b"input %d\n" % i, timeout=60)
        assert output == b"%d input %d\n" % (i, i)
        assert processes[i].returncode == i
    assert broker.connections == 1
    connection.close()


def test_each_callers_signals_reach_its_own_call(make_broker, client):
    broker = make_broker()
    connection = connect(broker)
    processes = [
        subprocess.Popen([client, "sleep", "1000"], pass_fds=[connection.fileno()],
                         env=clean_environment(SLUICE_FD=str(connection.fileno())))
        for _ in range(3)]
    broker.wait(lambda b: len(b.children) == 3)
    processes[1].send_signal(signal.SIGTERM)
    assert processes[1].wait(30) == 128 + signal.SIGTERM
    assert processes[0].poll() is None and processes[2].poll() is None
    for process in (processes[0], processes[2]):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT
    connection.close()


def test_the_broker_sees_that_one_caller_is_gone(make_broker, client):
    broker = make_broker()
    connection = connect(broker)
    process = subprocess.Popen([client, "sleep", "1000"], pass_fds=[connection.fileno()],
                               env=clean_environment(SLUICE_FD=str(connection.fileno())))
    broker.wait(lambda b: b.children)
    assert not broker.gone
    process.kill()
    process.wait()
    broker.wait(lambda b: b.gone)
    connection.close()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_connection_among_the_standard_descriptors_stays_out_of_the_call(make_broker, client, number):
    broker = make_broker()
    connection = connect(broker)
    null = open(os.devnull, "r+b")
    descriptors = [null, null, null]
    descriptors[number] = connection
    seen = []

    def answer(frame):
        seen.extend(os.readlink(f"/proc/self/fd/{fd}") for fd in frame.fds)
        return 6, b""

    broker.answer = answer
    process = subprocess.run([client, "-s", f"fd:{number}", "x"], stdin=descriptors[0],
                             stdout=descriptors[1], stderr=descriptors[2], env=clean_environment(),
                             timeout=30)
    assert process.returncode == 6
    assert seen == ["/dev/null"] * 3
    connection.close()


def test_lists_and_makes_links_over_an_inherited_connection(make_broker, run, tmp_path):
    broker = make_broker(menu=b"git x\nmake\n")
    connection = connect(broker)
    assert run(None, "--list", **inherit(connection)).stdout == b"git x\nmake\n"
    assert run(None, "--shims", str(tmp_path / "d"), **inherit(connection)).stdout == b"git\nmake\n"
    assert broker.connections == 1
    connection.close()


def test_statuses_and_explanations_come_back(make_broker, run):
    connection = connect(make_broker(answer=lambda frame: (-1, b"agent.rules:3 is nearest")))
    result = run(None, "git", "x", **inherit(connection))
    assert result.returncode == 129
    assert lines(result) == ["sluicify: no rule for: git x", "  agent.rules:3 is nearest"]
    connection.close()


def test_large_requests_and_variables(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    connection = connect(broker)
    words = ["x"] + ["y" * 100000] * 8
    assert run(None, "-e", "A=1", "-C", "/", *words, **inherit(connection)).returncode == 0
    frame = broker.frames[0]
    assert (frame.argv, frame.env, frame.cwd) == ([w.encode() for w in words], [b"A=1"], b"/")
    assert frame.in_memfd
    connection.close()


# ---- sandboxes that forbid more ---------------------------------------------------------------

def test_an_answer_can_come_through_a_pipe(make_broker, run):
    """Where socketpair is forbidden as well. The fake broker sends the answer in parts."""
    menu = b"git status\n" * 3000
    broker = make_broker(menu=menu)
    connection = connect(broker)
    forbidden = deny("socket", "socketpair")
    assert run(None, "sh", "-c", "exit 8", preexec_fn=forbidden, **inherit(connection)).returncode == 8
    assert run(None, "--list", preexec_fn=forbidden, **inherit(connection)).stdout == menu
    broker.answer = lambda frame: (-1, b"why")
    result = run(None, "x", preexec_fn=forbidden, **inherit(connection))
    assert (result.returncode, lines(result)) == (129, ["sluicify: no rule for: x", "  why"])
    broker.answer = lambda frame: b"XCLS\x02\0\0\0\0\0\0\0\xff\xff\xff\xffx"
    result = run(None, "x", preexec_fn=forbidden, **inherit(connection))
    assert (result.returncode, lines(result)) == (
        125, ["sluicify: cannot understand the broker: the reply has the wrong length"])
    broker.answer = lambda frame: b"XCLS\x02\0\0\0"
    result = run(None, "x", preexec_fn=forbidden, **inherit(connection))
    assert (result.returncode, lines(result)) == (
        125, ["sluicify: the broker went away before it answered: x"])
    connection.close()


def test_without_a_way_back_for_signals_they_end_sluicify(make_broker, start):
    broker = make_broker()
    connection = connect(broker)
    process = start(None, "sleep", "1000", preexec_fn=deny("socketpair"), **inherit(connection))
    broker.wait(lambda b: b.children)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    connection.close()


@pytest.mark.parametrize("inherited", [False, True])
def test_large_requests_without_memfd_create(make_broker, run, inherited):
    """They go in one message, as far as it can be large."""
    broker = make_broker(answer=lambda frame: (0, b""))
    connection = connect(broker)
    arguments = inherit(connection) if inherited else {}
    words = ["x"] + ["y" * 100000]
    result = run(None if inherited else broker, *words, preexec_fn=deny("memfd_create"), **arguments)
    assert result.returncode == 0, result.stderr
    assert not broker.frames[0].in_memfd
    assert broker.frames[0].argv == [w.encode() for w in words]
    connection.close()


def test_says_that_a_request_is_too_large_for_the_socket(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    result = run(broker, "x", *["y" * 120000] * 8, preexec_fn=deny("memfd_create", "setsockopt"))
    if broker.frames:
        pytest.skip("this host's sockets take a MiB by default")
    assert result.returncode == 125
    assert lines(result)[0].startswith(f"sluicify: no broker at {broker.path} (it cannot be sent so large "
                                       "a request): Message too l")


# ---- connections that are none ----------------------------------------------------------------

def test_says_what_is_wrong_with_the_descriptor(run, tmp_path):
    with open(tmp_path / "file", "w") as file:
        result = run(None, "x", env={"SLUICE_FD": str(file.fileno())}, pass_fds=[file.fileno()])
        assert (result.returncode, lines(result)) == (125, [
            f"sluicify: no broker at fd:{file.fileno()}: that descriptor is not a broker's connection"])
    result = run(None, "x", env={"SLUICE_FD": "99"})
    assert lines(result) == ["sluicify: no broker at fd:99: that descriptor is not open here"]
    for wrong in ("x", "-1", "3 ", "03", "99999999999", "fd:3"):
        result = run(None, "x", env={"SLUICE_FD": wrong})
        assert (result.returncode, lines(result)) == (
            125, [f"sluicify: no broker at fd:{wrong}: this is neither a path nor fd:N"])
    result = run(None, "-s", "", "x")
    assert lines(result) == ["sluicify: no broker at : this is neither a path nor fd:N"]
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with one, two:
        result = run(None, "x", **inherit(one))
        assert lines(result) == [f"sluicify: no broker at fd:{one.fileno()}: that descriptor is not a "
                                 "broker's connection"]


def test_a_closed_descriptor_is_no_matter_where_a_socket_is_named(make_broker, run):
    """Many programs close what they do not know before they start another."""
    broker = make_broker(answer=lambda frame: (3, b""))
    assert run(broker, "x", env={"SLUICE_FD": "99"}).returncode == 3
    assert run(broker, "x", env={"SLUICE_FD": ""}).returncode == 3


def test_sluice_fd_goes_before_sluice_socket(make_broker, run, tmp_path):
    one = make_broker(answer=lambda frame: (1, b""))
    two = make_broker(tmp_path / "two.sock", answer=lambda frame: (2, b""))
    connection = connect(one)
    assert run(two, "x", **inherit(connection)).returncode == 1
    arguments = inherit(connection)
    assert run(None, "-s", two.path, "x", **arguments).returncode == 2
    connection.close()


def test_says_that_the_broker_is_gone_from_the_connection(run):
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    two.close()
    result = run(None, "x", **inherit(one))
    assert result.returncode == 125
    assert lines(result) == [f"sluicify: no broker at fd:{one.fileno()}: Broken pipe"]
    one.close()


def test_a_request_that_nobody_reads_can_be_interrupted(start):
    """A connection that is full: sluicify waits, and a signal acts on it, as there is no call yet."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        one.setblocking(False)
        try:
            while True:
                one.send(b"x" * 1000)
        except BlockingIOError:
            pass
        one.setblocking(True)
        process = start(None, "x", **inherit(one))
        wait_for_poll(process.pid)
        process.send_signal(signal.SIGWINCH)  # ignored by default: no reason to end
        wait_for_poll(process.pid)
        process.send_signal(number)
        assert process.wait(30) == -number
        one.close()
        two.close()


def wait_for_poll(pid):
    import time
    end = time.monotonic() + 30
    while True:
        with open(f"/proc/{pid}/syscall") as current:
            if current.read().split()[0] in ("7", "271", "73"):  # poll, or ppoll
                return
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_full_connection_takes_the_request_when_there_is_room(make_broker, start):
    """The connection is full of other callers' frames at first; nobody's frame is torn or lost."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.setblocking(False)
    filler = 0
    try:
        while True:
            one.send(b"x" * 1000)
            filler += 1
    except BlockingIOError:
        pass
    one.setblocking(True)
    process = start(None, "late", **inherit(one))
    wait_for_poll(process.pid)
    for _ in range(filler):
        assert two.recv(2000) == b"x" * 1000
    message, fds, _, _ = socket.recv_fds(two, 4096, 8)
    from fake_broker import Frame, reply_bytes
    frame = Frame(message, fds)
    assert frame.argv == [b"late"]
    with socket.socket(fileno=frame.reply) as reply:
        reply.send(reply_bytes(2, 11))
    assert process.wait(30) == 11
    for fd in frame.fds:
        os.close(fd)
    one.close()
    two.close()
