"""`sluicec match` and the broker that is compiled of the same rules give one answer: the rule that takes a command line, or
the nearest one, the argument that fails, and what is accepted there."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "language"))

import decisions  # noqa: E402

SLUICEC = pathlib.Path(os.environ["SLUICE_BUILD"]) / "sluicec"
CORPUS = sorted(decisions.FOLDER.glob("*.decisions"))
REQUESTS = 25  # of each verdict of a file
ENVIRONMENT = dict(os.environ, HOME="/home/user")


def said(*arguments):
    result = subprocess.run([*map(str, arguments)], capture_output=True, encoding="utf-8", errors="surrogateescape",
                            env=ENVIRONMENT, timeout=60, check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.returncode, result.stdout


def accepted(text):
    """What slots accept, without the example that only one of them shows."""
    return sorted(re.findall(r"#([A-Za-z0-9_-]+) accepts (.+?)(?:, for example .*)?(?=, #[A-Za-z0-9_-]+ accepts |\n|$)", text))


def of_compiler(status, text):
    if status == 0:
        return "taken", text.split("\n")[0].split(":")[1]
    if "\nnearest: " not in text:
        return ("no rule",)
    line = re.search(r"^nearest: [^:]+:(\d+): ", text, re.M)[1]
    missing = re.search(r"^token (\d+) is missing: (.*)$", text, re.M)
    if missing:
        return "nearest", line, "missing", missing[2]
    at = int(re.search(r"^token (\d+): ", text, re.M)[1]) - 1
    return "nearest", line, at


def of_broker(status, text):
    if status == 0:
        return "taken", text.split("\n")[0].split(":")[1]
    line = re.search(r"^the nearest rule is [^:]+:(\d+), ", text, re.M)
    if not line:
        return ("no rule",)
    missing = re.search(r"^the request ends where the rule goes on with `(.*)`$", text, re.M)
    if missing:
        return "nearest", line[1], "missing", missing[1]
    return "nearest", line[1], int(re.search(r"^argument (\d+) ", text, re.M)[1])


def some_of_each(requests):
    counts = {}
    for verdict, argv in requests:
        counts[verdict] = counts.get(verdict, 0) + 1
        if counts[verdict] <= REQUESTS:
            yield argv


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_one_answer(tmp_path, path):
    rules = path.with_suffix(".rules")
    broker = tmp_path / "broker"
    done = subprocess.run([SLUICEC, rules, "-o", broker], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    compared = 0
    for argv in some_of_each(decisions.read(path)):
        if any("\0" in word for word in argv):
            continue
        compiler, ours = said(SLUICEC, "match", rules, *argv), said(broker, "match", *argv)
        assert of_compiler(*compiler) == of_broker(*ours), (argv, compiler, ours)
        # Where the broker says what is accepted, the compiler says the same.
        if ours[0] and accepted(ours[1]):
            assert accepted(ours[1]) == accepted(compiler[1]), (argv, compiler, ours)
        compared += 1
    assert compared >= 3
