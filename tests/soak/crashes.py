"""Brokers killed with SIGKILL at random points of a loaded run, one after another on the same record.

    crashes.py [--crashes 300] [--width 24] [--seed N]

After each: nothing that the broker had started still runs; the record has whole lines, but perhaps for
the last; every captured file begins what its program wrote. The next broker starts, cuts the torn line off or
closes it, writes `lost` for exactly the calls that had a start and no end, numbers on, and serves."""
import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from soak import Soak, printed  # noqa: E402
import wire  # noqa: E402

# A run lasts this long at most before it is killed, counted from the load's first answer.
KILL_WITHIN_S = 0.4


class Record:
    """The manifest after each crash, read on from where the one before ended."""

    def __init__(self, path):
        self.path = path
        self.at = 0
        self.open = {}  # call: its start event
        self.torn = 0
        self.highest = 0

    def read(self, crashed):
        """The events since the last time. Without a crash the file must end with a whole line."""
        data = self.path.read_bytes()[self.at:]
        *lines, rest = data.split(b"\n")
        if rest:
            assert crashed, f"half a line without a crash: {rest!r}"
            self.torn += 1
        self.at += len(data) - len(rest)
        events = [json.loads(line) for line in lines]
        for event in events:
            self.take(event)
        return events

    def take(self, event):
        call = event.get("call")
        # A call that waits has its number, though nothing is written of it yet.
        self.highest = max(self.highest, event.get("last_call", 0))
        if event["kind"] in ("start", "reject"):
            self.highest = max(self.highest, call)
        if event["kind"] == "start":
            assert call not in self.open
            self.open[call] = event
        elif event["kind"] in ("exit", "lost"):
            assert self.open.pop(call), event


def check_captures(soak, record, done):
    """Each captured file is a beginning of what its program wrote; `done` has the exits since the last
    time, whose files are complete."""
    starts = dict(record.open)
    for path in (soak.home / "out").glob("*"):
        call = int(path.name)
        data = path.read_bytes()
        event = starts.get(call) or done.get(call, (None, None))[0]
        if event is None:
            assert data == b"", f"{path} has output of a call that is not recorded"
        else:
            assert data == printed(int(event["argv"][-1]), len(data)), f"{path} is corrupted"
        if call in done:
            assert len(data) == done[call][1]["stdout_bytes"], (path, done[call])
        path.unlink()


def crash_once(soak, record, pick):
    """A loaded run, killed. Returns what was seen."""
    load = soak.load(1000000)
    wire.wait_for(lambda: load.stdout.read(1), "the first answers")
    delay = pick.random() * KILL_WITHIN_S
    if pick.random() < 0.25:  # in the middle of a reload too, with and without another executable
        if pick.random() < 0.5:
            soak.upgrade()
        soak.broker.signal(signal.SIGHUP)
        delay = pick.random() * 0.03
    time.sleep(delay)
    os.kill(soak.broker.pid, signal.SIGKILL)
    soak.broker.process.wait(wire.PATIENCE)
    soak.broker.stderr_file.close()
    os.set_blocking(load.stdout.fileno(), True)
    answers = load.stdout.read().count(b"\n")
    load.stdout.close()
    assert load.wait(wire.PATIENCE) == 3, "the load did not see the broker go"
    soak.check_nothing_runs()
    soak.requests += answers + soak.width + 1
    assert not record.open
    events = record.read(crashed=True)
    starts = {event["call"]: event for event in events if event["kind"] == "start"}
    done = {event["call"]: (starts[event["call"]], event) for event in events
            if event["kind"] == "exit"}
    check_captures(soak, record, done)
    return {"answers": answers, "lost": len(record.open)}


def check_next(soak, record):
    """The next broker: `lost` for what is open and nothing else, numbers that go on, service."""
    unfinished, highest = set(record.open), record.highest
    soak.start()
    reply = soak.broker.call("payload", "exit", "7", str(soak.requests))
    soak.requests += 1
    assert reply.status == 7
    wire.wait_for(lambda: b'"kind":"exit"' in record.path.read_bytes()[record.at:], "the exit")
    wire.wait_for(lambda: record.path.read_bytes().endswith(b"\n"), "the end of a line")
    events = record.read(crashed=False)
    lost = [event["call"] for event in events if event["kind"] == "lost"]
    assert sorted(lost) == sorted(unfinished), (lost, unfinished)
    first = [event["call"] for event in events if event["kind"] == "start"]
    assert first == [highest + 1], (first, highest)


def crashes(home, count, width=24, seed=1, tell=print):
    soak = Soak(home, width, seed)
    pick = random.Random(seed)
    soak.start()
    record = Record(soak.broker.manifest)
    totals = {"crashes": 0, "answers": 0, "lost": 0, "torn": 0}
    try:
        wire.wait_for(lambda: soak.broker.events("serve"), "the first event")
        record.read(crashed=False)
        for _ in range(count):
            for key, value in crash_once(soak, record, pick).items():
                totals[key] += value
            check_next(soak, record)
            totals["crashes"] += 1
            totals["torn"] = record.torn
            if totals["crashes"] % 50 == 0:
                tell(str(totals))
        assert soak.broker.stop(60) == 0
    finally:
        soak.broker.kill()
    return totals


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--crashes", type=int, default=300)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="crash-", dir="/tmp"))
    try:
        print(json.dumps(crashes(home, options.crashes, options.width, options.seed,
                                 lambda line: print(line, flush=True))))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
