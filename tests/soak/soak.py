"""A soak: a compiled broker under a long run of mixed calls, which must leave it as they found it.

    soak.py [--calls 100000 | --hours H] [--width 24] [--seed N]

load.c makes the calls; this starts the broker, sends it the signals that operators send (SIGHUP after
renaming the manifest, a new executable in its place, SIGUSR1), and holds its record against what the callers
saw. At the end the broker has the descriptors and the memory that it had after the first two fifths, no
child that the calls left behind, one `exit` for each `start`, and one `reject` for each refusal."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "broker"))

from conftest import BUILD, Broker  # noqa: E402
import wire  # noqa: E402

RULES = """\
defaults:
  logfile = $HOME/log/manifest.jsonl
  exec_path = {bin}
  max_active = 16
  queue = 24
  timeout = 60s

payload exit #code #id
  code = @int(0,255)
  id = @uint
payload large #text #id
  text = x+
  allow_max = text:65536
  id = @uint
payload confined #id
  id = @uint
  fs_read = {bin}
  fs_exec = {bin}
  net = none
  isolate = pid
payload variable #id
  id = @uint
  env_from_caller = COLOR
payload option #word #id
  word = [a-z=-]+
  id = @uint
payload fall #id
  id = @uint
payload print #bytes #id
  bytes = @uint
  id = @uint
  stdoutfile = $HOME/out/#$call
payload share #bytes #id
  bytes = @uint
  id = @uint
  stdoutfile = $HOME/log/shared
payload linger #id
  id = @uint
  stdoutfile = $HOME/log/linger
payload flood #id
  id = @uint
  stdoutfile = $HOME/out/#$call
  max_output = 256K
payload leave #id
  id = @uint
  kill = tree-on-exit
payload hang #id
  id = @uint
  timeout = 100ms
  kill = group
payload deaf #id
  id = @uint
  timeout = 100ms
payload tree #id
  id = @uint
  timeout = 200ms
  kill = tree
payload wait #id
  id = @uint
payload nap #id
  id = @uint
payload stay #id
  id = @uint
  on_disconnect = kill
missing missing #id
  id = @uint
"""

# Statuses of refusals, and the reasons that the record may give for each.
REASONS = {
    wire.NO_RULE: ("no_rule", "option_like", "env_not_allowed", "cwd_not_allowed"),
    wire.PROTO: ("proto",),
    wire.FDS: ("wrong_fd_count",),
    wire.SPAWN: ("exe_unresolved",),
    wire.BUSY: ("busy",),
}
FLOOD_BYTES = 256 * 1024
# What the broker's own memory may have grown by since all of its tables had been in use: nothing but
# what an allocator moves about.
MEMORY_BOUND_KIB = 128


def printed(number, length):
    """What `payload print` writes for a request of that number."""
    count = -(-length // 16)
    return b"".join(b"%08x %06x\n" % (number & 0xFFFFFFFF, line * 16 & 0xFFFFFF)
                    for line in range(count))[:length]


class Trail:
    """The record, read while it is written, from one file to the next."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = b""

    def read(self):
        """The events that have come."""
        if self.file is None:
            if not self.path.exists():
                return []
            self.file = open(self.path, "rb")
        data = self.rest + self.file.read()
        *lines, self.rest = data.split(b"\n")
        return [json.loads(line) for line in lines]

    def rotate(self, broker):
        """Renames the manifest, has the broker begin another, and gives the rest of the old one."""
        renamed = self.path.with_suffix(".old")
        os.rename(self.path, renamed)
        broker.signal(signal.SIGHUP)

        # With a new executable, calls are recorded in the new file before the reload is over.
        wire.wait_for(lambda: self.path.exists() and b'"kind":"reload"' in self.path.read_bytes(),
                      "the reload", 120)
        events = self.read()
        assert self.rest == b"", f"a split line: {self.rest!r}"
        self.file.close()
        self.file = None
        renamed.unlink()
        return events


