"""Times of the compiler and of the matchers that it makes. Run by `make bench-compile`; prints a
table. The figures are of this machine and this moment: compare them with one another."""

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ["SLUICE_BUILD"])
SLUICEC = BUILD / "sluicec"


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


def timed(arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    begin = time.monotonic()
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    taken = time.monotonic() - begin
    if done.returncode:
        sys.exit(f"{arguments}: {done.stdout.decode()}")
    return taken, max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def compile_row(folder, name, text, limit):
    source = folder / "bench.rules"
    source.write_text(text)
    taken, memory = timed([SLUICEC, source, "-o", folder / "broker"])
    size = (folder / "broker").stat().st_size
    print(f"{name:<44} {taken:7.2f} s   {size / 1024:8.0f} KiB   {memory / 1024:6.0f} MiB   "
          f"target {limit}", flush=True)
    return size


SHIM = """#!/bin/sh
# Stands before gcc on PATH: keeps the objects of the policy when the broker is linked.
case " $* " in *" -o broker "*) cp -f ./*_unit*.o "{kept}" ;; esac
exec {gcc} "$@"
"""


def match_row(folder, count):
    """Match times of a policy: the very objects that sluicec linked, in a loop."""
    kept = folder / f"kept{count}"
    shims = folder / f"shims{count}"
    kept.mkdir()
    shims.mkdir()
    (shims / "gcc").write_text(SHIM.format(kept=kept, gcc=shutil.which("gcc")))
    (shims / "gcc").chmod(0o755)
    source = folder / f"match{count}.rules"
    source.write_text(rules(count, min(count, 300)))
    subprocess.run([SLUICEC, source, "-o", folder / "broker"], check=True,
                   env=dict(os.environ, PATH=f"{shims}:{os.environ['PATH']}"))
    harness = folder / f"match{count}.bin"
    timed(["musl-gcc", "-O1", "-static", "-D_GNU_SOURCE", "-I", ROOT, "-idirafter", "/usr/include",
           "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu",
           ROOT / "tests/bench/match.c", *sorted(kept.glob("*.o")), "-o", harness])
    last = count - 1
    program = ["git", "make", "npm", "cargo", "kubectl"][last % 5]
    lines = [
        "git\tcommit\t--message\tAdd the first slice\tsrc/main.c",
        f"{program}\tdo{last // 5}\t--level={last % 7}\tx\tx",
        "git\tpush\t--force\torigin\tmain",
    ]
    answer = subprocess.run([harness], input="\n".join(lines) + "\n", capture_output=True,
                            text=True, check=True).stdout.split("\n")
    accept, near, reject = (float(line.split()[2]) for line in answer[:3])
    assert answer[0].startswith("1 0 "), answer
    print(f"{count:>7} rules   git commit {accept:7.1f} ns   last rule, refused by its slot "
          f"{near:7.1f} ns   no rule {reject:7.1f} ns", flush=True)
    return accept, near, reject


def main():
    print("compile, rules to binary, with the check of every matcher")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = compile_row(folder, "1 rule", "true\n", "-")
        compile_row(folder, "30 rules, 30 patterns", rules(29, 29), "1 s")
        size = compile_row(folder, "a class {0,4000}", "echo #a\n  a = [\\x20-\\x7e]{0,4000}\n",
                           "1 s, 8 KiB more")
        print(f"    {size - base} bytes more than the one rule without a slot")
        compile_row(folder, "1,000 rules, 300 patterns", rules(999, 300), "10 s")
        if "--large" in sys.argv:
            compile_row(folder, "10,000 rules, 500 patterns", rules(9999, 500), "60 s")
        print("match, flat in the number of rules (within a factor of 2)")
        rows = [match_row(folder, count) for count in (10, 1000, 10000)]
        for column, what in enumerate(("git commit", "last rule", "no rule")):
            times = [row[column] for row in rows]
            print(f"    {what}: largest / smallest = {max(times) / min(times):.2f}")


main()
