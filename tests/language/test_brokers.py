"""The corpus of decisions against real brokers, and one explanation of a refusal.

Each rules file of tests/language/decisions is compiled into a broker. What `agent-broker match` says
of a command line has to be what the corpus expects, and what `sluicec match` says from the model: the
rule that takes it, or the nearest rule and the word that does not fit. (tests/broker/test_corpus.py
makes calls of it.)"""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

import decisions

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
HOME = "/home/ann"
CORPUS = sorted(decisions.FOLDER.glob("*.decisions"))
RULES = sorted(decisions.FOLDER.glob("*.rules")) + sorted((ROOT / "examples").glob("*.rules"))
RANDOM_REQUESTS = 25  # for each rules file


@pytest.fixture(scope="session")
def broker_of(tmp_path_factory):
    """broker_of(RULES): the path of its broker, compiled once a session."""
    folder = tmp_path_factory.mktemp("brokers")

    def compiled(rules):
        broker = folder / rules.stem
        if not broker.exists():
            done = subprocess.run([BUILD / "sluicec", rules, "-o", broker], timeout=300,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            assert done.returncode == 0, done.stdout.decode()
        return broker

    return compiled


def run(*command):
    done = subprocess.run(command, env={"HOME": HOME, "PATH": os.environ["PATH"]}, timeout=60,
                          capture_output=True, encoding="utf-8", check=False)
    assert done.returncode in (0, 1), (command, done.stdout, done.stderr)
    return done.stdout


PROGRAM = "no rule is for that program"


def from_broker(said):
    """What `agent-broker match` said: (line of the rule that takes it, None) or
    (line of the nearest rule, number of the word that does not fit), counted from 0."""
    nearest = re.match(r"the nearest rule is [^:\n]+:(\d+), ", said)
    if not nearest:
        if said.startswith("no rule is for the program "):
            return PROGRAM, 0
        return re.match(r"[^:\n]+:(\d+): ", said)[1], None
    if "\nthe request ends where the rule goes on with " in said:
        return nearest[1], "end"
    return nearest[1], int(re.search(r"^argument (\d+) `", said, re.M)[1])


def from_compiler(said):
    """The same of `sluicec match`, which counts from 1."""
    if not said.startswith("no rule matches: "):
        return re.match(r"[^:\n]+:(\d+): ", said)[1], None
    if "\nno rule runs " in said:
        return PROGRAM, 0
    nearest = re.search(r"^nearest: [^:\n]+:(\d+): ", said, re.M)
    token, missing = re.search(r"^token (\d+)(?:: | (is missing): )", said, re.M).groups()
    return nearest[1], "end" if missing else int(token) - 1


# What a broker says of a request that a rule would have taken, but.
WORDS = {"option_like": " takes no value that starts with '-'",
         "too_long": " takes at most "}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_broker_decides_as_the_corpus_says(path, broker_of):
    broker = broker_of(path.with_suffix(".rules"))
    wrong = []
    for verdict, argv in decisions.read(path):
        said = run(broker, "match", *argv)
        line, place = from_broker(said)
        good = (line, place) == (verdict, None) if verdict.isdigit() else \
            place is not None and WORDS.get(verdict, "") in said
        if not good:
            wrong.append((verdict, argv, said))
    assert not wrong


def mutants(requests, words, count, chance):
    """Command lines near the given ones: words dropped, added, exchanged, changed, moved."""
    made = []
    while len(made) < count:
        argv = list(chance.choice(requests))
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(1, len(argv)) if chance.random() < 0.95 else 0
            kind = chance.randrange(6)
            if kind == 0 and at < len(argv) and len(argv) > 1:
                del argv[at]
            elif kind == 1 and at:
                argv.insert(at, chance.choice(words))
            elif kind == 2 and at < len(argv):
                argv[at] = chance.choice(words)
            elif kind == 3 and at < len(argv):
                argv[at] = chance.choice(["-", "", "é"]) + argv[at]
            elif kind == 4 and at < len(argv):
                argv[at] = argv[at][:-1]
            elif 0 < at < len(argv):
                argv.append(argv.pop(at))
        if argv[0]:
            made.append(argv)
    return made


def requests_of(rules):
    """Command lines for a rules file: those of the corpus, else the words of its rules."""
    path = rules.with_suffix(".decisions")
    if path.exists():
        return [argv for _, argv in decisions.read(path)]
    lines = [line.split() for line in rules.read_text().splitlines()
             if line and line[0] not in " \t;" and line.rstrip() not in ("defaults:", "patterns:")]
    values = {"#": "a", "#{": "1"}
    return [[re.sub(r"#\{.*?\}|#.+", lambda slot: values.get(slot[0][:2], "main"), word)
             for word in line] for line in lines]


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_both_explanations_are_of_one_rule_and_word(rules, broker_of):
    broker, chance = broker_of(rules), random.Random(rules.stem)
    requests = requests_of(rules)
    words = sorted({word for argv in requests for word in argv}) + ["--force", "-", "x", ""]
    differ, refused = [], 0
    for argv in requests + mutants(requests, words, RANDOM_REQUESTS, chance):
        by_broker = from_broker(run(broker, "match", *argv))
        by_compiler = from_compiler(run(BUILD / "sluicec", "match", rules, *argv))
        refused += by_broker[1] is not None
        if by_broker != by_compiler:
            differ.append((argv, by_broker, by_compiler))
    assert not differ
    assert refused, "nothing was refused: nothing was explained"


NEAREST = [
    # An option that no rule has does not hide what was meant.
    ("git push --force origin main", "git -c core.hooksPath=/dev/null push", 1),
    ("git commit -m fix", "git -c core.hooksPath=/dev/null commit", 1),
    ("git log", "git --no-pager log", 1),
    ("git status", "git status", "end"),
    ("git --no-pager log --oneline --max-count=1000 HEAD", "git --no-pager log", 4),
    ("git --no-pager show HEAD", "git --no-pager show", 3),
    ("make install", "make", 1),
    ("gh pr view 12", "gh pr view", "end"),
]


@pytest.mark.parametrize("command, rule, place", NEAREST, ids=lambda part: str(part))
def test_the_nearest_rule_is_what_was_meant(command, rule, place, broker_of):
    rules = ROOT / "examples" / "agent.rules"
    (line,) = [number for number, text in enumerate(rules.read_text().splitlines(), 1)
               if text.startswith(rule)]
    argv = command.split()
    assert from_broker(run(broker_of(rules), "match", *argv)) == (str(line), place)
    assert from_compiler(run(BUILD / "sluicec", "match", rules, *argv)) == (str(line), place)


# A part of a token of several pieces that passes its slot's bounds, while the token's language takes
# the whole: the explanation was of the argument behind the last one.
BOUNDS = """\
copy #{from}:#{to}
  from = [a-z-]+
  to = [a-z]+
  allow_max = to:3
copy #{both}:x #more
  allow_any = both
  allow_max = both:4
  more = [a-z]+
"""


@pytest.mark.parametrize("words, answer", [
    (["ab:abcd"], "argument 1 `ab:abcd`: #to takes at most 3 bytes, and this is 4\n"),
    (["-a:abc"], "argument 1 `-a:abc`: #from takes no value that starts with '-'\n"),
    (["abcde:x", "a"], "argument 1 `abcde:x`: #both takes at most 4 bytes, and this is 5\n"),
    (["abc:x", "-a"], "argument 2 `-a`: the rule has `#more` there; #more accepts [a-z]+\n"),
])
def test_parts_that_pass_their_bounds_are_named(words, answer, tmp_path, broker_of):
    rules = tmp_path / "bounds.rules"
    rules.write_text(BOUNDS)
    said = run(broker_of(rules), "match", "copy", *words)
    assert said.split("\n", 1)[1] == answer
    assert from_broker(said) == from_compiler(run(BUILD / "sluicec", "match", rules, "copy",
                                                  *words))
