"""How the *.decisions files of tests/language/decisions are read.

Each line is a verdict and a command line, quoted as for a shell (a quoted word may hold a newline):
the line of the rule that takes it, `no`, or the reason of one that "would have, but" (`option_like`,
`too_long`). An unquoted word `a*4096` is that character so many times.
"""

import pathlib
import re
import shlex

FOLDER = pathlib.Path(__file__).resolve().parent / "decisions"
REPEATED = re.compile(r"(.)\*([0-9]+)")


def words(command):
    """The words of a command line; ValueError when a quote is still open."""
    quoted = shlex.split(command)
    raw = shlex.split(command, posix=False)
    for index, word in enumerate(raw):
        repeated = REPEATED.fullmatch(word)
        if repeated and len(raw) == len(quoted):
            quoted[index] = repeated[1] * int(repeated[2])
    return quoted


def read(path):
    """Every (verdict, argv) of a file."""
    decisions, pending = [], ""
    for line in path.read_text(encoding="utf-8").split("\n"):
        pending += line
        try:
            parts = words(pending)
        except ValueError:
            pending += "\n"
            continue
        if parts:
            decisions.append((parts[0], parts[1:]))
        pending = ""
    assert not pending, f"{path}: a quote is not closed"
    return decisions
