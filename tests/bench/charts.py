"""The four charts in docs/bench/, from what bench.py measured."""

import svg

LANES = ("floor", "three processes alone", "unconfined", "unconfined, manifest", "confined, manifest",
         "confined, capture")
MATCHES = ("git commit, accepted", "last rule, refused by its slot", "no rule, refused")


def rows_of(calls, program, callers=None):
    return [row for row in calls if row["program"] == program and
            (callers is None or row["callers"] == callers)]


def latency(calls):
    rows = {row["lane"]: row for row in rows_of(calls, "/bin/true", 1)}
    series = [(lane, [(part, rows[lane]["percentiles_us"][part]) for part in range(1, 91)])
              for lane in LANES if lane in rows]
    high = max(points[-1][1] for _, points in series)
    return svg.lines("How long one call takes: /bin/true, one caller",
                     "Microseconds at each percentile of calls, to the 90th; the floor is posix_spawn "
                     "and waitpid without any broker", series,
                     "percentile", "microseconds", (1, 10, 25, 50, 75, 90),
                     y_range=(0, high), x_range=(1, 90), markers=False)


def throughput(calls):
    series = []
    for lane in LANES:
        points = [(row["callers"], row["per_second"]) for row in rows_of(calls, "/bin/true")
                  if row["lane"] == lane]
        series.append((lane, points))
    return svg.lines("How many calls a second: /bin/true",
                     "All callers together, each one call after the other; the floor has as many "
                     "spawning processes", series, "callers", "calls a second",
                     (1, 8, 32, 128), x_logarithmic=True)


def matching(compiler):
    names = list(MATCHES)
    series = [(name, [(row["count"], row["match_ns"][name]) for row in compiler])
              for name in names]
    return svg.lines("How long a decision takes",
                     "Nanoseconds for one request, by the number of rules", series,
                     "rules", "nanoseconds", tuple(row["count"] for row in compiler),
                     x_logarithmic=True)


def output(captures):
    groups = [(row["writes"], [(way, round(row[way], 2)) for way in
                               ("tee(1)", "captured call", "uncaptured call")])
              for row in captures]
    return svg.bars("How fast output comes through",
                    "GB/s from a program's standard output to a reader; captured: a copy of every "
                    "byte goes to a file, as with tee", groups, "GB/s")


def draw(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart, key in (("latency", latency, "calls"), ("throughput", throughput, "calls"),
                             ("matching", matching, "compiler"), ("capture", output, "capture")):
        if results.get(key):
            (folder / f"{name}.svg").write_text(chart(results[key]))
            print(f"drew {folder / name}.svg")
