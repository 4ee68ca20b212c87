"""How sluicec is called wrongly, and what it says: exit status 2, one clear line, the usage."""

import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parent.parent / "build"))


def sluicec(*arguments, **options):
    return subprocess.run([BUILD / "sluicec", *arguments], capture_output=True, encoding="utf-8",
                          timeout=60, check=False, **options)


@pytest.fixture(name="rules")
def fixture_rules(tmp_path):
    path = tmp_path / "agent.rules"
    path.write_text("tool status\n")
    return path


@pytest.mark.parametrize("arguments, said", [
    (["check"], "sluicec check: a rules file is needed"),
    (["check", "a", "b"], "sluicec check: one rules file at a time: 'b'"),
    (["check", "--nonsense", "a"], "sluicec check: unknown option '--nonsense'"),
    (["match"], "sluicec match: a rules file and a command line are needed"),
    (["match", "a"], "sluicec match: a rules file and a command line are needed"),
    (["match", "--nonsense", "a", "b"], "sluicec match: unknown option '--nonsense'"),
    (["check", "-Wshadowd", "a"],
     "sluicec: -Wshadowd: there is no warning 'shadowd'; did you mean 'shadowed'?"),
    (["check", "-Wno-nonsense", "a"], "sluicec: -Wno-nonsense: there is no warning 'nonsense'"),
    (["check", "-Werror=", "a"], "sluicec: -Werror=: there is no warning ''"),
    (["check", "--diagnostics=xml", "a"],
     "sluicec: --diagnostics=xml: the format is 'text' or 'json'"),
    (["chekc"], "sluicec: 'chekc' is not a subcommand; did you mean 'check'?"),
])
def test_wrong_usage(arguments, said, tmp_path):
    result = sluicec(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.split("\n", 1)[0] == said


def test_no_arguments():
    result = sluicec()
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("usage:\n")


def test_help_and_version():
    everything = sluicec("--help")
    assert everything.returncode == 0 and everything.stderr == ""
    for command in ("check", "match"):
        one = sluicec(command, "--help")
        assert one.returncode == 0 and one.stderr == ""
        assert one.stdout in everything.stdout
    assert sluicec("--version").stdout.startswith("sluicec ")


def test_unreadable(tmp_path):
    missing = sluicec("check", tmp_path / "missing.rules")
    assert missing.returncode == 2
    assert missing.stderr == f"sluicec: {tmp_path}/missing.rules: No such file or directory\n"
    folder = sluicec("check", tmp_path)
    assert folder.returncode == 2
    assert folder.stderr == f"sluicec: {tmp_path}: Is a directory\n"


def test_standard_input():
    result = sluicec("check", "-", input="git #x\n")
    assert result.returncode == 1
    assert result.stderr.startswith("<stdin>:1:5: error: slot #x has no pattern\n")


def test_dashes_end_the_options(tmp_path):
    (tmp_path / "-x.rules").write_text("git status\n")
    assert sluicec("check", "--", "-x.rules", cwd=tmp_path).returncode == 0
    result = sluicec("match", "--", "-x.rules", "git", "status", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "-x.rules:1: git status\n")


def test_words_of_the_command_line_are_no_options(rules):
    result = sluicec("match", rules, "--strict")
    assert result.returncode == 1
    assert result.stdout == "no rule matches: --strict\nno rule runs '--strict'\n"


def test_full_disk(rules):
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([BUILD / "sluicec", "check", rules], stdout=full,
                                stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr == "sluicec: standard output: write failed\n"


def test_json(tmp_path):
    rules = tmp_path / "x.rules"
    rules.write_text("git #x\n  timout = 5\n")
    result = sluicec("check", "--diagnostics=json", "x.rules", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and all(line.startswith("{") for line in lines)


SUMMARY = """\
agent.rules: rules: 3, distinct patterns: 3, confinements: 3
    3: git push origin #branch
    #branch: [a-z]+
    call: timeout 2m; env LANG, A=b
    confined: fs_read @system; fs_write /srv; net none
    9: run #x #y #z --n=#{n}
    #x: -?[a-z]+  (may begin with '-')
    #y: (?=a)b  (matched by PCRE2 at call time)
    #z: anything  (at most 9 bytes)
    #n: [a-z]+
    call: timeout 2m
   17: sudo -n true
    call: log exit-only; kill tree
    confined: new_privs allow
"""


def test_summary(tmp_path):
    rules = tmp_path / "agent.rules"
    rules.write_text("""\
defaults:
  timeout = 120s
git push origin #branch
  branch = [a-z]+
  env = LANG, A=b
  fs_read = @system
  fs_write = /srv
  net = none
run #x #y #z --n=#{n}
  x = -?[a-z]+
  allow_dash = x
  y = (?=a)b
  engine = pcre2 y
  allow_any = z
  allow_max = z:9
  n = [a-z]+
sudo -n true
  timeout = none
  kill = tree
  log = exit-only
  new_privs = allow
""")
    result = sluicec("check", "agent.rules", cwd=tmp_path)
    assert result.stdout == SUMMARY
