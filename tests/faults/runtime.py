#!/usr/bin/python3
"""Lets every call of the runtime's that can fail do so in turn, and looks at what comes of it.

A first run counts: each place of a fallible call, by the process that reaches it, and how often. Then
for each (place, n-th time, errno) a broker goes through the scenario of scenario.py with that one call
failing, and once more with none. `make faults` runs all; `make check` a sample (test_runtime.py).

    runtime.py [--sample N] [--seed N] [--jobs N] [--only TEXT] [--from I --to J] [--list]
"""
import argparse
import collections
import errno
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import scenario
from inject import ROLES, SHORT, Place

RUNTIME = scenario.BUILD / "faults" / "runtime"
OCCURRENCES = 6  # of one place: the first ones, the last, and some between

# What each call may well say; each of these is in its manual page. EINTR only where a signal can come
# between, EAGAIN where the descriptor may be non-blocking.
ERRORS = {
    "open": ["EMFILE", "EACCES", "EINTR"], "openat": ["EMFILE", "EACCES", "EINTR"],
    "read": ["EIO", "EINTR", "EAGAIN", "SHORT"], "pread": ["EIO", "EINTR", "SHORT"],
    "write": ["ENOSPC", "EIO", "EINTR", "EAGAIN", "SHORT"], "pwrite": ["ENOSPC", "EINTR", "SHORT"],
    "writev": ["ENOSPC", "EIO", "EINTR", "EAGAIN", "SHORT"],
    "splice": ["EINVAL", "EAGAIN", "ENOMEM", "SHORT"], "tee": ["EINVAL", "EAGAIN", "ENOMEM", "SHORT"],
    "send": ["EAGAIN", "ENOBUFS", "EINTR", "EPIPE"],
    "sendmsg": ["EAGAIN", "ENOBUFS", "EINTR", "EPIPE", "ETOOMANYREFS"],
    "recv": ["EAGAIN", "EINTR", "ENOMEM"], "recvmsg": ["EAGAIN", "EINTR", "ENOMEM", "ECONNRESET"],
    "accept4": ["EMFILE", "ECONNABORTED", "EINTR", "ENOMEM", "EAGAIN"],
    "connect": ["ECONNREFUSED", "EAGAIN", "EINTR"],
    "fork": ["EAGAIN", "ENOMEM"], "clone": ["EAGAIN", "ENOMEM"],
    "epoll_wait": ["EINTR"], "poll": ["EINTR", "ENOMEM"], "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "waitid": ["EINTR"], "waitpid": ["EINTR"],
    "close": ["EIO", "EINTR"], "fdatasync": ["EIO", "ENOSPC", "EINTR"],
    "flock": ["ENOLCK", "EINTR"], "ftruncate": ["EIO", "EINTR"],
    "malloc": ["ENOMEM"], "calloc": ["ENOMEM"], "realloc": ["ENOMEM"], "strdup": ["ENOMEM"],
    "mmap": ["ENOMEM"], "munmap": ["ENOMEM"], "mprotect": ["ENOMEM"], "madvise": ["ENOMEM"],
    "memfd_create": ["EMFILE", "ENOMEM"], "pipe2": ["EMFILE"], "socket": ["EMFILE", "ENOMEM"],
    "socketpair": ["EMFILE", "ENOMEM"], "signalfd": ["EMFILE"], "epoll_create1": ["EMFILE"],
    "dup2": ["EINTR", "EBUSY"], "fcntl": ["EMFILE", "EINVAL"], "readdir": ["EIO"],
    "fdopendir": ["ENOMEM"], "kill": ["ESRCH", "EPERM"], "execve": ["ENOMEM", "EACCES", "ETXTBSY"],
    "mkdir": ["ENOSPC", "EACCES"], "mkdirat": ["ENOSPC", "EACCES"], "bind": ["EADDRINUSE", "EACCES"],
}
# The same for those that are called by number (one on every architecture from 424 on).
NUMBERED = {
    "clone": ["EAGAIN", "ENOMEM", "ENOSPC"], "rt_sigaction": ["EINVAL"], "capget": ["EPERM"],
    "capset": ["EPERM"], "getdents64": ["EIO", "ENOENT"], "waitid": ["ECHILD", "EINTR"],
    "prlimit64": ["EPERM"], "seccomp": ["ENOMEM", "EINVAL"],
    "execveat": ["ENOMEM", "EACCES", "ETXTBSY", "ENOENT"], "execve": ["ENOMEM", "EACCES", "ETXTBSY"],
    "recvmsg": ["EINTR", "ENOMEM", "ECONNRESET"], "dup3": ["EINTR", "EBUSY"],
    424: ["ESRCH", "EPERM"],  # pidfd_send_signal
    428: ["EMFILE", "ENOMEM"], 429: ["EPERM"],  # open_tree, move_mount
    430: ["EMFILE", "EPERM"], 431: ["ENOMEM"], 432: ["EMFILE"],  # fsopen, fsconfig, fsmount
    434: ["EMFILE", "ESRCH"], 436: ["ENOSYS", "EPERM"],  # pidfd_open, close_range
    437: ["EMFILE", "EAGAIN"], 439: ["EACCES", "ENOSYS"], 442: ["EPERM"],  # openat2, faccessat2, mount_setattr
    444: ["EMFILE", "ENOMEM", "EOPNOTSUPP"], 445: ["ENOMEM"], 446: ["ENOMEM", "E2BIG"],  # landlock_*
}
NAMES = {  # of numbers below 424, which differ between architectures
    "x86_64": {56: "clone", 13: "rt_sigaction", 125: "capget", 126: "capset", 217: "getdents64",
               247: "waitid", 302: "prlimit64", 317: "seccomp", 322: "execveat", 47: "recvmsg",
               292: "dup3", 59: "execve"},
    "aarch64": {220: "clone", 134: "rt_sigaction", 90: "capget", 91: "capset", 61: "getdents64",
                95: "waitid", 261: "prlimit64", 277: "seccomp", 281: "execveat", 212: "recvmsg",
                24: "dup3", 221: "execve"},
}[os.uname().machine]
OTHERWISE = ["EACCES", "ENOMEM"]


