"""new_privs: what a set-user-ID bit comes to, and that the broker says where one comes to nothing."""
import os
import shutil
import subprocess

import pytest

import wire
from abilities import FOREIGN_UID, needs_others
from conftest import broker_tests

OWNER = FOREIGN_UID + os.getpid()


@pytest.fixture
def raised(home, start):
    """id(1) that runs as its owner, who is nobody's user."""
    program = home / "raised-id"
    shutil.copy("/usr/bin/id", program)

    def begin(keys):
        broker = start(f"{program} -u\n  timeout = 20s\n{keys}")  # gives away all that is in the home
        os.chown(program, OWNER, OWNER)
        program.chmod(0o4755)
        return broker

    begin.program = program
    return begin


def runs_as(broker, program):
    reply, output = wire.capture(broker.socket, [str(program), "-u"], wire.run2)
    assert reply.status == 0, reply.text
    return int(output)


@needs_others
@pytest.mark.parametrize("keys, raises", [("", False), ("  syscalls = inherit\n", False),
                                          ("  new_privs = allow\n", True)])
def test_set_user_id(raised, user, keys, raises):
    if os.statvfs("/tmp").f_flag & os.ST_NOSUID:
        pytest.skip("/tmp knows no set-user-ID")
    broker = raised(keys)
    assert runs_as(broker, raised.program) == (OWNER if raises else user.uid)


@pytest.mark.parametrize("keys", ["", "  new_privs = allow\n"])
def test_a_program_that_would_gain_privileges_is_named(home, compile_rules, keys):
    """By a start, once for rules that stand together, and by check-host for each."""
    program = home / "raised-id"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o4755)
    binary = compile_rules(f"defaults:\n  socket = {home}/s\n\ntrue\n\n"
                           f"{program} -u\n{keys}\n{program} -g\n{keys}\n")
    checked = subprocess.run([binary, "check-host"], stdout=subprocess.PIPE, timeout=60, text=True,
                             env={**os.environ, "HOME": str(home)}, check=False).stdout
    assert checked.count("raises its privileges") == (0 if keys else 2)
    broker = broker_tests.Broker(binary, home)
    try:
        assert broker.stderr().count("raises its privileges") == (0 if keys else 1)
    finally:
        broker.kill()
