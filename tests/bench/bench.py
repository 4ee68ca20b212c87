"""All measurements of `make bench`: prints tables, writes them as JSON into the build folder, and
draws the charts in docs/bench/. Arguments name the sections to run (calls, compiler, endurance,
capture, footprint, neighbours, others, charts); the rest's figures then stay as the JSON has them.

    SLUICE_BENCH_CALLS   calls before the endurance section compares, 100000 if not set
    SLUICE_BENCH_RULES   the most rules that the compiler section compiles, 10000 if not set (with
                         fewer, endurance and footprint lack the broker that they compare with)"""

import datetime
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

import brokers
import calls
import capturing
import charts
import compile as compiling
import footprint
import others
from brokers import BUILD, ROOT

LARGEST = 10000
COUNTS = [count for count in (10, 100, 1000, LARGEST)
          if count <= int(os.environ.get("SLUICE_BENCH_RULES", LARGEST))]
RESULTS = BUILD / "bench" / "bench.json"
LARGE = BUILD / "bench" / "broker-10000"


def compiler():
    print("\ncompiler and matching")
    rows = []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        for count in COUNTS:
            # The largest is also served, later: with the programs of the calls in it.
            text = brokers.policy(brokers.CONFINED, BUILD / "bench") + compiling.policy(count) \
                if count == LARGEST else compiling.policy(count)
            if count == LARGEST:
                text = compiling_first(text)
            row = compiling.compile_policy(folder, str(count), text)
            requests = compiling.match_requests(count)
            harness = compiling.harness_make(folder, str(count), row.pop("objects"))
            row["match_ns"] = compiling.match_times(harness, requests)
            row["count"] = count
            broker = row.pop("broker")
            if count == LARGEST:
                LARGE.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(broker, LARGE)
            rows.append(row)
            slowest = max(row["stages"].items(), key=lambda stage: stage[1], default=("-", 0))
            print(f"{count:>7} rules  {row['seconds']:6.2f} s ({slowest[0]}: "
                  f"{slowest[1] / 1000:.2f} s)  {row['peak_bytes'] / 2**20:5.0f} MiB  "
                  f"{row['binary_bytes'] / 1024:6.0f} KiB   " +
                  "   ".join(f"{what} {ns:.0f} ns" for what, ns in row["match_ns"].items()),
                  flush=True)
    return rows


def compiling_first(text):
    """The rule that the matching is measured with comes first, as it does in the smaller ones."""
    head, rules = text.split("git commit", 1)
    programs = [" ".join(argv) + "\n" for argv in brokers.PROGRAMS.values()]
    for program in programs:
        head = head.replace(program, "")
    return head + "git commit" + rules + "".join(programs)


def endurance():
    return calls.endure(int(os.environ.get("SLUICE_BENCH_CALLS", "100000")), LARGE)


def neighbours():
    print("\na neighbour's calls while others misuse the broker")
    import neighbours as measuring  # it needs pytest, which serves its brokers
    return [measuring.show(measuring.measure(trouble, 2000)) for trouble in measuring.TROUBLES]


SECTIONS = {
    "calls": calls.measure,
    "compiler": compiler,
    "endurance": endurance,
    "capture": lambda: (print("\ncaptured output, in GB/s"), capturing.measure())[1],
    "footprint": lambda: footprint.measure(LARGE),
    "neighbours": neighbours,
    "others": others.measure,
}


def machine():
    cpu = next((row.split(":")[1].strip() for row in Path("/proc/cpuinfo").read_text().splitlines()
                if row.startswith("model name")), platform.machine())
    return {"processors": os.cpu_count(), "processor": cpu, "kernel": platform.release(),
            "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def main():
    wanted = sys.argv[1:] or [*SECTIONS, "charts"]
    unknown = [name for name in wanted if name not in SECTIONS and name != "charts"]
    if unknown:
        sys.exit(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}, charts")
    if not LARGE.exists() and "compiler" not in wanted and {"endurance", "footprint"} & {*wanted}:
        sys.exit("endurance and footprint need the broker that the section compiler makes")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    begin = time.monotonic()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for name in SECTIONS:
        if name in wanted:
            results[name] = SECTIONS[name]()
            results["machine"] = machine()
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if "charts" in wanted:
        charts.draw(results, ROOT / "docs/bench")
    print(f"\n{time.monotonic() - begin:.0f} s; figures in {RESULTS}")


if __name__ == "__main__":
    main()
