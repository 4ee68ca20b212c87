#!/usr/bin/python3
"""coverage.py FOLDER: what the programs of a `make coverage` have counted in FOLDER/counts, summed up.

Prints lines and branches by folder of the source, and what is least covered; writes all of it as
HTML to FOLDER/html. Ends with 1 when a part is below what docs/testing.md promises of it.
"""
import collections
import json
import pathlib
import subprocess
import sys

PROMISED = {"runtime": (90, 80), "compiler": (90, 0)}  # percent of lines, of branches
# The verifier is no part of a broker or the compiler: a compile runs it once and throws it away.
LEFT_OUT = ("runtime/verify/",)


def tool(name, *arguments, **options):
    return subprocess.run([f"{name}-14", *map(str, arguments)], check=True, **options)


def objects_of(folder):
    """Every object file of the compiler and the runtime: as a list of arguments for llvm-cov."""
    found = sorted(folder.glob("host/compiler/**/*.o")) + sorted(folder.glob("host/runtime/**/*.o"))
    # The broker's main is in the brokers alone.
    found += [folder / "glibc/runtime/broker/main.o", folder / "glibc/runtime/broker/pcre2.o"]
    return [found[0], *(f"-object={path}" for path in found[1:])]


def table(rows):
    for name, totals in rows:
        line, branch = totals["lines"], totals["branches"]
        print(f"{name:34} {percent(line):6.1f} % of {line[1]:6} lines"
              f" {percent(branch):6.1f} % of {branch[1]:6} branches")


def percent(pair):
    return 100 * pair[0] / pair[1] if pair[1] else 100


def sum_up(files, name_of):
    sums = collections.defaultdict(lambda: {"lines": [0, 0], "branches": [0, 0]})
    for path, summary in files:
        for kind, pair in sums[name_of(path)].items():
            pair[0] += summary[kind]["covered"]
            pair[1] += summary[kind]["count"]
    return sorted(sums.items())


def main():
    folder = pathlib.Path(sys.argv[1])
    root = pathlib.Path(__file__).resolve().parent.parent
    profile = folder / "profile"
    tool("llvm-profdata", "merge", "-sparse", "-o", profile, *sorted((folder / "counts").glob("*.profraw")))
    objects = objects_of(folder)
    said = tool("llvm-cov", "export", "-summary-only", f"-instr-profile={profile}", *objects,
                capture_output=True, text=True)
    files = []
    for entry in json.loads(said.stdout)["data"][0]["files"]:
        path = pathlib.Path(entry["filename"])
        path = str(path.relative_to(root) if path.is_absolute() and path.is_relative_to(root) else path)
        if path.startswith(tuple(PROMISED)) and not path.startswith(LEFT_OUT):
            files.append((path, entry["summary"]))
    table(sum_up(files, lambda path: "/".join(path.split("/")[:2])))
    print()
    parts = sum_up(files, lambda path: path.split("/")[0])
    table(parts)
    print("\nleast covered:")
    by_missing = sorted(files, key=lambda file: file[1]["lines"]["covered"] - file[1]["lines"]["count"])
    table(sum_up(by_missing[:25], lambda path: path))
    tool("llvm-cov", "show", "-format=html", f"-output-dir={folder / 'html'}", "-show-branches=count",
         f"-instr-profile={profile}", *objects, stdout=subprocess.DEVNULL)
    good = True
    for name, totals in parts:
        lines, branches = PROMISED[name]
        if percent(totals["lines"]) < lines or percent(totals["branches"]) < branches:
            print(f"{name}: below {lines} % of lines or {branches} % of branches")
            good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
