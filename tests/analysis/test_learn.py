"""`sluicec learn`: what it proposes takes what was refused, and hostile manifests end with an answer."""

import json
import os
import pathlib
import re
import resource
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parent.parent / "build"))


def reject(*argv, reason="no_rule"):
    return json.dumps({"call": 1, "ts": 1, "kind": "reject", "reason": reason, "pid": 1, "uid": 0, "argv": argv})


def start(*argv):
    return json.dumps({"call": 2, "ts": 1, "kind": "start", "pid": 1, "uid": 0, "line": 4, "argv": argv,
                       "resolved": "/usr/bin/x", "stdout": None})


def sluicec(*arguments, **options):
    return subprocess.run([BUILD / "sluicec", *map(str, arguments)], capture_output=True, timeout=120,
                          check=False, **options)


def learn(tmp_path, lines, rules=None):
    manifest = tmp_path / "manifest.jsonl"
    data = lines if isinstance(lines, bytes) else "".join(line + "\n" for line in lines).encode()
    manifest.write_bytes(data)
    more = []
    if rules is not None:
        (tmp_path / "have.rules").write_text(rules)
        more = [tmp_path / "have.rules"]
    result = sluicec("learn", manifest, *more)
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    return result.stdout.decode()


def takes(tmp_path, rules, argv):
    path = tmp_path / "proposed.rules"
    path.write_text(rules)
    result = sluicec("match", path, *argv)
    assert result.returncode in (0, 1), result.stderr
    return result.returncode == 0


def alternatives(proposal):
    """The rules in comments, each group's `; or …:` a rules text."""
    for part in re.findall(r"^; or [^\n]*:\n((?:;(?! or )[^\n]*\n)+)", proposal, re.M):
        yield "".join(line[2:] + "\n" for line in part.splitlines() if not line.startswith("; warning"))


CALLS = [
    ["git", "push", "origin", "fix-1"], ["git", "push", "origin", "fix-2"], ["git", "push", "origin", "fix-2"],
    ["git", "log", "--max-count=5"], ["git", "log", "--max-count=70"],
    ["ls", "/srv/work/a"], ["ls", "/srv/work/b/c"],
    ["echo", "it's", "#1", "$HOME/x", "a;b", ""], ["echo", "é", "\t", "\\", '"', "'"],
]


def test_what_is_proposed_takes_what_was_refused(tmp_path):
    proposal = learn(tmp_path, [reject(*argv) for argv in CALLS])
    for argv in CALLS:
        assert takes(tmp_path, proposal, argv), argv
    assert not takes(tmp_path, proposal, ["git", "push", "origin", "fix-3"])
    assert "asked for 3 times, in 2 forms" in proposal
    wider = list(alternatives(proposal))
    listed = next(rules for rules in wider if "fix-1|fix-2" in rules)
    assert takes(tmp_path, listed, CALLS[1]) and not takes(tmp_path, listed, ["git", "push", "origin", "fix-3"])
    assert any("--max-count=#{value1}\n  value1 = @uint\n" in rules for rules in wider)
    assert any("value1 = @under(/srv/work)" in rules for rules in wider)
    # From the most specific to the most general.
    assert proposal.index("fix-1\n") < proposal.index("fix-1|fix-2") < proposal.index("= @filename")


@pytest.mark.parametrize("values, pattern", [
    (["1", "20"], "@uint"), (["0" * 40, "a" * 40], "@sha1"), (["a" * 64, "b" * 64], "@sha256"),
    (["1.2.3", "1.2.4-rc.1"], "@semver"), (["10.0.0.1", "10.0.0.2"], "@ipv4"), (["a_b", "c9"], "@word"),
    (["a.txt", "b-c"], "@filename"), (["src/a.c", "b"], "@relpath"), (["/srv/a", "/srv/b"], "@under(/srv)"),
    (["two // words", "x // y"], "@ascii(1,200)"), (["ü // x", "y"], "@text(1,200)"),
    (["https://a.example/x", "https://a.example/y"], "@url(https,a.example)"),
])
def test_the_narrowest_standard_pattern(tmp_path, values, pattern):
    proposal = learn(tmp_path, [reject("show", value) for value in values])
    assert f"value1 = {pattern}\n" in proposal
    *_, general = alternatives(proposal)
    for value in values:
        assert takes(tmp_path, general, ["show", value])


def test_many_values_are_not_listed(tmp_path):
    proposal = learn(tmp_path, [reject("show", f"v{n}") for n in range(50)])
    assert "v1|" not in proposal
    active = [line for line in proposal.splitlines() if line and not line.startswith(";")]
    assert active == ["show #value1", "  value1 = @word"]


def test_what_the_rules_take_is_not_proposed(tmp_path):
    rules = "git push origin #branch\n  branch = [a-z0-9-]+\n"
    proposal = learn(tmp_path, [reject(*argv) for argv in CALLS], rules)
    assert "push" not in proposal and "--max-count" in proposal
    assert learn(tmp_path, [reject(*CALLS[0])], rules) == (
        "; nothing to propose: the rules take every call of the manifest\n")


def test_accepted_calls_and_other_refusals(tmp_path):
    proposal = learn(tmp_path, [start("date", "-u"), reject("ls", reason="busy"), reject("id", reason="peer_uid"),
                                json.dumps({"kind": "serve", "ts": 1}), json.dumps({"kind": "exit", "call": 1})])
    assert "date -u" in proposal and "ls" not in proposal and "id\n" not in proposal
    assert "left out" not in proposal


