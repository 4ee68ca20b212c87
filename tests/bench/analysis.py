"""Times and memory of the analyses: `check` and `diff` of two policies of 1,000 rules, ordinary ones and ones that
overlap heavily, and of what is too much for them. Run by `make bench-analysis`; prints a table. The figures are of this
machine and this moment: compare them with one another."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "analysis"))
import hostile  # noqa: E402  the policies of the tests

SLUICEC = Path(os.environ["SLUICE_BUILD"]) / "sluicec"
SECONDS, MEBIBYTES = 5, 500  # wanted for 1,000 rules
LIMIT_SECONDS = 20           # promised for any


def measured(arguments, folder):
    """Output, status, seconds of the clock and of the processor, peak MiB of one run."""
    begin = time.monotonic()
    with open(folder / "out", "w+") as out:
        process = subprocess.Popen([SLUICEC, *arguments], cwd=folder, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        taken = time.monotonic() - begin
        out.seek(0)
        text = out.read()
    return text, process.returncode, taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def row(policy, folder, seconds):
    text = policy()
    (folder / "old.rules").write_text(text)
    (folder / "new.rules").write_text(hostile.changed(text))
    for arguments in (["check", "old.rules"], ["diff", "old.rules", "new.rules"]):
        said, status, taken, processor, memory = measured(arguments, folder)
        if status not in (0, 3):
            sys.exit(f"{policy.__name__} {arguments}: {status}: {said[-500:]}")
        answer = "a limit, told" if "[-Wincomplete]" in said or "\nlimit: " in said else "an answer"
        over = "" if processor <= seconds and memory <= MEBIBYTES else "   OVER"
        print(f"{policy.__name__:<16} {arguments[0]:<6} {taken:6.2f} s   {processor:6.2f} s of processor   "
              f"{memory:6.0f} MiB   {answer}{over}", flush=True)


def main():
    with tempfile.TemporaryDirectory() as name:
        print(f"1,000 rules; wanted: {SECONDS} s, {MEBIBYTES} MiB")
        for policy in (hostile.ordinary, hostile.same, hostile.prefixes, hostile.intervals):
            row(policy, Path(name), SECONDS)
        print(f"whatever the rules; wanted: {LIMIT_SECONDS} s")
        for policy in (hostile.contains, hostile.subsets, hostile.rests, hostile.alternations, hostile.long_words,
                       hostile.most, hostile.most_programs, hostile.call_time):
            row(policy, Path(name), LIMIT_SECONDS)


main()
