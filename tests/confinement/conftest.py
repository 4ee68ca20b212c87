"""Brokers as tests/broker starts them, for this user and, where the tests run as root, for an ordinary
one; and the programs that try to get out."""
import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

BROKER_TESTS = Path(__file__).resolve().parent.parent / "broker"
sys.path.insert(0, str(BROKER_TESTS))
_spec = importlib.util.spec_from_file_location("broker_conftest", BROKER_TESTS / "conftest.py")
broker_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(broker_tests)

import abilities  # noqa: E402
import wire  # noqa: E402

compile_rules = broker_tests.compile_rules
home = broker_tests.home

ROOT = broker_tests.ROOT
BUILD = broker_tests.BUILD
NOBODY = 65534


class User:
    """Who the broker runs as."""

    def __init__(self, uid):
        self.uid = uid

    def own(self, path):
        """Gives the user a folder and all in it."""
        if self.uid == os.getuid():
            return
        for folder, folders, files in os.walk(path):
            os.chown(folder, self.uid, self.uid)
            for name in [*folders, *files]:
                os.chown(os.path.join(folder, name), self.uid, self.uid, follow_symlinks=False)

    def become(self):
        if self.uid != os.getuid():
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)


USERS = [os.getuid()] + ([NOBODY] if abilities.can_be_others() else [])


@pytest.fixture(params=USERS, ids=lambda uid: "root" if uid == 0 else "user")
def user(request):
    return User(request.param)


@pytest.fixture
def start(compile_rules, home, user):
    """start(rules, defaults) starts a broker as the user, in its home."""
    started = []
    home.chmod(0o755)

    def start(rules, defaults="", **how):
        binary = compile_rules(broker_tests.with_defaults(rules, defaults))
        # what the user may run has to be where the user may look
        shutil.copy(binary, home / "agent-broker")
        (home / "agent-broker").chmod(0o755)
        user.own(home)
        broker = broker_tests.Broker(binary, home, preexec=user.become, **how)
        started.append(broker)
        return broker

    yield start
    for broker in started:
        broker.kill()


class Escape:
    """One program under two names: `free` is not confined, `held` is."""

    def __init__(self, home, name):
        self.name = name
        self.free = home / "free" / name
        self.held = home / "held" / name
        for copy in (self.free, self.held):
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(BUILD / "tests" / "confinement" / name, copy)
            copy.chmod(0o755)

    def rules(self, keys):
        """Two rules: the free one, and the held one with `keys`, one a line."""
        lines = "".join(f"  {key.strip()}\n" for key in keys.splitlines() if key.strip())
        return (f"{self.free} #word...{{0,16}}\n  allow_any = word\n  syscalls = inherit\n"
                f"  metadata = allow\n\n"
                f"{self.held} #word...{{0,16}}\n  allow_any = word\n{lines}\n")

    def run(self, broker, program, *words, **more):
        """What it says: {attempt: "ok" or an errno}."""
        reply, output = wire.capture(broker.socket, [str(program), *map(str, words)], wire.run2,
                                     **more)
        text = output.decode()
        assert reply.status == 0, (reply.status, reply.text, text)
        pairs = (line.rsplit(" ", 1) for line in text.splitlines())
        return {attempt: "ok" if result == "ok" else int(result) for attempt, result in pairs}


@pytest.fixture
def escape(home):
    return lambda name: Escape(home, name)
