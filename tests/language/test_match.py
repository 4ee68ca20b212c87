"""`sluicec match`: the corpus of decisions, and the exact words of its answers."""

import os
import pathlib
import subprocess

import pytest

import decisions

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parent.parent / "build"))
FILES = sorted(decisions.FOLDER.glob("*.decisions"))

# What the answer says of a request that a rule would have taken, but.
REASONS = {"option_like": "it begins with '-'", "too_long": "bytes, and at most"}


def run_match(rules, *argv, options=(), home="/home/ann"):
    return subprocess.run(
        [BUILD / "sluicec", "match", *options, rules.name, *argv], cwd=rules.parent,
        env=dict(os.environ, HOME=home), capture_output=True, encoding="utf-8", timeout=60,
        check=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_decisions(path):
    rules = path.with_suffix(".rules")
    wrong = []
    for verdict, argv in decisions.read(path):
        result = run_match(rules, *argv)
        first = result.stdout.split("\n", 1)[0]
        if verdict.isdigit():
            good = result.returncode == 0 and first.startswith(f"{rules.name}:{verdict}: ")
        else:
            good = (result.returncode == 1 and first.startswith("no rule matches: ")
                    and REASONS.get(verdict, "") in result.stdout)
        if not good:
            wrong.append((verdict, argv, result.stdout, result.stderr))
    assert not wrong


RULES = """\
; Publish a branch.
git push origin #branch
  branch = [a-z][a-z0-9-]{0,40}
git commit -m #message #paths...{0,2}
  message = @text(1,20)
  paths = @relpath
  paths != .*\\.key
copy #{from}:#{to}
  from = [a-z]+
  to = [a-z]+
  allow_max = to:3
ls $HOME/work
show --at=#{rest}
  allow_any = rest
long #x
  x = a(?=b).*
  engine = pcre2
one
"""

ANSWERS = [
    (["git", "push", "origin", "fix-12"], 0, """\
agent.rules:2: git push origin #branch
    #branch = 'fix-12'
"""),
    (["git", "commit", "-m", "it's", "a/b", "c"], 0, """\
agent.rules:4: git commit -m #message #paths...{0,2}
    #message = 'it's'
    #paths = 'a/b'
    #paths = 'c'
"""),
    (["git", "commit", "-m", "x"], 0, """\
agent.rules:4: git commit -m #message #paths...{0,2}
    #message = 'x'
"""),
    (["copy", "ab:cd"], 0, """\
agent.rules:8: copy #{from}:#{to}
    #from = 'ab'
    #to = 'cd'
"""),
    (["show", "--at=--x"], 0, """\
agent.rules:13: show --at=#{rest}
    #rest = '--x'
"""),
    (["ls", "/home/ann/work"], 0, """\
agent.rules:12: ls $HOME/work
"""),
    (["long", "abc"], 0, """\
agent.rules:15: long #x
    #x = 'abc'
"""),
    (["git", "push", "origin", "--force"], 1, """\
no rule matches: git push origin --force
nearest: agent.rules:2: git push origin #branch
token 4: '--force' is not accepted by #branch: it begins with '-'
#branch accepts [a-z][a-z0-9-]{0,40}, for example 'a'
"""),
    (["git", "push", "origin", "fix_12"], 1, """\
no rule matches: git push origin fix_12
nearest: agent.rules:2: git push origin #branch
token 4: 'fix_12' is not accepted by #branch: not with '_' as character 4
#branch accepts [a-z][a-z0-9-]{0,40}, for example 'a'
"""),
    (["git", "push", "upstream", "fix"], 1, """\
no rule matches: git push upstream fix
nearest: agent.rules:2: git push origin #branch
token 3: 'upstream' is not 'origin'
"""),
    (["git", "push", "origin"], 1, """\
no rule matches: git push origin
nearest: agent.rules:2: git push origin #branch
token 4 is missing: #branch
"""),
    (["git", "push", "origin", "a", "b"], 1, """\
no rule matches: git push origin a b
nearest: agent.rules:2: git push origin #branch
token 5: 'b' is too many; the rule ends before it
"""),
    (["git", "commit", "-m", "x", "a", "b", "c"], 1, """\
no rule matches: git commit -m x a b c
nearest: agent.rules:4: git commit -m #message #paths...{0,2}
token 7: 'c' is too many; the rule ends before it
"""),
    (["git", "commit", "-m", "", "a"], 1, """\
no rule matches: git commit -m '' a
nearest: agent.rules:4: git commit -m #message #paths...{0,2}
token 4: '' is not accepted by #message: it is empty
#message accepts @text(1,20), for example 'a'
"""),
    (["git", "commit", "-m", "a\x1b[2J"], 1, """\
no rule matches: git commit -m 'a\\x1b[2J'
nearest: agent.rules:4: git commit -m #message #paths...{0,2}
token 4: 'a\\x1b[2J' is not accepted by #message: not with '\\x1b' as character 2
#message accepts @text(1,20), for example 'a'
"""),
    (["git", "commit", "-m", "x", "my.key"], 1, """\
no rule matches: git commit -m x my.key
nearest: agent.rules:4: git commit -m #message #paths...{0,2}
token 5: 'my.key' is not accepted by #paths: more must follow
#paths accepts @relpath and not .*\\.key, for example 'a'
"""),
    (["copy", "ab:"], 1, """\
no rule matches: copy ab:
nearest: agent.rules:8: copy #{from}:#{to}
token 2: 'ab:' does not fit #{from}:#{to}: more must follow
#from accepts [a-z]+, for example 'a'
#to accepts [a-z]+, for example 'a'
"""),
    (["copy", "ab:abcd"], 1, """\
no rule matches: copy ab:abcd
nearest: agent.rules:8: copy #{from}:#{to}
token 2: 'ab:abcd' is not accepted by #to: its part has over 3 bytes
#to accepts [a-z]+, for example 'a'
"""),
    (["ls", "$HOME/work"], 1, """\
no rule matches: ls '$HOME/work'
nearest: agent.rules:12: ls $HOME/work
token 2: '$HOME/work' is not $HOME/work
"""),
    (["long", "b"], 1, """\
no rule matches: long b
nearest: agent.rules:15: long #x
token 2: 'b' is not accepted by #x
#x accepts a(?=b).*
"""),
    (["gti", "push"], 1, """\
no rule matches: gti push
no rule runs 'gti'; did you mean 'git'?
"""),
    (["quite-other"], 1, """\
no rule matches: quite-other
no rule runs 'quite-other'
"""),
    (["one", "x" * 200], 1, f"""\
no rule matches: one '{"x" * 80}...'
nearest: agent.rules:18: one
token 2: '{"x" * 80}...' is too many; the rule ends before it
"""),
]


@pytest.mark.parametrize("argv, status, said", ANSWERS, ids=lambda part: "-".join(part)[:40]
                         if isinstance(part, list) else "")
def test_answers(tmp_path, argv, status, said):
    rules = tmp_path / "agent.rules"
    rules.write_text(RULES)
    result = run_match(rules, *argv)
    assert (result.stdout, result.stderr, result.returncode) == (said, "", status)


def test_pcre2_gives_up(tmp_path):
    """A pattern that backtracks without end is refused for it, in bounded time."""
    rules = tmp_path / "x.rules"
    rules.write_text("run #x\n  x = (a+)+(?!b)[cd]\n  engine = pcre2\n")
    result = run_match(rules, "run", "a" * 60)
    assert result.returncode == 1
    assert "PCRE2 gave up on it" in result.stdout


def test_long_value_splits(tmp_path):
    """The parts of a long value are found in time linear in it."""
    rules = tmp_path / "x.rules"
    rules.write_text("run #{a}:#{b}\n  a = [^:]*\n  allow_any = b\n  allow_max = a:65536, b:65536\n")
    result = run_match(rules, "run", "x" * 50000 + ":" + "y:" * 20000)
    assert result.returncode == 0


def test_not_utf8(tmp_path):
    rules = tmp_path / "x.rules"
    rules.write_text("run\n")
    result = subprocess.run([BUILD / "sluicec", "match", rules, "run", b"\xff"],
                            capture_output=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stdout == b"token 2 is not UTF-8: a broker refuses such a request\n"


def test_wrong_rules_are_not_a_refusal(tmp_path):
    """Status 1 says that no rule matches; a file with errors says nothing of the kind."""
    rules = tmp_path / "x.rules"
    rules.write_text("run #x\n")
    result = run_match(rules, "run", "x")
    assert result.returncode == 2
    assert "slot #x has no pattern" in result.stderr
