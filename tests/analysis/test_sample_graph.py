"""`sample` gives command lines that `match` takes at the right rule; graphviz draws what `graph` writes."""

import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from shell import words

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
ENVIRONMENT = dict(os.environ, HOME="/home/user")  # the host that the analyses speak of

RULES = """\
git push origin #branch
  branch = [a-z][a-z0-9-]{0,40}
  branch != main|master
git commit -m #message #paths...{0,3}
  message = @text(1,20)
  paths = @relpath
copy #{from}:#{to}
  from = [a-z]{2,}
  to = [a-z]+
  allow_max = to:3
ls $HOME/work #flag
  flag = -[la]
  allow_dash = flag
say #x
  x = é|ü|\\p{Greek}
quote #x
  x = [ '"\\\\$\\;|]{1,3}
tab #x
  x = a[\\t\\n]b
any #x
  allow_any = x
"""
FILES = sorted((ROOT / "examples").glob("*.rules")) + sorted(
    (ROOT / "tests" / "language" / "decisions").glob("*.rules"))


def sluicec(*arguments):
    return subprocess.run([BUILD / "sluicec", *map(str, arguments)], capture_output=True, encoding="utf-8",
                          env=ENVIRONMENT, timeout=120, check=False)


def sampled(path, *options):
    """(line of the rule, words) of each sampled command line."""
    result = sluicec("sample", *options, path)
    assert result.returncode == 0, result.stderr
    at = None
    for line in result.stdout.splitlines():
        head = re.match(r"; (\d+): ", line)
        if head:
            at = int(head[1])
        else:
            yield at, words(line)


def decided(path, argv):
    result = sluicec("match", path, *argv)
    assert result.returncode in (0, 1), result.stderr
    return int(result.stdout.split(":", 2)[1]) if result.returncode == 0 else None


def test_every_sample_is_taken(tmp_path):
    path = tmp_path / "a.rules"
    path.write_text(RULES, encoding="utf-8")
    seen = {}
    for at, argv in sampled(path, "-n", "12"):
        assert decided(path, argv) == at, argv
        seen.setdefault(at, []).append(argv)
    starts = [n for n, line in enumerate(RULES.splitlines(), 1) if not line.startswith(" ")]
    assert sorted(seen) == starts
    for lines in seen.values():
        assert len({tuple(line) for line in lines}) == len(lines), "each once"
        assert len(" ".join(lines[0])) == min(len(" ".join(line)) for line in lines), "the shortest first"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_of_files(path):
    for at, argv in sampled(path, "-n", "3"):
        decides = decided(path, argv)
        assert decides is not None and decides <= at, argv  # an earlier rule may take it first


def test_one_rule_alone(tmp_path):
    path = tmp_path / "a.rules"
    path.write_text(RULES, encoding="utf-8")
    one = sluicec("sample", path, "4", "-n", "2")
    assert one.returncode == 0 and all(line.startswith("git commit -m ") for line in one.stdout.splitlines())
    missing = sluicec("sample", path, "2")
    assert missing.returncode == 2 and "no rule begins at line 2" in missing.stderr


def drawn(text):
    """The number of nodes and edges that graphviz draws."""
    assert shutil.which("dot"), "graphviz is missing: make deps"
    svg = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, encoding="utf-8", timeout=120,
                         check=True)
    assert svg.stderr == ""
    classes = [group.get("class") for group in xml.etree.ElementTree.fromstring(svg.stdout).iter(
        "{http://www.w3.org/2000/svg}g")]
    return classes.count("node"), classes.count("edge")


def test_the_decision_tree_is_drawn(tmp_path):
    path = tmp_path / "a.rules"
    path.write_text(RULES, encoding="utf-8")
    graph = sluicec("graph", path)
    assert graph.returncode == 0, graph.stderr
    nodes, edges = drawn(graph.stdout)
    assert nodes >= 8 and edges >= nodes - 1
    for program in ("git", "copy", "say"):
        assert program in graph.stdout


def test_an_automaton_is_drawn(tmp_path):
    path = tmp_path / "a.rules"
    path.write_text('x #s\n  s = a[b"<>&\\\\]{2}(é|\\t)?\n')
    graph = sluicec("graph", path, "s")
    assert graph.returncode == 0, graph.stderr
    nodes, edges = drawn(graph.stdout)
    assert nodes >= 4 and edges >= 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_graphs_of_files(path):
    graph = sluicec("graph", path)
    assert graph.returncode == 0, graph.stderr
    nodes, _ = drawn(graph.stdout)
    assert nodes >= 1
