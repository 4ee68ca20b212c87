"""Every *.rules file of tests/language/errors, and what `sluicec check` says of it: the exact bytes of
the .expected file beside it, which begins with the exit status.

`make update-golden` writes the .expected files anew (SLUICE_UPDATE_GOLDEN=1); review the diff.
"""

import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parent.parent / "build"))
CASES = sorted((HERE / "errors").glob("*.rules"))


def run_check(rules, *options):
    """`sluicec check` on a file, named without its folder as its author would."""
    return subprocess.run(
        [BUILD / "sluicec", "check", *options, rules.name],
        cwd=rules.parent, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("rules", CASES, ids=lambda path: path.stem)
def test_exact_diagnostics(rules):
    result = run_check(rules)
    said = b"exit status %d\n" % result.returncode + result.stderr
    expected = rules.with_suffix(".expected")
    if os.environ.get("SLUICE_UPDATE_GOLDEN"):
        expected.write_bytes(said)
    assert said == expected.read_bytes()


@pytest.mark.parametrize("rules", CASES, ids=lambda path: path.stem)
def test_errors_and_summary_exclude_each_other(rules):
    result = run_check(rules)
    assert result.returncode in (0, 1)
    assert bool(result.stdout) == (result.returncode == 0)
    assert (b"error:" in result.stderr) == (result.returncode == 1)


def test_enough_cases():
    """The corpus covers at least this many diagnostics."""
    count = sum(path.with_suffix(".expected").read_bytes().count(b": error: ") for path in CASES)
    assert count >= 200


# Shown by tests/language/test_hostile.py: files that take seconds.
SLOW = ("are too large together: over", "variables, paths and ports in force")

CALL = re.compile(r"\b(?:diagnostic_error|diagnostic_note|check_hint|report_\w+)\(")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def messages(text):
    """The format strings of every call that reports something: literals side by side are one."""
    for call in CALL.finditer(text):
        arguments = text[call.end():text.index(";\n", call.end())]
        arguments = re.sub(r'"\s*(?:\w+_LIST\b\s*)?"?\n?\s*"', "", arguments)
        for string in STRING.finditer(arguments):
            yield string[1].replace("\\\\", "\\").replace('\\"', '"')


def test_every_message_has_a_case():
    """The longest fixed part of each message of the checker stands in some .expected file."""
    said = "".join(path.with_suffix(".expected").read_text() for path in CASES)
    missing = []
    for source in sorted((HERE.parent.parent / "compiler/policy").glob("*.c")):
        for message in messages(source.read_text()):
            fixed = max(re.split(r"%[-.*0-9]*[a-z]+", message), key=len).strip()
            if len(fixed) > 5 and fixed not in said and not any(slow in message for slow in SLOW):
                missing.append((source.name, message))
    assert not missing
