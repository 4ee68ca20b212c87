"""Every example of the documentation is what it says it is.

A block ```rules is a valid file. A table behind it that begins with "command line" tells which of its
rules takes each one, or that it is refused. A block ```rules broken is not valid: the ```console block
behind it shows what `sluicec check` answers, byte by byte."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLUICEC = Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "sluicec"

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"\A\$ sluicec check (\S+)\n")


def blocks(name):
    """The fenced blocks of a page: their first line in the page, their kind, their text."""
    page = (ROOT / name).read_text()
    return [(page.count("\n", 0, match.start()) + 1, match[1].strip(), match[2])
            for match in BLOCK.finditer(page)]


def pages():
    return ["README.md"] + sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))


def valid_examples():
    return [pytest.param(text, id=f"{page}:{line}")
            for page in pages() for line, kind, text in blocks(page) if kind == "rules"]


def broken_examples():
    """Each broken file with the console block that follows it, or None."""
    found = []
    for page in pages():
        here = blocks(page)
        for (line, kind, text), (_, next_kind, answer) in zip(here, here[1:] + [(0, "", "")]):
            if kind == "rules broken":
                found.append(pytest.param(text, answer if next_kind == "console" else None,
                                          id=f"{page}:{line}"))
    return found


ORDINALS = {"the first rule": 0, "the second rule": 1}


def tables(text, first_cell):
    """The rows of the tables whose head begins with such a cell, each a list of cells."""
    for table in re.findall(r"^\|[^\n]*\n\|[-| ]+\|\n(?:\|[^\n]*\n)+", text, re.M):
        rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in table.splitlines()]
        if rows[0][0] == first_cell:
            yield rows[2:]


def decisions():
    """Each command line of a table, the rules above it, and the number of the rule that takes it, or
    None."""
    found = []
    for page in pages():
        text = (ROOT / page).read_text()
        above = [(match.end(), match[2]) for match in BLOCK.finditer(text) if match[1] == "rules"]
        for (end, rules), (next_end, _) in zip(above, above[1:] + [(len(text), "")]):
            for rows in tables(text[end:next_end], "command line"):
                for command, verdict in rows:
                    rule = None if verdict.startswith("refused: ") else \
                        ORDINALS[verdict.split(",")[0]]
                    found.append(pytest.param(rules, command.strip("`"), rule,
                                              id=f"{page}: {command}"))
    return found


def standard_set():
    """Each row of the manual's table: a named pattern, a value that it accepts or not."""
    found = []
    for rows in tables((ROOT / "docs/language.md").read_text(), "name"):
        for names, _, accepted, refused in rows:
            for cell, expected in ((accepted, True), (refused, False)):
                values = re.findall(r"`([^`]+)`", cell)
                names_here = re.findall(r"`([^`]+)`", names)
                found += [(name, value, expected) for name, value in zip(names_here, values)]
    return found


def match(folder, text, words):
    (folder / "example.rules").write_text(text)
    return subprocess.run([SLUICEC, "match", "example.rules", *words], cwd=folder, text=True,
                          capture_output=True, timeout=60, env={**os.environ, "HOME": "/home/ann"})


def check(folder, name, text):
    (folder / name).write_text(text)
    return subprocess.run([SLUICEC, "check", name], cwd=folder, capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("text", valid_examples())
def test_example_is_valid(text, tmp_path):
    result = check(tmp_path, "example.rules", text)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("text, answer", broken_examples())
def test_broken_example_is_answered_as_shown(text, answer, tmp_path):
    assert answer is not None, "no console block follows"
    command = COMMAND.match(answer)
    assert command, "the console block does not begin with `$ sluicec check FILE`"
    result = check(tmp_path, command[1], text)
    assert result.returncode == 1
    assert result.stderr == answer[command.end():]


@pytest.mark.parametrize("rules, command, rule", decisions())
def test_table_tells_what_happens(rules, command, rule, tmp_path):
    result = match(tmp_path, rules, shlex.split(command))
    lines = [number for number, line in enumerate(rules.splitlines(), 1)
             if line and line[0] not in " \t;" and line not in ("defaults:", "patterns:")]
    if rule is None:
        assert result.returncode == 1, result.stdout
    else:
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stdout.startswith(f"example.rules:{lines[rule]}: ")


@pytest.mark.parametrize("name, value, accepted", standard_set())
def test_standard_set_is_as_described(name, value, accepted, tmp_path):
    rules = f"x #value\n  value = {name}\n  allow_dash = value\n"
    result = match(tmp_path, rules, ["x", value])
    assert result.returncode == (0 if accepted else 1), result.stdout + result.stderr


def test_the_language_page_has_examples():
    """The tests above are of something."""
    kinds = [kind for _, kind, _ in blocks("docs/language.md")]
    assert kinds.count("rules") >= 8 and kinds.count("rules broken") >= 1
    assert len(decisions()) >= 6
    assert len(standard_set()) >= 25
