"""Hosts that have less: what a rule asks for and cannot have is refused in so many words, or gone without
and said; the rest holds all the same."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

import abilities
import wire
from conftest import broker_tests

REFUSE = Path(__file__).resolve().parent / "refuse.py"
# Root of a container as most are: in no position to mount or to make a namespace.
CONTAINER = ("unshare", "--user", "--map-root-user", "sh", "-c",
             "echo 0 > /proc/sys/user/max_user_namespaces && "
             "exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"", "sh")


def in_a_container(*command):
    done = subprocess.run([*CONTAINER, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False)
    return done.stdout if done.returncode == 0 else None


pytestmark = pytest.mark.skipif(
    in_a_container("true") is None,
    reason="no user namespaces, so none can be taken away: the other tests run on such a host")
# To an ordinary user's, / belongs to somebody unknown, beneath whom no broker keeps its audit trail.
needs_root_of_its_own = pytest.mark.skipif(in_a_container("stat", "-c", "%u", "/") != b"0\n",
                                           reason="/ belongs to nobody in such a container")

ASKS = "  isolate = pid\n  protect = @dotfiles\n  fs_exec = @system\n  fs_write = $HOME/work\n"
SHELL = "sh -c #script\n  allow_any = script\n  timeout = 20s\n"


@pytest.fixture
def contained(compile_rules, home):
    """contained(rules, defaults, command): one of a broker's commands, or one that serves."""
    (home / "work").mkdir()
    started = []

    def contained(rules, defaults="", command=None):
        binary = compile_rules(broker_tests.with_defaults(rules, defaults))
        if command:
            return subprocess.run([*CONTAINER, binary, command], env={**os.environ, "HOME": str(home)},
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=60, check=False)
        broker = broker_tests.Broker(binary, home, wrapper=CONTAINER, wait=False)
        started.append(broker)
        return broker

    yield contained
    for broker in started:
        broker.kill()


def test_what_a_container_forbids_is_refused(contained):
    broker = contained(SHELL + ASKS)
    assert broker.process.wait(wire.PATIENCE) == 2
    for line in ("missing: sh: isolate: this host allows no user namespaces",
                 "missing: sh: protect: "):
        assert line in broker.stderr(), broker.stderr()
    checked = contained(SHELL + ASKS, command="check-host")
    assert checked.returncode == 1 and "missing: sh: isolate: " in checked.stdout, checked.stdout


@needs_root_of_its_own
def test_what_a_container_forbids_is_gone_without(contained, home):
    broker = contained(SHELL + ASKS, "confine = best-effort")
    wire.wait_for(lambda: broker.events("serve"), "the start")
    (event,) = broker.events("serve")
    assert "isolate" in event["note"] and "protect" in event["note"], event
    reply, output = broker.output("sh", "-c", f"echo on; echo x > {home}/work/x; "
                                              f"echo x > {home}/y || echo held")
    assert (reply.status, output) == (0, b"on\nheld\n")
    assert (home / "work" / "x").exists() and not (home / "y").exists()


@needs_root_of_its_own
def test_what_needs_no_namespace_holds_in_a_container(contained, home):
    """net = none by the filter, metadata = within on the program's behalf, the tree by signals."""
    (home / "other").write_text("x")
    broker = contained(SHELL.replace("20s", "1s") + "  net = none\n  metadata = within\n"
                       "  fs_exec = @system\n  fs_write = $HOME/work\n")
    wire.wait_for(lambda: broker.events("serve"), "the start: " + broker.stderr())
    assert "note" not in broker.events("serve")[0]
    reply, output = broker.output("sh", "-c", f"""
        cd {home}/work; touch a; chmod 600 a && stat -c %a a
        chmod 600 ../other 2>/dev/null || echo held
        python3 -c 'import socket; socket.socket()' 2>&1 | tail -1 | cut -c 1-15""")
    assert (reply.status, output) == (0, b"600\nheld\nPermissionError\n")
    reply, output = broker.output("sh", "-c", "setsid sleep 300 & sleep 300")
    assert (reply.status, output) == (wire.TIMEOUT, b"")


# One network namespace, and more once the file "enough" is there.
SHORT = ("unshare", "--user", "--map-root-user", "sh", "-c", """
    limit=/proc/sys/user/max_net_namespaces
    echo 1 > $limit || exit 1
    ( ( while [ -d "$HOME" ] && [ ! -e "$HOME/enough" ]; do sleep 0.05; done
        echo 100 > $limit; : > "$HOME/changed" ) & )
    exec "$@" """, "sh")


