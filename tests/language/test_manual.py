"""Every example of the documentation is what it says it is.

A block ```rules is a valid file. A block ```rules broken is not: the ```console block behind it shows
what `sluicec check` answers, byte by byte."""

import os
import re
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


def test_the_language_page_has_examples():
    kinds = [kind for _, kind, _ in blocks("docs/language.md")]
    assert kinds.count("rules") >= 10 and kinds.count("rules broken") >= 1
