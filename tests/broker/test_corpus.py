"""The corpus of tests/language/decisions, called for real: what runs, and what the manifest says of what
does not."""
import re
import sys
from pathlib import Path

import pytest
from wire import NO_RULE

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "language"))

import decisions  # noqa: E402

CORPUS = sorted(decisions.FOLDER.glob("*.decisions"))
REASONS = {"no": "no_rule", "option_like": "option_like: ", "too_long": "value_too_long"}
CALLS = 12  # of each verdict of a file


def stand_ins(rules, folder):
    """Something that does nothing, and does it well, for every program of the rules."""
    folder.mkdir()
    (folder / "true").symlink_to("/bin/true")  # for env
    for line in rules.splitlines():
        name = re.match(r"[a-z][a-z0-9_.-]*", line)
        if name and not (folder / name[0]).exists():
            (folder / name[0]).symlink_to("/bin/true")
    return folder


def some_of_each(requests):
    """The first few requests of each verdict; a line number is one verdict."""
    counts = {}
    for verdict, argv in requests:
        kind = "line" if verdict.isdigit() else verdict
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= CALLS:
            yield verdict, argv


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_calls_end_as_the_corpus_says(path, start_broker, home, tmp_path):
    rules = path.with_suffix(".rules").read_text()
    folder = stand_ins(rules, tmp_path / "bin")
    defaults = f"exec_path = {folder}"
    if "defaults:\n" in rules:
        broker = start_broker(rules.replace("defaults:\n", f"defaults:\n  {defaults}\n"))
    else:
        broker = start_broker(rules, defaults)
    wrong, refusals = [], []
    for verdict, argv in some_of_each(decisions.read(path)):
        argv = [word.replace("/home/ann", str(home)) for word in argv]
        status = broker.call(*argv).status
        if verdict.isdigit() != (status != NO_RULE) or verdict.isdigit() and status != 0:
            wrong.append((verdict, argv, status))
        if not verdict.isdigit():
            refusals.append((REASONS[verdict], argv))
    assert not wrong, broker.stderr()
    rejects = broker.rejects()
    assert len(rejects) == len(refusals)
    assert all(reason.startswith(expected) for reason, (expected, _) in zip(rejects, refusals)), (
        list(zip(rejects, refusals)))


def test_a_hostile_value_is_refused_for_the_work_it_makes(start_broker):
    broker = start_broker("true #x\n  x = (a+)+(?!b)[cd]\n  engine = pcre2\n")
    assert broker.call("true", "aaac").status == 0
    assert broker.call("true", "a" * 60).status == NO_RULE
    assert broker.call("true", "b").status == NO_RULE
    assert broker.rejects() == ["pattern_limit", "no_rule"]
