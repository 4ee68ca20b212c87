#!/usr/bin/python3
"""Lets every allocation and every fallible call of the compiler's driver fail in turn (preload.c).

For each command line below a first run counts, then each call fails once. Whatever fails, sluicec ends
as it would have without, or with status 2 and one line that says why; an output that was there is
untouched, and no temporary file is left.

    compiler.py [--every N] [--only TEXT] [--list]
"""
import argparse
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
SLUICEC = BUILD / "sluicec"
PRELOAD = BUILD / "faults" / "preload.so"
PATIENCE = 120  # seconds
OLD = b"the old output\n"

ERRORS = {"memory": ["ENOMEM"], "write": ["ENOSPC", "EIO", "EINTR"], "read": ["EIO", "EINTR"],
          "close": ["EIO"], "fsync": ["EIO"], "rename": ["ENOSPC", "EACCES"], "open": ["EMFILE"],
          "vfork": ["EAGAIN"], "memfd_create": ["EMFILE"], "mkdtemp": ["ENOSPC"],
          "mkostemp": ["ENOSPC"], "mkdir": ["ENOSPC"], "waitpid": ["EINTR"]}
OTHERWISE = ["EACCES"]

SMALL = """defaults:
  timeout = 2s
  env = HOME, LANG=C

patterns:
  branch = agent/[a-z]{1,40}

; Each form of a pattern, and confinement.
git push origin #branch
  branch = @branch
  branch != agent/main
  net = connect:22,443
show #table #any
  table = [ab]*a[ab]{10}
  any = [a-z]{1,40}:|[0-9]{1,40}=
cat #files...{1,3}
  files = @relpath
  fs_read = @system, $HOME/work
  engine = re2c
"""
RULES = {
    "small": SMALL.replace("  engine = re2c\n", ""),
    "pcre2": "grep #text #file\n  text = (a|b)\\1\n  file = @filename\n  engine = pcre2 text\n",
    "wrong": "git #x #x\n  x = [a-\n  y = .*\n  timeout = soon\n",
}


@dataclass(frozen=True)
class Command:
    name: str
    arguments: tuple  # {rules}, {other}, {out}, {folder} stand for paths
    input: str = ""


COMMANDS = [
    Command("check", ("check", "{small}")),
    Command("check wrong rules", ("check", "{wrong}")),
    Command("check the example", ("check", "{example}")),
    Command("match", ("match", "{small}", "git", "push", "origin", "agent/x")),
    Command("match nothing", ("match", "{small}", "show", "abc", "x")),
    Command("diff", ("diff", "{small}", "{pcre2}")),
    Command("accepts", ("accepts", "{small}", "--never", "git push .*main")),
    Command("sample", ("sample", "-n", "3", "{small}")),
    Command("graph", ("graph", "{small}")),
    Command("emit", ("--emit", "{folder}/emitted", "{small}")),
    Command("compile", ("{small}", "-o", "{out}")),
    Command("compile with PCRE2", ("{pcre2}", "-o", "{out}")),
]


class Broken(AssertionError):
    """Something that must hold did not."""


class Place:
    """A folder with rules, an old output, and an empty folder for temporary files."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-faults-", dir="/tmp"))
        for name, text in RULES.items():
            (self.folder / f"{name}.rules").write_text(text)
        (self.folder / "out").mkdir()
        (self.folder / "tmp").mkdir()
        self.names = {name: self.folder / f"{name}.rules" for name in RULES}
        self.names.update(example=ROOT / "examples" / "agent.rules",
                          out=self.folder / "out" / "broker", folder=self.folder / "out")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command, **faults):
        """(status, stdout, stderr, whether the output is new)"""
        self.names["out"].write_bytes(OLD)
        shutil.rmtree(self.folder / "out" / "emitted", ignore_errors=True)
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(self.folder / "tmp"),
                       "LD_PRELOAD": str(PRELOAD), **faults}
        done = subprocess.run([SLUICEC, *(part.format(**self.names) for part in command.arguments)],
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE, cwd=self.folder)
        return (done.returncode, done.stdout, done.stderr,
                self.names["out"].read_bytes() != OLD)

    def count(self, command):
        """What the command does without a fault, and how often it calls what."""
        counts = self.folder / "counts"
        usual = self.run(command, FAULT_COUNTS=str(counts))
        pairs = (line.split() for line in counts.read_text().splitlines())
        return usual, {name: int(number) for name, number in pairs}

    def check(self, seen, usual):
        """What must hold after a fault."""
        status, _stdout, stderr, is_new = seen
        left = sorted(path.name for path in (self.folder / "tmp").iterdir())
        if left:
            shutil.rmtree(self.folder / "tmp")
            (self.folder / "tmp").mkdir()
            raise Broken(f"left in TMPDIR: {left}; {stderr!r}")
        outputs = {path.name for path in (self.folder / "out").iterdir()} - {"broker", "emitted"}
        if outputs:
            for name in outputs:
                (self.folder / "out" / name).unlink()
            raise Broken(f"left beside the output: {outputs}; {stderr!r}")
        if seen == usual:
            return False
        if status != 2:
            raise Broken(f"ended with {status}, without the fault with {usual[0]}: {stderr!r}")
        lines = stderr.decode().splitlines()
        if not lines or not lines[-1].startswith("sluicec: "):
            raise Broken(f"ended with 2 and said {lines}")
        if len(lines) > 1 and not usual[2].startswith(b"".join(stderr.splitlines(True)[:-1])):
            raise Broken(f"said more than one line: {lines}")
        if is_new:
            raise Broken("failed, and the output is another")
        return True


def points_of(counts):
    for name in sorted(counts):
        for error in ERRORS.get(name, OTHERWISE):
            for at in range(1, counts[name] + 1):
                yield name, at, error


def try_all(commands, every, told):
    """Calls told(description, problem or None, whether it was noticed)."""
    place = Place()
    try:
        for command in commands:
            usual, counts = place.count(command)
            place.check(usual, usual)
            points = list(points_of(counts))
            # The first of each, and of the others one in `every`.
            chosen = [point for i, point in enumerate(points) if point[1] == 1 or i % every == 0]
            for name, at, error in chosen:
                try:
                    seen = place.run(command, FAULT_NAME=name, FAULT_AT=str(at),
                                     FAULT_ERROR=str(getattr(errno, error)))
                    noticed, problem = place.check(seen, usual), None
                except (Broken, subprocess.TimeoutExpired) as broken:
                    noticed, problem = True, str(broken)
                told(f"{command.name}: {name} no. {at} says {error}", problem, noticed)
    finally:
        place.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    commands = [command for command in COMMANDS if options.only in command.name]
    tried, noticed, problems, began = 0, 0, 0, time.monotonic()

    def told(description, problem, was_noticed):
        nonlocal tried, noticed, problems
        tried, noticed = tried + 1, noticed + was_noticed
        if problem:
            problems += 1
            print(f"FAILED {description}\n    {problem}", flush=True)

    try_all(commands, options.every, told)
    print(f"sluicec: {tried} faults tried, {noticed} ended it with status 2, {problems} broke "
          f"something; {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
