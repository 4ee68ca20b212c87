"""`sluicec diff` on pairs of policies with known answers, and each of its witnesses through `match`.

pairs/*.pairs: sections `=== ANSWER: title`, the old rules, a line `---`, the new rules, and then lines that the
answer must have (`+ …`, `- …`, `~ …` without the places behind them, `    key: from -> to (direction)`).
ANSWER is equal, narrower, wider or mixed; `uncertain` behind it: only a call could tell.
pairs/*.table: a line is two forms of one stanza; its own head says how it is read.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parent.parent / "build"))
FOLDER = HERE / "pairs"

STATUS = {"equal": 0, "narrower": 1, "wider": 3, "mixed": 3}
BACK = {"equal": "equal", "narrower": "wider", "wider": "narrower", "mixed": "mixed", "wider!": "wider!"}
TOLD = ("+ ", "- ", "~ ", "    ")


class Pair:
    def __init__(self, answer, old, new, lines, uncertain=False):
        self.answer, self.old, self.new = answer, old, new
        self.lines, self.uncertain = lines, uncertain


def read_sections(path):
    for section in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, body = section.split("\n", 1)
        words, title = head.split(": ", 1)
        old, new = body.split("\n---\n")
        rules, told = [], []
        for line in new.rstrip("\n").split("\n"):
            is_told = line.startswith(TOLD)
            (told if is_told else rules).append(line)
        answer = words.split(" ")
        yield title, Pair(answer[0], old + "\n", "\n".join(rules) + "\n", told, "uncertain" in answer)


def stanza(where, lines):
    text = "".join(f"  {line}\n" for line in lines.split(" & ") if line)
    if where == "defaults":
        return f"defaults:\n{text}run\n" if text else "run\n"
    return f"run #file\n  file = @under(/srv/work)\n{text}"


def read_table(path):
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line or line.startswith("#"):
            continue
        where, rest = line.split(" ", 1)
        before, rest = re.split(r"\s*=>\s*", rest, maxsplit=1)
        # Ports have colons without blanks; ours have one on each side.
        after, answer, *told = re.split(r"(?:^|\s+):\s+", rest)
        told = [f"    {told[0]}"] if told else []
        old, new = stanza(where, before), stanza(where, after)
        shown = f"{before} to {after or 'nothing'}"
        yield shown, Pair(answer.rstrip("!"), old, new, told)
        yield shown + ", back", Pair(BACK[answer].rstrip("!"), new, old, [])


PAIRS = {}
for file in sorted(FOLDER.iterdir()):
    for name, pair in read_table(file) if file.suffix == ".table" else read_sections(file):
        assert f"{file.stem}: {name}" not in PAIRS, name
        PAIRS[f"{file.stem}: {name}"] = pair


def test_the_corpus_is_large():
    assert len(PAIRS) >= 150
    for answer in STATUS:
        assert sum(pair.answer == answer for pair in PAIRS.values()) >= 20, answer


def sluicec(folder, *arguments):
    return subprocess.run([BUILD / "sluicec", *arguments], cwd=folder, capture_output=True,
                          env=dict(os.environ, HOME="/home/user"), encoding="utf-8", timeout=60,
                          check=False)


def decides(folder, rules, argv):
    """The line of the rule that takes a command line, or None."""
    result = sluicec(folder, "match", rules, *argv)
    if result.returncode == 1:
        return None
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split(":", 2)[1])


def replay(folder, difference):
    """Both policies answer a witness as the difference says."""
    old, new = (decides(folder, rules, difference["argv"]) for rules in ("old.rules", "new.rules"))
    assert old == difference.get("old_line"), difference
    assert new == difference.get("new_line"), difference


@pytest.mark.parametrize("name", PAIRS)
def test_pair(tmp_path, name):
    pair = PAIRS[name]
    (tmp_path / "old.rules").write_text(pair.old, encoding="utf-8")
    (tmp_path / "new.rules").write_text(pair.new, encoding="utf-8")
    said = sluicec(tmp_path, "diff", "old.rules", "new.rules")
    shown = said.stdout + said.stderr
    assert said.returncode == STATUS[pair.answer], shown
    assert said.stdout.endswith({"mixed": "wider, and narrower\n"}.get(pair.answer, pair.answer + "\n")), shown
    told = json.loads(sluicec(tmp_path, "diff", "--json", "old.rules", "new.rules").stdout)
    assert told["complete"]
    assert told["wider"] == (pair.answer in ("wider", "mixed")), shown
    assert told["narrower"] == (pair.answer in ("narrower", "mixed")), shown
    for line in pair.lines:
        assert any(one == line or one.startswith((line + " ", line + ":")) for one in said.stdout.split("\n")), (line, shown)
    assert any(d["uncertain"] for d in told["differences"]) == pair.uncertain, shown
    for difference in told["differences"]:
        if difference["kind"] == "decided":
            assert difference["changes"]
        if difference["kind"] != "policy" and not difference["uncertain"]:
            replay(tmp_path, difference)
