"""No program has a descriptor but 0, 1 and 2, however its rule is confined and whatever the broker and the
worker have open meanwhile: a program looks for them in every way there is."""
import os
import shutil
import subprocess
import threading

import pytest

import wire
from abilities import needs_namespaces
from conftest import BUILD

PROGRAM = BUILD / "tests" / "confinement" / "escape_descriptors"

# Each has the worker open something more: rulesets, mounts, a notifier, a network namespace.
KEYS = ["", "new_privs = allow\nsyscalls = inherit", "fs_read = @system\nsyscalls = strict",
        "fs_exec = @system\nfs_write = $HOME/in\nmetadata = within\nnet = none\nsignals = own",
        "fs_read = #word\nsyscalls = default, -kill",
        pytest.param("isolate = pid, mount, user, ipc, uts\nfs_read = @system\nfs_deny = /usr/share",
                     marks=needs_namespaces)]


def test_the_program_finds_what_there_is():
    """Else the others show nothing."""
    read, write = os.pipe()
    high = 5000
    os.dup2(read, high)
    done = subprocess.run([PROGRAM], pass_fds=[read, write, high], stdout=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=True)
    for descriptor in (read, write, high):
        os.close(descriptor)
    ways = {line.split()[0] for line in done.stdout.splitlines() if line.split()[1] == str(write)}
    assert {"fcntl", "dup", "fstat", "lseek", "poll", "lstat", "/proc/self/fd", "/proc/self/fdinfo",
            "/proc/thread-self/fd", "/dev/fd"} <= ways
    assert f"open {read}\n" in done.stdout and f"fcntl {high}\n" in done.stdout


@pytest.fixture
def program(home):
    (home / "in").mkdir()
    (home / "a").write_text("x")
    shutil.copy(PROGRAM, home / "program")
    (home / "program").chmod(0o755)
    return home / "program"


def look(broker, program, **more):
    reply, output = wire.capture(broker.socket, [str(program), "a"], wire.run2, **more)
    assert reply.status == 0, (reply.status, reply.text)
    return output.decode()


@pytest.mark.parametrize("keys", KEYS)
def test_nothing_is_inherited(start, home, program, keys):
    lines = "".join(f"  {key}\n" for key in keys.splitlines())
    broker = start(f"{program} #word\n  word = @relpath\n  cwd = $HOME\n"
                   f"  stderrfile = $HOME/log/#$call.err\n{lines}\n"
                   "sh -c #script\n  allow_any = script\n", "max_active = 8")
    assert look(broker, program) == ""
    # other calls and connections, capture files, descriptors in flight
    others = [wire.Connection(broker.socket) for _ in range(6)]
    for number, other in enumerate(others):
        if number < 3:
            other.send2(["sh", "-c", f"while [ ! -e {home}/gate ]; do sleep 0.05; done"])
        else:
            other.send(wire.frame2(wire.HELLO))
    for _ in range(3):
        assert look(broker, program) == ""
    # several at once, each in a worker that is made while others run
    outputs = []
    threads = [threading.Thread(target=lambda: outputs.append(look(broker, program)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == [""] * 4
    # and after a reload, with calls handed on
    broker.signal(1)
    wire.wait_for(lambda: broker.events("reload"), "the reload")
    assert look(broker, program) == ""
    (home / "gate").touch()
    for other in others:
        other.close()
