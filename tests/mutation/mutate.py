#!/usr/bin/python3
"""Breaks the code in one small place at a time and shows that a test fails for each.

The list is data: tests/mutation/*.toml, each entry a file, what to replace in it (it must occur once)
and by what, and the test that has to fail: `unit` (a program of tests/unit) or `pytest` (its
arguments). A mutation that a test survives is a hole in the tests; one that does not build, or whose
`old` is no longer there, is a mistake in the list. Both end this with 1.

Works in a copy; the checkout is left alone. Each test is first seen to pass on the code as it is.

    mutate.py [--only PATTERN] [--from I --to J] [--keep DIR] [--list]
"""
import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD_PATIENCE = 600  # seconds
TEST_PATIENCE = 180
LEAST = 60  # mutations that there have to be


@dataclass
class Mutation:
    name: str
    group: str
    file: str
    old: str
    new: str
    unit: str = ""
    pytest: str = ""

    def test(self):
        return self.unit or self.pytest


class Broken(Exception):
    """The list is wrong, or the code as it is."""


def read_list():
    mutations = []
    for path in sorted(HERE.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutation"]:
            mutations.append(Mutation(group=path.stem, **entry))
    names = [mutation.name for mutation in mutations]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise Broken(f"two mutations of one name: {doubled}")
    for mutation in mutations:
        if bool(mutation.unit) == bool(mutation.pytest):
            raise Broken(f"{mutation.name}: one of unit and pytest")
        if (ROOT / mutation.file).read_text().count(mutation.old) != 1:
            raise Broken(f"{mutation.name}: what it replaces is not there once in {mutation.file}")
    return mutations


class Scratch:
    """A copy of the sources with a build folder of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.build = self.folder / "build"
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        wanted = {name for name in listed.stdout.decode().split("\0") if name}
        for name in wanted:
            source, target = ROOT / name, self.folder / name
            if not source.is_file():
                continue
            if target.exists() and target.read_bytes() == source.read_bytes():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)

    def make(self, *targets):
        """None, or what make said."""
        done = subprocess.run(["make", "-j2", f"BUILD={self.build}", *targets], cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=BUILD_PATIENCE)
        return done.stdout.decode(errors="replace")[-3000:] if done.returncode else None

    def build_for(self, mutation):
        if mutation.unit:
            return self.make(f"{self.build}/tests/unit/{mutation.unit}")
        return self.make("all", *self.programs(mutation))

    def programs(self, mutation):
        """What the test's area needs besides."""
        area = Path(mutation.pytest.split()[0]).parent
        if area.name == "faults":
            return [f"{self.build}/faults/runtime/libruntime-musl.a",
                    f"{self.build}/faults/preload.so"]
        return [f"{self.build}/{source.relative_to(self.folder).with_suffix('')}"
                for source in (self.folder / area).glob("*.c")]

    def run(self, mutation):
        """(whether the test passed, its output)"""
        if mutation.unit:
            command = [self.build / "tests" / "unit" / mutation.unit]
        else:
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                       *shlex.split(mutation.pytest)]
        environment = dict(os.environ, SLUICE_BUILD=str(self.build))
        done = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)
        try:
            output = done.communicate(timeout=TEST_PATIENCE)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(done.pid, signal.SIGKILL)  # it and what it has forked
            done.communicate()
            return False, f"no end within {TEST_PATIENCE} s"
        if mutation.pytest and done.returncode not in (0, 1):
            raise Broken(f"{mutation.name}: pytest ran no test:\n{output[-2000:]}")
        return done.returncode == 0, output

    def apply(self, mutation):
        """Returns what was there, for restore()."""
        path = self.folder / mutation.file
        whole = path.read_text()
        path.write_text(whole.replace(mutation.old, mutation.new))
        return whole

    def restore(self, mutation, whole):
        (self.folder / mutation.file).write_text(whole)


def reason_of(output):
    """The line of a failed test that says why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("E   ", "[  ERROR   ]", "[  FAILED  ]", "FAILED"):
        for line in lines:
            if line.startswith(mark.strip()) and len(line) > len(mark):
                return line[:100]
    return lines[-1][:100] if lines else "it died"


def try_all(scratch, mutations):
    """How many went wrong."""
    began, wrong, seen_to_pass = time.monotonic(), 0, set()
    for number, mutation in enumerate(mutations, 1):
        if mutation.test() not in seen_to_pass:
            problem = scratch.build_for(mutation)
            passed, output = (False, problem) if problem else scratch.run(mutation)
            if not passed:
                raise Broken(f"{mutation.test()} fails on the code as it is:\n{output[-3000:]}")
            seen_to_pass.add(mutation.test())
        started = time.monotonic()
        whole = scratch.apply(mutation)
        try:
            problem = scratch.build_for(mutation)
            passed, output = (None, problem) if problem else scratch.run(mutation)
        finally:
            scratch.restore(mutation, whole)
        if problem:
            wrong += 1
            verdict = f"DOES NOT BUILD: {problem[-400:]}"
        elif passed:
            wrong += 1
            verdict = f"SURVIVED {mutation.test()}"
        else:
            verdict = f"killed by {mutation.test()}: {reason_of(output)}"
        print(f"{number:3}/{len(mutations)} {mutation.group}: {mutation.name}: {verdict} "
              f"({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{len(mutations)} mutations, {len(mutations) - wrong} killed, {wrong} not; "
          f"{time.monotonic() - began:.0f} s")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose group: name matches this pattern")
    parser.add_argument("--from", dest="begin", type=int, default=0)
    parser.add_argument("--to", dest="end", type=int)
    parser.add_argument("--keep", help="the folder of the copy, which is kept and used again")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    mutations = read_list()
    if len(mutations) < LEAST:
        raise Broken(f"{len(mutations)} mutations; there have to be {LEAST}")
    mutations = [mutation for mutation in mutations
                 if re.search(options.only, f"{mutation.group}: {mutation.name}")]
    mutations = mutations[options.begin:options.end]
    if options.list:
        for mutation in mutations:
            print(f"{mutation.group}: {mutation.name}: {mutation.test()}")
        return 0
    folder = options.keep or tempfile.mkdtemp(prefix="sluice-mutate-", dir="/tmp")
    Path(folder).mkdir(exist_ok=True)
    try:
        return 1 if try_all(Scratch(folder), mutations) else 0
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
