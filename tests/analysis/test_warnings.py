"""Every warning of `sluicec check`: dangerous rules are flagged with exactly the names that the corpus gives, their
safe twins are silent; the manual's examples are part of the corpus; the facts about programs are well formed."""

import collections
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
PAGE = (ROOT / "docs" / "warnings.md").read_text(encoding="utf-8")
PROGRAMS = (ROOT / "compiler" / "analysis" / "programs.txt").read_text(encoding="utf-8")
NAMES = re.findall(r'^WARNING\("([^"]+)"', (ROOT / "grammar" / "warnings.def").read_text(), re.M)

Case = collections.namedtuple("Case", "about expected rules")


def read_cases():
    """The corpus: title -> case. `expected` is the set of warnings, empty for a safe twin."""
    cases = {}
    text = (HERE / "warnings.cases").read_text(encoding="utf-8")
    for section in re.split(r"^=== ", text, flags=re.M)[1:]:
        head, rules = section.split("\n", 1)
        words, title = head.split(": ", 1)
        safe, names = words.startswith("safe "), words.removeprefix("safe ").split(" ")
        assert head not in cases, head
        cases[head] = Case(names, set() if safe else set(names), rules)
    return cases


def read_page():
    """The manual's examples: in the section of NAME, blocks ```rules are dangerous, ```rules safe are not."""
    cases = {}
    for section in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        name, body = section.split("\n", 1)
        name = name.strip("`")
        if name not in NAMES:
            continue
        for number, (kind, also, rules) in enumerate(
                re.findall(r"^```rules( safe)?(?: also ([a-z -]+))?\n(.*?)^```$", body, re.M | re.S)):
            expected = set() if kind else {name, *also.split()}
            cases[f"page {number}{kind}: {name}"] = Case([name], expected, rules)
    return cases


CASES = {**read_cases(), **read_page()}


def check(folder, rules, *options):
    (folder / "agent.rules").write_text(rules, encoding="utf-8")
    return subprocess.run([BUILD / "sluicec", "check", *options, "agent.rules"], cwd=folder,
                          capture_output=True, encoding="utf-8", timeout=60, check=False)


def told(result):
    return [json.loads(line) for line in result.stderr.splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_case(tmp_path, name):
    case = CASES[name]
    result = check(tmp_path, case.rules, "--diagnostics=json")
    messages = told(result)
    assert result.returncode == 0, messages
    assert {message["name"] for message in messages} == case.expected, messages
    for message in messages:
        assert message["severity"] == "warning"
        assert message["notes"], "each says what to do"


@pytest.mark.parametrize("name", NAMES)
def test_every_warning_has_cases(name):
    dangerous = [case for case in CASES.values() if name in case.expected]
    safe = [case for case in CASES.values() if not case.expected and name in case.about]
    assert len(dangerous) >= 2 and len(safe) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_every_warning(name):
    section = re.search(rf"^## `{name}`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert section, "no section"
    body = section[1]
    assert "```rules safe" in body and "```console" in body
    assert f"[-W{name}]" in body, "what the compiler says is shown"


def test_what_the_page_shows_is_what_is_said(tmp_path):
    """Each console block is what `check` says of the dangerous example above it."""
    shown = 0
    for section in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        rules = None
        for kind, body in re.findall(r"^```(rules|console)[^\n]*\n(.*?)^```$", section, re.M | re.S):
            if kind == "rules":
                rules = body
                continue
            if not body.startswith("$ sluicec check agent.rules\n"):
                continue
            result = check(tmp_path, rules)
            assert body.split("\n", 1)[1] == result.stderr, section.split("\n")[0]
            shown += 1
    assert shown >= len(NAMES)


# ---- switches ------------------------------------------------------------------------------------

MAKE = "make test\n"  # runs-caller-files
BOTH = "make test\n  exec_path = inherit\n"  # and writable-exec-path

SWITCHES = [
    ([], BOTH, 0, {"runs-caller-files": "warning", "writable-exec-path": "warning"}),
    (["-Wno-runs-caller-files"], BOTH, 0, {"writable-exec-path": "warning"}),
    (["-Wno-runs-caller-files", "-Wruns-caller-files"], MAKE, 0, {"runs-caller-files": "warning"}),
    (["-Wruns-caller-files", "-Wno-runs-caller-files"], MAKE, 0, {}),
    (["-Werror=writable-exec-path"], BOTH, 1,
     {"runs-caller-files": "warning", "writable-exec-path": "error"}),
    (["-Werror=shadowed"], BOTH, 0,
     {"runs-caller-files": "warning", "writable-exec-path": "warning"}),
    (["--strict"], BOTH, 1, {"runs-caller-files": "error", "writable-exec-path": "error"}),
    (["-Werror"], MAKE, 1, {"runs-caller-files": "error"}),
    (["--strict", "-Wno-runs-caller-files"], MAKE, 0, {}),
    (["-Wno-runs-caller-files", "--strict"], BOTH, 1, {"writable-exec-path": "error"}),
    (["--strict"], "date\n", 0, {}),
]


@pytest.mark.parametrize("options, rules, status, expected", SWITCHES)
def test_switches(tmp_path, options, rules, status, expected):
    result = check(tmp_path, rules, "--diagnostics=json", *options)
    assert result.returncode == status
    assert {m["name"]: m["severity"] for m in told(result)} == expected
    # The text form says the same, and the summary follows only when there is no error.
    text = check(tmp_path, rules, *options)
    assert text.returncode == status
    for name, severity in expected.items():
        assert re.search(rf": {severity}: .*\[-W(error=)?{name}\]", text.stderr), text.stderr
    assert ("rules: 1" in text.stdout) == (status == 0)


@pytest.mark.parametrize("option", ["-Wshadow", "-Wno-shadow", "-Werror=shadow"])
def test_an_unknown_warning_is_wrong_usage(tmp_path, option):
    result = check(tmp_path, MAKE, option)
    assert result.returncode == 2
    assert result.stderr == f"sluicec: {option}: there is no warning 'shadow'; did you mean 'shadowed'?\n"


def test_json_has_places_and_notes(tmp_path):
    message, = told(check(tmp_path, "echo #x\n  allow_any = x\n", "--diagnostics=json"))
    assert (message["file"], message["line"], message["column"], message["end_column"]) == ("agent.rules", 1, 6, 8)
    assert message["name"] == "any-value" and message["notes"][0]["message"]


# ---- the facts about programs --------------------------------------------------------------------

LINES = [line for line in PROGRAMS.splitlines() if line and not line.startswith("#")]
FACTS = set(re.findall(r"^#   ([a-z-]+)(?:[=[ ]|$)", PROGRAMS.split("# Facts:")[1], re.M))


def test_there_are_many_programs_each_once():
    names = [name for line in LINES for name in line.split("|")[0].split()]
    assert len(LINES) >= 120 and len(names) >= 120
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    assert not twice


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[0])
def test_facts_are_well_formed(line):
    names, facts, source = (part.strip() for part in line.split("|", 2))
    assert names and facts
    assert re.fullmatch(r"https://[\w.-]+/\S*", source), source
    for word in facts.split():
        fact = re.fullmatch(r"([a-z-]+)(=[^\s]+?)?(@[a-zA-Z0-9_.,-]+)?", word)
        assert fact and fact[1] in FACTS, word
        if fact[3]:
            assert "subcommands" in facts.split() or "subcommands" == fact[1], f"{word} without subcommands"