class Ledger:
    """The broker's record and the callers' answers, held against each other as they come."""

    def __init__(self, out):
        self.out = out
        self.open = {}  # call: number of the request
        self.fates = {}  # number of the request: ("exit", status) or ("reject", reason), recorded
        self.answers = {}  # the same, answered: (status or "gone", bytes)
        self.unnumbered = {}  # reason: rejects less answers of requests without a number
        self.counts = {}  # outcome: how many
        self.highest = 0  # call
        self.started = self.ended = self.rejected = 0

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def take_event(self, event):
        kind = event["kind"]
        if kind == "start":
            assert event["call"] not in self.open, event
            self.started += 1
            self.number(event)
            self.open[event["call"]] = int(event["argv"][-1])
        elif kind == "exit":
            self.ended += 1
            assert event["call"] in self.open, f"an exit without a start, or a second one: {event}"
            request = self.open.pop(event["call"])
            assert not event.get("truncated"), event
            self.check_capture(event, request)
            self.settle(request, ("exit", event))
        elif kind == "reject":
            self.rejected += 1
            self.number(event)
            reason = event["reason"].split(":")[0]
            argv = event.get("argv")
            if argv is None:
                self.unnumbered[reason] = self.unnumbered.get(reason, 0) + 1
            else:
                self.settle(int(argv[-1]), ("reject", reason))
        else:
            assert kind in ("serve", "reload", "stop"), event
            assert "note" not in event or kind != "reload", event

    def number(self, event):
        """Call numbers count on by one. Those of calls that wait are given when they come."""
        self.highest = max(self.highest, event["call"])

    def settle(self, request, fate):
        assert request not in self.fates, f"request {request} is recorded twice: {fate}"
        if request in self.answers:
            self.compare(request, fate, self.answers.pop(request))
        else:
            self.fates[request] = fate

    def take_answer(self, line):
        number, scenario, outcome, length = line.split()
        number = int(number)
        exited = outcome.isdigit() and scenario not in ("fall", "signal", "interrupt")
        self.count(f"{scenario}: {'exited' if exited else outcome}")
        if scenario in ("list", "hello", "unsent"):
            return
        answer = (outcome if outcome in ("gone", "cut") else int(outcome), int(length))
        if answer[0] in (wire.PROTO, wire.FDS):
            (reason,) = REASONS[answer[0]]
            self.unnumbered[reason] = self.unnumbered.get(reason, 0) - 1
        elif number in self.fates:
            self.compare(number, self.fates.pop(number), answer)
        else:
            self.answers[number] = answer

    def compare(self, request, fate, answer):
        status = answer[0]
        kind, detail = fate
        if status == "gone":
            assert kind == "exit" or detail in ("caller_gone", "busy"), (request, fate)
        elif kind == "exit":
            assert detail["status"] == status, (request, detail, answer)
            if status == 0 and answer[1]:
                assert detail["stdout_bytes"] == answer[1], (request, detail, answer)
        else:
            assert detail in REASONS[status], (request, fate, answer)

    def check_capture(self, event, request):
        """A captured file holds what the program wrote, as much as the event says."""
        path = self.out / str(event["call"])
        if not path.exists():
            return
        data = path.read_bytes()
        assert len(data) == event["stdout_bytes"], (event, len(data))
        assert data == printed(request, len(data)), f"{path} is not what was written"
        if event["status"] == wire.OUTPUT:
            assert len(data) == FLOOD_BYTES, event
        path.unlink()

    def settled(self):
        return (not self.open and not self.fates and not self.answers and
                not any(self.unnumbered.values()))

    def check_end(self):
        assert not self.open, f"without an exit: {self.open}"
        assert not self.fates, f"recorded, and never asked: {list(self.fates.items())[:5]}"
        assert not self.answers, f"asked, and never recorded: {list(self.answers.items())[:5]}"
        assert not any(self.unnumbered.values()), f"refusals and rejects differ: {self.unnumbered}"
        assert self.started == self.ended
        assert self.started + self.rejected == self.highest, (
            f"{self.started} starts and {self.rejected} rejects, but call numbers up to {self.highest}")