def test_danger_is_flagged(tmp_path):
    proposal = learn(tmp_path, [reject("make", "all"), reject("bash", "-c", "x y")])
    assert "; warning: make runs code from files that the caller may write [-Wruns-caller-files]\nmake all\n" in proposal


def test_words_that_no_rule_can_spell(tmp_path):
    proposal = learn(tmp_path, [reject("echo", "a\nb"), reject("./x"), reject("", "x"), reject("echo", "fine")])
    assert "left out: 3 command lines that no rule line can spell" in proposal
    assert takes(tmp_path, proposal, ["echo", "fine"])


@pytest.mark.parametrize("unseen", ["\x1b[2J", "\x7f", "\x9b1m", "\u202egpj.exe", "\u200b", "\u2028", "\ufeff"])
def test_what_cannot_be_seen_is_not_proposed(tmp_path, unseen):
    """A caller's words come to the terminal, and to the rules, of whoever learns from them."""
    proposal = learn(tmp_path, [reject("echo", "a" + unseen + "b"), reject("echo", "fine")])
    assert "left out: 1 command lines that no rule line can spell" in proposal
    assert unseen not in proposal
    assert takes(tmp_path, proposal, ["echo", "fine"])


HOSTILE = [
    b"", b"\n\n", b"\0\0\0", b"{", b"[]", b"null", b"{}" * 2, b'{"kind":"reject","reason":"no_rule","argv":["a',
    b'{"kind":"reject","reason":"no_rule","argv":["\\ud800"]}', b'{"kind":"reject","reason":"no_rule","argv":["\\u0000"]}',
    b'{"kind":"reject","reason":"no_rule","argv":[1]}', b'{"kind":"reject","reason":"no_rule","argv":{}}',
    b'{"kind":"reject","reason":"no_rule","argv":["\xff"]}', b"[" * 100000, b'{"a":' * 100000,
    b'{"kind":"reject","reason":"no_rule","argv":[' + b",".join([b'"x"'] * 300) + b"]}",
    b'{"kind":"reject","reason":"no_rule","argv":["' + b"x" * 8_000_000 + b'"]}', bytes(range(256)) * 40,
]


@pytest.mark.parametrize("junk", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lines_are_left_out(tmp_path, junk):
    good = reject("date").encode()
    proposal = learn(tmp_path, junk + b"\n" + good + b"\n" + good[:-5])  # the last line is torn
    assert "asked for 1 time, in 1 form" in proposal and takes(tmp_path, proposal, ["date"])
    assert re.search(r"^; left out: \d+ of \d+ lines", proposal)


def test_rules_text_in_words_stays_a_word(tmp_path):
    """What a caller sends cannot become a comment's end, an attribute or a slot."""
    words = ["; x", "#x", "x\t= y", "  timeout = 5s", "'", "\\", "a\\'b", "$HOME/x", "${HOME}", "defaults:", "#{a}"]
    proposal = learn(tmp_path, [reject("echo", word) for word in words[:8]] + [reject("defaults:"), reject("a:")])
    for word in words[:8]:
        assert takes(tmp_path, proposal, ["echo", word])
    assert takes(tmp_path, proposal, ["defaults:"]) and takes(tmp_path, proposal, ["a:"])


def test_limits_are_told(tmp_path):
    lines = [reject(f"p{n}") for n in range(20010)]
    proposal = learn(tmp_path, lines)
    assert "; left out: what is over 20000 different command lines\n" in proposal
    assert "; left out: 19500 groups of calls, over 500\n" in proposal


def test_wrong_usage(tmp_path):
    assert sluicec("learn").returncode == 2
    missing = sluicec("learn", tmp_path / "none")
    assert missing.returncode == 2 and b"none: No such file" in missing.stderr
    (tmp_path / "bad.rules").write_text("x #y\n")
    (tmp_path / "m").write_text("")
    assert sluicec("learn", tmp_path / "m", tmp_path / "bad.rules").returncode == 1
    assert sluicec("learn", "-", input=reject("date").encode()).stdout.endswith(b"date\n")


# ---- large manifests -------------------------------------------------------------------------------


def test_a_large_manifest_streams(tmp_path):
    """64 MiB in the memory of its different command lines."""
    block = "".join(start("git", "log", f"x{n}") + "\n" + reject("git", "show", f"y{n % 7}") + "\n" for n in range(2000))
    manifest = tmp_path / "manifest.jsonl"
    with open(manifest, "w", encoding="utf-8") as out:
        while out.tell() < 64 << 20:
            out.write(block)
    def bound():
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        if "san" not in str(BUILD):
            resource.setrlimit(resource.RLIMIT_AS, (48 << 20, 48 << 20))
    result = sluicec("learn", manifest, preexec_fn=bound)
    assert result.returncode == 0, result.stderr
    assert b"git show #value1" in result.stdout and b"left out" not in result.stdout


def test_many_calls_asked_of_many_rules_meet_a_stated_limit(tmp_path):
    rules = "".join(f"p{n}\n" for n in range(20000))
    lines = [reject("x", str(n)) for n in range(20000)]
    said = learn(tmp_path, lines, rules)
    assert re.search(r"^; left out: \d+ different command lines: to ask the rules for them takes over 3750 million steps$",
                     said, re.M), said[:500]
