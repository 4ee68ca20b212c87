#!/usr/bin/python3
"""analyse.py FOLDER: gcc -fanalyzer, clang's warnings, clang-tidy and cppcheck over the compiler, the runtime
and the generated code of the examples.

FOLDER is a build folder (its grammar/ is included); generated code is prepared in FOLDER/analysers. Each
finding must be in explained.txt, beside this file, with the reason why it stays; so must no finding
that is not there any more. Ends with 1 else.
"""
import collections
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WARNINGS = """-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wvla -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings""".split()
RE2C = ["re2c", "-8", "--encoding-policy", "fail", "-W", "-Werror", "-Wno-match-empty-string", "-i",
        "--no-version", "--no-generation-date", "--case-ranges"]
PARTS = {"lines.c", "source.c"}  # included by policy.c


def prepare(folder):
    """The generated code of each example, as its compile has it: patterns are re2c's input."""
    place = folder / "analysers"
    shutil.rmtree(place, ignore_errors=True)
    for example in sorted((ROOT / "generated").iterdir()):
        copy = place / "generated" / example.name
        shutil.copytree(example, copy)
        for text in sorted((copy / "patterns").glob("*_*.re")):
            subprocess.run([*RE2C, "-I", text.parent, "-o", text.with_suffix(".c"), text], check=True)
    return place


def sources(place):
    own = [path.relative_to(ROOT) for part in ("compiler", "runtime") for path in (ROOT / part).rglob("*.c")]
    made = [path for path in (place / "generated").rglob("*.c") if path.name not in PARTS]
    return sorted(own) + sorted(made)


def flags(folder, place, path):
    found = ["-std=gnu11", "-I.", f"-I{folder}", "-Iruntime/include", '-DSLUICE_VERSION="0"']
    if path.is_absolute():
        found.append(f"-I{place / 'generated' / path.relative_to(place / 'generated').parts[0]}")
    return found


def tool_gcc(folder, place, path):
    return ["gcc", "-fanalyzer", "-O1", *WARNINGS, *flags(folder, place, path), "-c", "-o", "/dev/null", path]


def tool_clang(folder, place, path):
    return ["clang-14", "-fsyntax-only", *WARNINGS, *flags(folder, place, path), path]


def tool_tidy(folder, place, path):
    return ["clang-tidy-14", "--quiet", f"--config-file={ROOT / '.clang-tidy'}", path, "--",
            *flags(folder, place, path)]


def tool_cppcheck(folder, place, path):
    return ["cppcheck", "--std=c11", "--enable=warning,portability,performance", "--quiet",
            "--suppress=missingIncludeSystem", f"--suppressions-list={ROOT / 'tests/analysers/cppcheck.txt'}", "--template={file}:{line}:1: warning: {message} [{id}]",
            "-D__linux__", "-D__x86_64__", *[flag for flag in flags(folder, place, path) if flag != "-std=gnu11"], path]


TOOLS = {"gcc": tool_gcc, "clang": tool_clang, "clang-tidy": tool_tidy, "cppcheck": tool_cppcheck}
FINDING = re.compile(r"^(\S+?):(\d+):(?:\d+:)? (?:warning|error): (.*) \[([^\]]+)\]$")


def run(name, folder, place, path):
    """What one tool finds in one file: lines of text by (tool, check, file)."""
    result = subprocess.run(list(map(str, TOOLS[name](folder, place, path))), cwd=ROOT, check=False,
                            capture_output=True, text=True)
    found = []
    for line in (result.stdout + result.stderr).splitlines():
        match = FINDING.match(line)
        if not match:
            continue
        where = os.path.normpath(match[1]).removeprefix(f"{ROOT}/").removeprefix(f"{place}/")
        check = match[4].split(",")[0].removeprefix("-W").removeprefix("error=")
        if not where.startswith("/"):
            found.append(((name, check, where), f"{where}:{match[2]}: {name}: {match[3]} [{check}]"))
    if result.returncode and not found:
        found.append(((name, "failed", str(path)), f"{path}: {name} failed: {result.stderr[-400:]}"))
    return found


def explanations():
    """Rows of explained.txt: (tool, check, file pattern) -> how many of them."""
    rows = {}
    for line in (pathlib.Path(__file__).parent / "explained.txt").read_text().splitlines():
        if line.strip() and not line.startswith(("#", " ")):
            tool, check, pattern, count = line.split()
            rows[tool, check, pattern] = int(count)
    return rows


def judge(findings):
    """Lines to print about findings that are not explained, and explanations without a finding."""
    rows, left, said = explanations(), collections.Counter(), []
    for key in sorted(findings):
        lines = sorted(findings[key])
        row = next((row for row in rows if row[:2] == key[:2] and fnmatch.fnmatch(key[2], row[2])), None)
        if row:
            left[row] += len(lines)
        else:
            said += lines
    for row, count in rows.items():
        if left[row] != count:
            said.append(f"explained.txt: {' '.join(row)}: says {count}, found {left[row]}")
            said += [line for key in findings if key[:2] == row[:2] and fnmatch.fnmatch(key[2], row[2])
                     for line in sorted(findings[key])]
    return said


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    names = sys.argv[2:] or list(TOOLS)
    place = prepare(folder)
    findings = collections.defaultdict(set)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(run, name, folder, place, path) for name in names for path in sources(place)]
        for job in jobs:
            for key, line in job.result():
                findings[key].add(line)
    said = judge({key: lines for key, lines in findings.items()})
    if sys.argv[2:]:
        said = [line for line in said if not line.startswith("explained.txt") or any(f": {n} " in line for n in names)]
    print("\n".join(said) if said else "every finding is explained")
    print(f"{sum(map(len, findings.values()))} findings in {len(jobs) // len(names)} files")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