@needs_root_of_its_own
def test_a_worker_that_a_shortage_hit_answers_no_call_when_it_is_over(compile_rules, home):
    binary = compile_rules(broker_tests.with_defaults(SHELL + "  net = none\n"))
    broker = broker_tests.Broker(binary, home, wrapper=SHORT)
    try:
        first = wire.Connection(broker.socket)
        first.send2(["sh", "-c", f"while [ ! -e {home}/gate ]; do sleep 0.05; done; exit 3"])
        # the one that is made ahead of the next call
        wire.wait_for(lambda: "a worker for sh could not set itself up: No space left on device" in
                      broker.stderr(), "the worker's word: " + broker.stderr())
        assert broker.call("sh", "-c", "exit 4").status == wire.CONFINE
        (home / "enough").touch()
        wire.wait_for((home / "changed").exists, "the end of the shortage")
        assert broker.call("sh", "-c", "exit 5").status == 5
        (home / "gate").touch()
        assert first.reply().status == 3
        first.close()
    finally:
        broker.kill()


# In namespaces of its own, whose mounts are shared as those of a host are.
SHARED = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "shared")
LOOK = 'grep " /proc" /proc/self/mountinfo | sort; "$@"; grep " /proc" /proc/self/mountinfo | sort'


@pytest.mark.parametrize("refused", ["mount", "mount_setattr"])
def test_without_mounts_of_its_own_a_pid_namespace_is_not_had(compile_rules, home, refused):
    """Its /proc would be mounted for everybody, or its programs would see everybody's."""
    binary = compile_rules(broker_tests.with_defaults("true\n  isolate = pid\n"))
    done = subprocess.run([*SHARED, "sh", "-c", LOOK, "sh", sys.executable, REFUSE, refused, binary,
                           "check-host"], env={**os.environ, "HOME": str(home)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          check=False)
    mounts = [line for line in done.stdout.splitlines() if " /proc" in line and " - " in line]
    assert mounts and mounts[:len(mounts) // 2] == mounts[len(mounts) // 2:], done.stdout
    assert "missing: true: isolate: a pid namespace cannot have its own /proc here" in done.stdout


# With part of /proc covered, as it is in most containers, no user namespace has a /proc of its own: one
# would show what is covered (mount_namespaces(7)). Who needs no user namespace is not kept from it.
COVERED = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys && exec "$@"', "sh")
OWN_PROC = ("--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc")


def covered(*command):
    return subprocess.run([*COVERED, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def test_what_a_user_namespace_may_is_not_what_its_maker_may(compile_rules, home):
    if not covered("unshare", *OWN_PROC) or covered("unshare", "--user", "--map-root-user", *OWN_PROC):
        pytest.skip("to who runs this, both are the same")
    binary = compile_rules(broker_tests.with_defaults(
        "cat /proc/net/dev\n  isolate = user, pid\n\ncat /proc/self/stat\n  isolate = pid\n",
        "confine = best-effort"))
    broker = broker_tests.Broker(binary, home, wrapper=COVERED)
    try:
        assert broker.output("cat", "/proc/net/dev")[0].status == 0
        reply, output = broker.output("cat", "/proc/self/stat")
        assert reply.status == 0 and int(output.split()[0]) < 100  # numbered anew
        (missing,) = [line for line in broker.stderr().splitlines() if "missing:" in line]
        assert "isolate: a pid namespace cannot have its own /proc here" in missing
    finally:
        broker.kill()


def test_a_host_that_refuses_close_range(compile_rules, home):
    """What was left open for the broker is closed all the same, and workers and copiers serve."""
    binary = compile_rules(broker_tests.with_defaults(
        SHELL + "  cwd = $HOME\n\necho here\n  stdoutfile = $HOME/out\n"))
    read, write = os.pipe()
    broker = broker_tests.Broker(binary, home, wrapper=(sys.executable, REFUSE, "close_range"),
                                 pass_fds=[write])
    try:
        os.close(write)
        assert wire.is_readable(read, wire.PATIENCE) and os.read(read, 1) == b""  # nobody has it
        for _ in range(2):
            reply, output = broker.output("sh", "-c", "ls /proc/self/fd; pwd")
            assert (reply.status, output) == (0, f"0\n1\n2\n3\n{home}\n".encode())
            assert broker.output("echo", "here")[1] == b"here\n"
            wire.wait_for(lambda: (home / "out").read_bytes() == b"here\n" * len(broker.events("reload"))
                          + b"here\n", "the captured output")
            broker.signal(1)  # and after a reload
            wire.wait_for(lambda: broker.events("reload"), "the reload")
    finally:
        broker.kill()
        os.close(read)


def test_abilities_are_what_they_say():
    """Where this runs there are user namespaces, so that nothing of them may be skipped."""
    assert abilities.can_isolate()