@dataclass(frozen=True)
class Point:
    """One fault: the `first`-th call at `place`, counted from when the broker starts, or, with
    `stopping`, from its SIGTERM."""
    place: Place
    first: int
    error: str
    stopping: bool = False

    def number(self):
        return SHORT if self.error == "SHORT" else getattr(errno, self.error)


def errors_of(place):
    if place.name == "syscall":
        return NUMBERED.get(NAMES.get(place.number, place.number), OTHERWISE)
    return ERRORS.get(place.name, OTHERWISE)


def spread(count):
    """Which of `count` calls at one place are made to fail."""
    if count <= OCCURRENCES:
        return range(1, count + 1)
    between = [3 + (count - 4) * i // (OCCURRENCES - 3) for i in range(1, OCCURRENCES - 3)]
    return sorted({1, 2, 3, *between, count})


# ---- one run ---------------------------------------------------------------------------------------

def go_through(run, exact):
    """The part of the scenario in which the fault may come, after the start."""
    outcomes = run.cycle(exact)
    outcomes["held"] = run.reload()
    outcomes.update({kind + " after": status for kind, status in run.cycle(exact).items()})
    return outcomes


def wait_for_rest(run, descriptors):
    """Until nothing runs and no more is open than at rest before."""
    end = time.monotonic() + scenario.PATIENCE
    while True:
        run.check_alive()
        now = run.descriptors()
        if now.total() <= descriptors.total():
            return
        scenario.check(time.monotonic() < end, "descriptors leaked:", dict(now - descriptors))
        time.sleep(0.02)


def count_places(binary):
    """The run without a fault: how often each place is reached before SIGTERM and after it, and how
    many descriptors of each kind are open at rest."""
    run = scenario.Run(binary)
    try:
        assert run.start(), run.stderr()
        go_through(run, True)
        before = run.faults.counts()
        run.cycle(True)
        run.wait_idle()
        descriptors = run.descriptors()
        whole = run.faults.counts()
        run.stop()
        run.check_manifest(0)
        stopping = {place: count - whole.get(place, 0)
                    for place, count in run.faults.counts().items()
                    if count > whole.get(place, 0)}
        return before, stopping, descriptors
    finally:
        run.kill()


def points_of(before, stopping):
    points = []
    for counts, at_stop in ((before, False), (stopping, True)):
        for place in sorted(counts, key=lambda place: (place.role, place.address, place.number)):
            for first in spread(counts[place]):
                for error in errors_of(place):
                    points.append(Point(place, first, error, at_stop))
    return points


# Where the image that takes over at a reload reads what it is handed: before that there is no way
# back. It ends as a broker does that cannot start, and the next start finds what it left.
BEFORE_ANY_WAY_BACK = ("state_read", "main")


def check_restart(run):
    """After an end: one clear line, and a broker that starts as after a crash."""
    scenario.check(run.process.returncode == 2, "ended with", run.process.returncode)
    scenario.check(run.stderr().strip(), "ended without a word")
    run.children_end()
    run.faults.disarm()
    scenario.check(run.start(), "does not start again:", run.stderr())
    run.cycle(True)
    run.stop()


def come_to_rest(run, point, descriptors):
    """After the fault: all is as if there had been none; then the stop. A worker that was forked ahead
    and could not set itself up says so, but a call may be there before its word is."""
    run.faults.disarm()
    run.wait_idle()
    if ROLES[point.place.role] == "forked":
        run.cycle(False)
        run.wait_idle()
    run.cycle(True)
    run.wait_idle()
    wait_for_rest(run, descriptors)
    if point.stopping:
        run.faults.arm(point.place, point.first, point.number())
    run.stop()


def try_point(binary, point, function, descriptors):
    """Goes through the scenario with one fault. (whether it came, what was seen of it)"""
    run = scenario.Run(binary)
    try:
        if not point.stopping:
            run.faults.arm(point.place, point.first, point.number())
        outcomes = {}
        if run.start():
            try:
                outcomes = go_through(run, False)
                come_to_rest(run, point, descriptors)
            except scenario.EndedByReload:
                if function not in BEFORE_ANY_WAY_BACK:
                    raise
                outcomes["reload"] = "ended"
                check_restart(run)
        else:
            outcomes["start"] = run.stderr().splitlines()[-1]
            check_restart(run)
        run.faults.disarm()
        scenario.check(run.faults.crash is None, "crashed:", run.faults.crash)
        run.check_manifest(1)
        fired = run.faults.fired
        return fired, {kind: status for kind, status in outcomes.items()
                       if status != USUAL.get(kind.split()[0])}, None
    except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
        text = "".join(traceback.format_exception_only(error)).strip()
        return run.faults.fired, {}, text + "\n" + run.stderr()[-1500:]
    finally:
        run.kill()


USUAL = {"plain": 7, "captured": 8, "confined": 7, "slow": -7, "leaver": 7, "refused": -1, "cat": 0,
         "list": 0, "held": 7}


# ---- all of them -----------------------------------------------------------------------------------

def _begin():
    scenario.become_subreaper()


def _try(arguments):
    return arguments[1], *try_point(*arguments)


class Sites:
    """Names places by file and line, where the broker has its symbols."""

    def __init__(self, binary):
        self.binary, self.known = binary, {}

    def name(self, place):
        if place not in self.known:
            done = subprocess.run(["addr2line", "-e", self.binary, "-f", hex(place.address - 1)],
                                  stdout=subprocess.PIPE, text=True, check=False)
            function, line = (done.stdout.split() + ["?", "?"])[:2]
            self.known[place] = f"{line[line.find('runtime/'):]} {function}"
        return self.known[place]

    def describe(self, point):
        place = point.place
        number = f" {NAMES.get(place.number, place.number)}" if place.name == "syscall" else ""
        return (f"{ROLES[place.role]}: {place.name}{number} no. {point.first} says {point.error}"
                f"{' at the stop' if point.stopping else ''}: {self.name(place)}")


def run_all(binary, points, sites, descriptors, jobs, told):
    """Calls told(point, fired, outcomes, problem) for each, as they end."""
    with multiprocessing.Pool(jobs, _begin) as pool:
        work = [(binary, point, sites.name(point.place).split()[-1], descriptors)
                for point in points]
        for result in pool.imap_unordered(_try, work):
            told(*result)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", help="faults whose description has this in it")
    parser.add_argument("--from", dest="begin", type=int, default=0)
    parser.add_argument("--to", dest="end", type=int)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    os.nice(19)
    scenario.become_subreaper()
    folder = Path(tempfile.mkdtemp(prefix="sluice-faults-build-", dir="/tmp"))
    try:
        return run_main(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_main(options, folder):
    binary = scenario.build_broker(folder, RUNTIME, strip=False)
    before, stopping, descriptors = count_places(binary)
    points = points_of(before, stopping)
    sites = Sites(binary)
    print(f"{len(set(before) | set(stopping))} places of fallible calls were reached, "
          f"{sum(before.values())} calls before SIGTERM and {sum(stopping.values())} after; "
          f"{len(points)} faults")
    if options.only:
        points = [point for point in points if options.only in sites.describe(point)]
    if options.sample and options.sample < len(points):
        points = random.Random(options.seed).sample(points, options.sample)
    points = points[options.begin:options.end]
    if options.list:
        for point in points:
            print(sites.describe(point))
        return 0
    return report_all(options, binary, points, descriptors, sites)


def report_all(options, binary, points, descriptors, sites):
    began, problems, counts = time.monotonic(), [], collections.Counter()

    def told(point, fired, outcomes, problem):
        counts["tried"] += 1
        counts["came"] += fired > 0
        counts["were noticed by a caller"] += bool(outcomes)
        if problem:
            problems.append((point, problem))
            print(f"FAILED {sites.describe(point)}\n    {problem}", flush=True)
        elif options.verbose:
            print(f"{'' if fired else 'NOT REACHED '}{sites.describe(point)} {outcomes or ''}",
                  flush=True)

    run_all(binary, points, sites, descriptors, options.jobs, told)
    print(f"{counts['tried']} faults tried, {counts['came']} came, "
          f"{counts['were noticed by a caller']} were noticed by a caller or kept it from starting, "
          f"{len(problems)} broke something; {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
