"""`memory` and `processes` where cgroup v2 is delegated: they count all of a call together. These tests
need the controllers of version 2; on a host that has bound them to version 1, `make guest` runs them under
another kernel (guest.py)."""
import os
import shutil
import time
from pathlib import Path

import pytest

import wire
from conftest import BUILD

PYTHON = "/usr/bin/python3"


def hierarchy():
    """Where version 2 is mounted with both controllers, and this process may make groups."""
    for mount in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        try:
            controllers = (mount / "cgroup.controllers").read_text().split()
        except OSError:
            continue
        if {"memory", "pids"} <= set(controllers) and os.access(mount / "cgroup.procs", os.W_OK):
            return mount
    return None


MOUNT = hierarchy()
pytestmark = pytest.mark.skipif(not MOUNT, reason="no cgroup v2 controllers to divide here")


class Delegated:
    """A group for one broker: given to its user, or marked as systemd marks root's."""

    def __init__(self, user):
        for name in ("+memory", "+pids"):
            (MOUNT / "cgroup.subtree_control").write_text(name)
        self.path = MOUNT / f"sluice-test-{os.getpid()}-{time.monotonic_ns()}"
        self.path.mkdir()
        if user.uid == 0:
            os.setxattr(self.path, "user.delegate", b"1")
        else:
            for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
                os.chown(self.path / name, user.uid, user.uid)

    def enter(self):
        (self.path / "cgroup.procs").write_text("0")

    def workers(self):
        return sorted(self.path.glob("sluice-worker-*"))

    def counted(self, name, field):
        """A field of the group and all beneath it, of those that are gone too."""
        pairs = (line.split() for line in (self.path / name).read_text().splitlines())
        return int(dict(pairs)[field])

    def end(self):
        def removed():
            for folder, _, _ in os.walk(self.path, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    return False
            return True
        wire.wait_for(removed, "the group to be empty")


@pytest.fixture
def delegated(start, user):
    """delegated(rules, ...): a broker in a group of its own, as `.group`."""
    become = user.become
    brokers = []

    def begin(rules, defaults="", **how):
        group = Delegated(user)

        def enter():
            group.enter()
            become()

        user.become = enter
        broker = start(rules, defaults, **how)
        broker.group = group
        brokers.append(broker)
        return broker

    yield begin
    for broker in brokers:
        broker.kill()
        broker.group.end()


def python(home, name, text, keys):
    """A rule that runs this program, whose output is its answer."""
    (home / name).write_text(text)
    lines = "".join(f"  {key}\n" for key in keys)
    return f"{PYTHON} {home}/{name}\n{lines}\n"


def answer(broker, home, name):
    reply, output = wire.capture(broker.socket, [PYTHON, f"{home}/{name}"], wire.run2)
    return reply.status, output.decode()


# Four processes of 30 MiB each: none of them is too large, together they are.
HUNGRY = """
import os, signal, time
children = []
for _ in range(4):
    ready, told = os.pipe()
    if (pid := os.fork()) == 0:
        os.setsid()
        held = b"x" * (30 << 20)
        os.write(told, b"x")
        signal.pause()
    os.close(told)
    os.read(ready, 1)
    children.append(pid)
ended = 0
for pid in children:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        ended += 1
print("killed" if ended else "all alive", flush=True)
"""

KEYS = ["timeout = 10m", "kill = tree-on-exit"]


def test_memory_counts_the_tree(delegated, home):
    broker = delegated(python(home, "tight.py", HUNGRY, [*KEYS, "memory = 64M"]) +
                       python(home, "ample.py", HUNGRY, [*KEYS, "memory = 256M"]))
    assert answer(broker, home, "ample.py") == (0, "all alive\n")
    assert broker.group.counted("memory.events", "oom_kill") == 0
    assert answer(broker, home, "tight.py") == (0, "killed\n")
    assert broker.group.counted("memory.events", "oom_kill") >= 1
    # and the next have nothing to do with it
    assert answer(broker, home, "tight.py") == (0, "killed\n")
    assert answer(broker, home, "ample.py") == (0, "all alive\n")


def test_memory_ends_a_program_that_is_too_large(delegated, home):
    broker = delegated(python(home, "large.py", "x = b'x' * (200 << 20)", [*KEYS, "memory = 64M"]))
    assert answer(broker, home, "large.py")[0] == 128 + 9
    broker.wait_event("exit", signal=9)


LEAVING = """
import os
with open("/dev/shm/left-" + os.environ["HOME"].replace("/", "-"), "wb") as file:
    for _ in range(80): file.write(b"x" * (1 << 20))
"""
TAKING = "x = b'x' * (80 << 20)"


def test_what_a_call_leaves_in_memory_is_not_the_next_ones(delegated, home):
    keys = ["memory = 128M", "env = HOME"]
    broker = delegated(python(home, "leave.py", LEAVING, keys) + python(home, "take.py", TAKING, keys),
                       "max_active = 1")
    try:
        for _ in range(2):
            assert answer(broker, home, "take.py") == (0, "")
            assert answer(broker, home, "leave.py") == (0, "")
        assert answer(broker, home, "take.py") == (0, "")
    finally:
        os.unlink("/dev/shm/left-" + str(home).replace("/", "-"))


# Each process makes two more, in sessions of their own, until the kernel refuses.
SPREADING = """
import os, signal, sys, time
count, told = os.pipe()
os.write(told, b"x")
def spread(depth):
    for _ in range(2):
        try:
            if os.fork() == 0:
                os.setsid()
                os.write(told, b"x")
                if depth < 4: spread(depth + 1)
                signal.pause()
        except OSError as error:
            assert error.errno == 11, error
            os.write(told, b"!")
            signal.pause()
if os.fork() == 0:
    os.write(told, b"x")
    spread(0)
    signal.pause()
seen = b""
while b"!" not in seen: seen += os.read(count, 100)
time.sleep(0.2)  # for more, if there could be any
os.set_blocking(count, False)
try: seen += os.read(count, 100)
except BlockingIOError: pass
print(seen.count(b"x"))
"""


def test_processes_counts_the_tree(delegated, home, user):
    broker = delegated(python(home, "spread.py", SPREADING, [*KEYS, "processes = 8"]))
    for _ in range(3):  # each call anew
        assert answer(broker, home, "spread.py") == (0, "8\n")
    # and each call by itself
    with wire.Connection(broker.socket) as one, wire.Connection(broker.socket) as two:
        with wire.Output() as first, wire.Output() as second:
            one.send2([PYTHON, f"{home}/spread.py"], stdout=first)
            two.send2([PYTHON, f"{home}/spread.py"], stdout=second)
            assert one.reply().status == two.reply().status == 0
            assert first.read() == second.read() == b"8\n"


def test_what_is_delegated_is_not_said_to_be_missing(delegated, home):
    broker = delegated("true\n  memory = 64M\n  processes = 8\n")
    assert "note" not in broker.events("serve")[0]
    assert broker.call("true").status == 0
    assert (broker.group.path / "sluice-broker" / "cgroup.procs").read_text().split()
    assert broker.group.workers()
    for group in broker.group.workers():  # that of a spare worker too
        assert (group / "memory.max").read_text() == f"{64 << 20}\n"
        assert (group / "pids.max").read_text() == "9\n"  # eight and the worker


@pytest.mark.parametrize("how", ["alone", "row", "side", "behind"])
def test_nothing_outruns_the_groups_kill(delegated, home, how):
    """Where nothing else reaches them all at once: signals = inherit, no namespace."""
    program = home / "runner"
    shutil.copy(BUILD / "tests" / "confinement" / "escape_runner", program)
    program.chmod(0o755)
    broker = delegated(f"{program} #how #runners\n  how = @word\n  runners = @int(1,64)\n"
                       f"  kill = tree-on-exit\n  signals = inherit\n")
    for runners in (1, 8):
        with wire.Output() as output:
            reply = wire.run2(broker.socket, [str(program), how, str(runners)], stdout=output)
            assert reply.status == 0, (runners, reply.text)
            assert output.read() == b"up\n", runners
    wire.wait_for(lambda: broker.status()["active"] == 0, "the worker to be idle")


def test_dead_workers_groups_are_removed(delegated, home):
    broker = delegated("sh -c #script\n  allow_any = script\n  processes = 8\n", "max_active = 4")
    broker.call("sh", "-c", "exit 0")
    for _ in range(3):
        for child in broker.children():
            comm = Path(f"/proc/{child}/comm").read_text()
            if comm == "sluice-worker\n":
                os.kill(child, 9)
        wire.wait_for(lambda: broker.call("sh", "-c", "exit 3").status == 3, "a worker")
    assert len(broker.group.workers()) <= 2  # its own, and that of a spare one
