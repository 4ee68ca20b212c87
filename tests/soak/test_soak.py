"""A short soak and a few crashes; `make soak` and `make crashes` are the long ones."""
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from crashes import crashes
from soak import Ledger, Soak, soak, wire

CALLS = 2000
CRASHES = 10
# So few calls may not have been in every place of the tables before memory is looked at: 56 calls, with
# two paths of 4 KiB each.
MEMORY_BOUND_KIB = 512


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_broker_ends_as_it_began(home):
    figures = soak(home, CALLS, every=1.0, bound_kib=MEMORY_BOUND_KIB)
    assert figures["calls"] == CALLS
    assert figures["starts"] > CALLS / 2 and figures["rejects"] > CALLS / 10
    # Each way for a call to end has been seen.
    seen = {outcome.split(": ")[1] for outcome in figures["outcomes"]}
    assert seen >= {"exited", "gone", "137", "143", "-1", "-2", "-3", "-4", "-7", "-12"}


def test_killed_brokers_leave_what_the_next_one_needs(home):
    figures = crashes(home, CRASHES)
    assert figures["crashes"] == CRASHES and figures["lost"] > 0


# A check that cannot fail is not a check: each of these is a broker's fault that the soak must see.

START = {"call": 1, "kind": "start", "argv": ["payload", "exit", "0", "7"]}
EXIT = {"call": 1, "kind": "exit", "status": 0, "stdout_bytes": 0}
REJECT = {"call": 1, "kind": "reject", "reason": "no_rule", "argv": ["payload", "nothing", "7"]}
UNREADABLE = {"call": 1, "kind": "reject", "reason": "proto: trailing bytes"}


@pytest.mark.parametrize("events, answers", [
    ([START], []),  # no exit
    ([START, EXIT], []),  # nobody asked
    ([], ["7 exit 0 0"]),  # no record of an answer
    ([], ["7 left-at-once gone 0"]),  # nor of a caller that left
    ([START, EXIT], ["7 exit 3 0"]),  # another status
    ([START, EXIT, EXIT], ["7 exit 0 0"]),
    ([START, EXIT, dict(START, call=2), dict(EXIT, call=2)], ["7 exit 0 0"]),  # it ran twice
    ([START, EXIT], ["7 exit -1 0"]),  # it ran, and was told refused
    ([REJECT], ["7 exit 0 0"]),
    ([REJECT], ["7 left-at-once gone 0"]),
    ([REJECT, REJECT], ["7 no-rule -1 0"]),
    ([], ["7 malformed -2 0"]),
    ([UNREADABLE, dict(UNREADABLE, call=2)], ["7 malformed -2 0"]),
    ([dict(START, call=2), dict(EXIT, call=2)], ["7 exit 0 0"]),  # number 1 is missing
    ([START, dict(EXIT, truncated=True)], ["7 exit 0 0"]),
    ([START, EXIT], ["7 print 0 100"]),  # not all that it wrote was taken
])
def test_the_ledger_finds(home, events, answers):
    ledger = Ledger(home)
    with pytest.raises((AssertionError, KeyError)):
        for event in events:
            ledger.take_event(json.loads(json.dumps(event)))
        for answer in answers:
            ledger.take_answer(answer)
        ledger.check_end()


@pytest.mark.parametrize("events, answers", [
    ([START, EXIT], ["7 exit 0 0"]),
    ([START, EXIT], ["7 left-at-once gone 0"]),
    ([REJECT], ["7 no-rule -1 0"]),
    ([UNREADABLE], ["7 malformed -2 0"]),
    ([], ["7 unsent gone 0", "8 hello 0 0"]),
])
def test_the_ledger_is_content(home, events, answers):
    for answers_first in (False, True):
        ledger = Ledger(home)
        for kind in (1, 0) if answers_first else (0, 1):
            for item in (events, answers)[kind]:
                (ledger.take_event, ledger.take_answer)[kind](item)
        ledger.check_end()


def test_a_capture_that_differs_is_found(home):
    (home / "1").write_bytes(b"00000007 000000\n00000007 000020\n")
    ledger = Ledger(home)
    ledger.take_event(dict(START, argv=["payload", "print", "32", "7"]))
    with pytest.raises(AssertionError, match="is not what was written"):
        ledger.take_event(dict(EXIT, stdout_bytes=32))


def test_a_process_left_behind_is_found(home, monkeypatch):
    monkeypatch.setattr(wire, "PATIENCE", 5)
    soak = Soak(home)
    soak.start()
    try:
        left = subprocess.Popen([home / "bin" / "payload", "stay", "1"], stdout=subprocess.DEVNULL)
        try:
            with pytest.raises(AssertionError, match="left behind"):
                soak.stop()
        finally:
            left.kill()
            left.wait()
    finally:
        soak.broker.kill()
