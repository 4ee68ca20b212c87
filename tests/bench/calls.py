"""What calls cost against the floor, and whether load or large policies make that worse."""

from pathlib import Path

import brokers
from brokers import Bare, Broker, PROGRAMS, run_load

CALLERS = (1, 8, 32, 128)
# Seconds for each lane at each number of callers.
SECONDS = {"static true": 0.8, "/bin/true": 1.5, "git --version": 0.8}
CONFINEMENTS = {"unconfined": brokers.UNCONFINED, "confined": brokers.CONFINED}
RECORDS = ("", "manifest", "capture")


def lane_name(confinement, record):
    return confinement + (f", {record}" if record else "")


def variants():
    """A broker for each way, started. The caller closes them."""
    served = {}
    try:
        for confinement, keys in CONFINEMENTS.items():
            for record in RECORDS:
                broker = Broker(brokers.policy(keys, "@FOLDER" if record else None,
                                               record == "capture"))
                served[lane_name(confinement, record)] = broker
                broker.start()
        broker = served["confined and isolated, manifest"] = Broker(
            brokers.policy(brokers.ISOLATED, "@FOLDER"))
        broker.start()
    except BaseException:
        close(served)
        raise
    return served


def close(served):
    for broker in served.values():
        broker.close()


def slice_ms(callers):
    """Long against a call at so many callers, short against the whole."""
    return 100 if callers < 32 else 400


def measure():
    results = []
    served = variants()
    try:
        for program, argv in PROGRAMS.items():
            served["three processes alone"] = Bare(argv)
            for callers in CALLERS:
                lanes = [("floor", "spawn", None, argv)]
                lanes += [(name, "wire", broker.socket, argv) for name, broker in served.items()]
                seconds = max(SECONDS[program], 2 * slice_ms(callers) / 1000)
                rows = run_load(lanes, callers, seconds, slice_ms(callers))
                for name, row in rows.items():
                    row["program"] = program
                    row["to_floor_p50"] = row["p50_us"] / rows["floor"]["p50_us"]
                    row["to_floor_throughput"] = row["per_second"] / rows["floor"]["per_second"]
                    results.append(row)
                print_rows(program, callers, rows)
            served.pop("three processes alone").close()
    finally:
        close(served)
    return results


def print_rows(program, callers, rows):
    print(f"\n{program}, {callers} caller{'s' if callers > 1 else ''}"
          f"{'':<12}p50 us   to floor    p99 us   p99/p50    calls/s   to floor")
    for name, row in rows.items():
        print(f"  {name:<34}{row['p50_us']:>9.1f}{row['to_floor_p50']:>10.3f}{row['p99_us']:>11.1f}"
              f"{row['p99_us'] / row['p50_us']:>9.2f}{row['per_second']:>12.0f}"
              f"{row['to_floor_throughput']:>10.3f}", flush=True)


def open_descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def endure(calls, large):
    """A fresh broker beside one that has answered `calls` calls, and one with many rules (`large`:
    its binary): in turns, so that the three can be compared."""
    policy = brokers.policy(brokers.CONFINED, "@FOLDER")
    argv = PROGRAMS["static true"]
    with Broker(policy) as used:
        lane = [("used", "wire", used.socket, argv)]
        run_load(lane, 8, 0.5, 100)
        before = {"descriptors": open_descriptors(used.process.pid),
                  **brokers.memory(used.process.pid)}
        done, load_rows = 0, []
        while done < calls:
            load_rows.append(run_load(lane, 8, 2, 500)["used"])
            done += load_rows[-1]["calls"]
        after = {"descriptors": open_descriptors(used.process.pid),
                 **brokers.memory(used.process.pid)}
        with Broker(policy) as fresh, Broker("", binary=large) as many:
            lanes = [("fresh", "wire", fresh.socket, argv), *lane,
                     ("10,000 rules", "wire", many.socket, argv)]
            rows = {callers: run_load(lanes, callers, 3, slice_ms(callers)) for callers in (1, 8)}
    result = {"calls": done, "before": before, "after": after,
              "rows": [row for some in rows.values() for row in some.values()]}
    print(f"\nafter {done} calls: descriptors {before['descriptors']} -> {after['descriptors']}, "
          f"private {before['private'] // 1024} -> {after['private'] // 1024} KiB")
    for callers, some in rows.items():
        for name, row in some.items():
            print(f"  {callers} callers  {name:<14} p50 {row['p50_us']:7.1f} us "
                  f"({row['p50_us'] / some['fresh']['p50_us']:.3f} of fresh)  "
                  f"{row['per_second']:7.0f} calls/s "
                  f"({row['per_second'] / some['fresh']['per_second']:.3f})", flush=True)
    return result
