"""Times of the compiler and of the matchers that it makes, for bench.py; or by itself (`make
bench-compile`), which prints a table. The figures are of this machine and this moment: compare them
with one another."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from brokers import ROOT, SLUICEC


def patterns(count):
    """Distinct patterns such as people write."""
    rng = random.Random(count)
    forms = [
        lambda n: f"[a-z][a-z0-9-]{{0,{n}}}",
        lambda n: f"v[0-9]{{1,{n}}}\\.[0-9]+",
        lambda n: f"(feature|fix|topic{n})/[A-Za-z0-9._-]{{1,60}}",
        lambda n: f"[A-Z]{{2,5}}-{n}[0-9]*",
        lambda n: f"(src|doc|t{n})(/[a-z0-9_.]+)+",
    ]
    return [forms[i % len(forms)](i // len(forms) + 2 + rng.randrange(1)) for i in range(count)]


def rules(count, distinct):
    """Rules of some programs, most told apart by literals, as large policies are."""
    texts = patterns(distinct)
    lines = []
    for n in range(count):
        program = ["git", "make", "npm", "cargo", "kubectl"][n % 5]
        lines.append(f"{program} do{n // 5} --level={n % 7} #a #b\n"
                     f"  a = {texts[n % distinct]}\n  b = @uint\n")
    return "git commit --message #message #path\n  message = @text(1,200)\n  path = @relpath\n" + \
        "".join(lines)


SHIM = """#!/bin/sh
# Stands before gcc on PATH: keeps the objects of the policy when the broker is linked.
case " $* " in *" -o broker "*) cp -f ./*_unit*.o "{kept}" ;; esac
PATH="{path}"  # a gcc that looks for another one (ccache) must not find this
exec {gcc} "$@"
"""

LAUNCH = """
import os, resource, subprocess, sys, time
begin = time.monotonic()
code = subprocess.run(sys.argv[1:]).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024,
      file=sys.stderr)
"""


def compile_policy(folder, name, text):
    """Compiles `text`. Its cost, the broker, the time of each stage, and the objects that the
    broker was linked from."""
    kept, shims = folder / f"kept-{name}", folder / f"shims-{name}"
    kept.mkdir()
    shims.mkdir()
    (shims / "gcc").write_text(SHIM.format(kept=kept, gcc=shutil.which("gcc"), path=os.environ["PATH"]))
    (shims / "gcc").chmod(0o755)
    source, broker = folder / f"{name}.rules", folder / f"broker-{name}"
    source.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, SLUICEC, "--timings", source, "-o", broker],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, PATH=f"{shims}:{os.environ['PATH']}", CCACHE_DISABLE="1"))
    *said, last = done.stderr.splitlines()
    code, wall, processor, memory = last.split()
    if code != "0":
        sys.exit(f"{source}: {done.stdout}{done.stderr}")
    return {"rules": name, "seconds": float(wall), "processor_seconds": float(processor),
            "peak_bytes": int(memory), "binary_bytes": broker.stat().st_size,
            "stages": stages(done.stdout.splitlines() + said),
            "broker": broker, "objects": sorted(kept.glob("*.o"))}


def stages(lines):
    """Milliseconds by stage, as --timings prints them."""
    found = {}
    for line in lines:
        match = re.match(r"^\s*([\d.]+) ms\s+(.+?)\s*$", line)
        if match:
            found[match[2]] = float(match[1])
    return found


def match_requests(count):
    """One that the first rule takes, one that fails at the slot of the last rule, one that no rule
    begins like."""
    last = count - 1
    program = ["git", "make", "npm", "cargo", "kubectl"][last % 5]
    return {"git commit, accepted": "git\tcommit\t--message\tAdd the first slice\tsrc/main.c",
            "last rule, refused by its slot": f"{program}\tdo{last // 5}\t--level={last % 7}\tx\tx",
            "no rule, refused": "git\tpush\t--force\torigin\tmain"}


def harness_make(folder, name, objects):
    """A program that matches what it reads, from the very objects that sluicec linked."""
    harness = folder / f"match-{name}"
    subprocess.run(["musl-gcc", "-O1", "-static", "-D_GNU_SOURCE", "-I", ROOT,
                    "-idirafter", "/usr/include",
                    "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu",
                    ROOT / "tests/bench/match.c", *objects, "-o", harness], check=True)
    return harness


def match_times(harness, requests):
    """Nanoseconds a match, by name of request."""
    lines = "".join(line + "\n" for line in requests.values())
    answer = subprocess.run([harness], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    times = [line.split() for line in answer.stdout.splitlines()]
    if times[0][:2] != ["1", "0"]:
        sys.exit(f"git commit was not taken: {times[0]}")
    return {name: float(row[2]) for name, row in zip(requests, times)}


def policy(count):
    """`count` rules: with 10,000 of them 500 distinct patterns, else at most 300."""
    return rules(count - 1, 500 if count >= 10000 else min(count, 300))


def main():
    print("compile, rules to binary, with the check of every matcher")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = compile_policy(folder, "1", "true\n")
        wide = compile_policy(folder, "wide", "echo #a\n  a = [\\x20-\\x7e]{0,4000}\n")
        print(f"a class {{0,4000}}: {wide['seconds']:.2f} s, "
              f"{wide['binary_bytes'] - one['binary_bytes']} bytes more than one rule without a slot")
        for count in (10, 100, 1000, 10000) if "--large" in sys.argv else (10, 100, 1000):
            row = compile_policy(folder, str(count), policy(count))
            times = match_times(harness_make(folder, str(count), row["objects"]),
                                match_requests(count))
            print(f"{count:>6} rules  {row['seconds']:6.2f} s  {row['peak_bytes'] / 2**20:5.0f} MiB  "
                  f"{row['binary_bytes'] / 1024:6.0f} KiB   " +
                  "   ".join(f"{what} {time:.0f} ns" for what, time in times.items()), flush=True)


if __name__ == "__main__":
    main()