def descendants(pid):
    """Every process below `pid`, and those of the programs that lost their parent."""
    parents, programs = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue
        name, rest = text.split("(", 1)[1].rsplit(")", 1)
        parents[int(entry.name)] = int(rest.split()[1])
        programs[int(entry.name)] = name
    found, layer = [], {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found += layer
    return [(child, programs[child]) for child in found]


class Soak:
    """One broker of RULES, with what has been seen of it."""

    def __init__(self, home, width=24, seed=1):
        self.home, self.width, self.seed = home, width, seed
        (home / "bin").mkdir()
        for program in ("payload", "load"):
            shutil.copy(BUILD / "tests" / "soak" / program, home / "bin" / program)
        source = home / "soak.rules"
        source.write_text(RULES.format(bin=home / "bin"))
        self.binary = home / "compiled"
        subprocess.run([BUILD / "sluicec", source, "-o", self.binary], check=True, timeout=300)
        self.requests = 1  # the next one's number
        self.rounds = 0
        self.ledger = Ledger(home / "out")
        self.broker = None
        self.trail = None

    def start(self):
        self.broker = Broker(self.binary, self.home)
        self.trail = self.trail or Trail(self.broker.manifest)

    # ---- what operators do ---------------------------------------------------------------------

    def upgrade(self):
        fresh = self.home / "agent-broker.new"
        shutil.copy(self.binary, fresh)
        fresh.chmod(0o755)
        os.rename(fresh, self.broker.binary)

    def pump(self):
        for event in self.trail.read():
            self.ledger.take_event(event)

    def rotate(self):
        for event in self.trail.rotate(self.broker):
            self.ledger.take_event(event)

    # ---- the run -------------------------------------------------------------------------------

    def load(self, calls, seconds=0, width=0):
        self.rounds += 1
        program = subprocess.Popen(
            [self.home / "bin" / "load", self.broker.socket, str(calls), str(seconds),
             str(width or self.width), str(self.seed * 1000 + self.rounds), str(self.requests)],
            stdout=subprocess.PIPE)
        os.set_blocking(program.stdout.fileno(), False)
        return program

    def run(self, calls, seconds=0, upgrades=False, every=2.0, tell=None, width=0):
        """Makes `calls` calls, or as many as `seconds` allow; signals meanwhile."""
        program = self.load(calls, seconds, width)
        rest, turn = b"", 0
        due = time.monotonic() + every / 4
        while True:
            ended = program.poll() is not None
            data = program.stdout.read()
            if data:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.ledger.take_answer(line.decode())
                    self.requests += 1
            self.pump()
            if ended and not data:
                break
            if time.monotonic() >= due:
                turn += 1
                if upgrades and turn % 2 == 0:
                    self.upgrade()
                self.rotate()
                self.broker.status()
                due = time.monotonic() + every
                if tell:
                    tell()
            time.sleep(0.02)
        program.stdout.close()
        assert program.returncode == 0, f"load ended with {program.returncode}; {self.broker.stderr()}"

        def over():
            self.pump()
            return self.ledger.settled()

        wire.wait_for(lambda: over() or self.broker.process.poll() is not None, "the last events", 90)

    # ---- what can be seen ----------------------------------------------------------------------

    def settle(self):
        """Waits until nothing is under way, and gives what the broker then has."""
        def idle():
            status = self.broker.status()
            workers = status["workers"] == status["idle_workers"]
            nothing = not (status["active"] or status["background"] or status["queued"] or
                           status["connections"])
            return workers and nothing and all(
                name in ("sluice-capture", "sluice-closer", "agent-broker", "sluice-worker")
                for _, name in descendants(self.broker.pid))

        try:
            wire.wait_for(idle, "an idle broker")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.broker.status()} "
                                 f"{descendants(self.broker.pid)}") from None
        return self.figures()

    def figures(self):
        children = len(self.broker.children())
        workers = self.broker.status()["workers"]
        descriptors = self.broker.descriptors()
        return {
            "private_kib": self.broker.private_kib(),
            "descriptors": descriptors,
            "children": children,
            # Each worker and each capture process costs the broker a pidfd and a socket, a worker
            # another socket.
            "own_descriptors": descriptors - 2 * children - workers,
        }

    def stop(self):
        assert self.broker.stop(60) == 0, self.broker.stderr()
        self.pump()
        assert self.trail.rest == b""
        self.ledger.check_end()
        self.check_nothing_runs()

    def programs(self):
        """What runs of this home's executables: the broker's own processes, and what it started."""
        found = []
        for link in Path("/proc").glob("[0-9]*/exe"):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith(str(self.home) + "/"):
                found.append((int(link.parent.name), target))
        return found

    def check_nothing_runs(self):
        """Without their broker, its processes end what they look after, and themselves: at most the
        two seconds that a program has after a SIGTERM later."""
        try:
            wire.wait_for(lambda: not self.programs(), "the end of all processes", wire.PATIENCE)
        except AssertionError:
            raise AssertionError(f"left behind: {self.programs()}") from None

    def check_shared(self):
        """Whole lines only in the file that many calls share."""
        for line in (self.home / "log" / "shared").read_bytes().split(b"\n")[:-1]:
            assert len(line) == 15 and line[8:9] == b" ", f"mixed: {line!r}"


def soak(home, calls, seconds=0, width=24, seed=1, tell=print, every=2.0,
         bound_kib=MEMORY_BOUND_KIB):
    """The whole of it. Returns the figures."""
    soak = Soak(home, width, seed)
    soak.start()
    try:
        fresh = soak.settle()
        tell(f"fresh: {fresh}")
        soak.run(calls // 5, upgrades=True, every=every)
        # An exec takes every leak with it: from here on none. So many callers at once that each place of
        # the tables has been used before memory is looked at.
        soak.run(calls // 5, every=every, width=5 * width)
        before = soak.settle()
        tell(f"after {soak.requests - 1} calls: {before}")
        began = time.monotonic()
        told = [began]

        def progress():
            if time.monotonic() - told[0] >= 60:
                told[0] = time.monotonic()
                tell(f"{told[0] - began:.0f} s, {soak.requests - 1} calls: {soak.figures()}")

        soak.run(calls - 2 * (calls // 5), seconds, every=every, tell=progress)
        took = time.monotonic() - began
        after = soak.settle()
        tell(f"after {soak.requests - 1} calls ({took:.0f} s): {after}")
        soak.check_shared()
        soak.stop()
        assert after["own_descriptors"] == before["own_descriptors"] == fresh["own_descriptors"], (
            f"descriptors leak: {fresh}, {before}, {after}")
        assert after["private_kib"] <= before["private_kib"] + bound_kib, (
            f"memory grows: {before}, {after}")
        return {"calls": soak.requests - 1, "seconds": round(took), "starts": soak.ledger.started,
                "exits": soak.ledger.ended, "rejects": soak.ledger.rejected, "fresh": fresh,
                "before": before, "after": after, "outcomes": soak.ledger.counts}
    finally:
        soak.broker.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100000)
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    calls = 100000 if options.hours else options.calls  # two fifths of them come before the hours
    home = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    try:
        def tell(line):
            print(line, flush=True)
        figures = soak(home, calls, round(options.hours * 3600), options.width, options.seed, tell)
        print(json.dumps(figures, indent=1))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
