"""diff, accepts, and check's shadowed and overlap, against brute force over all short command lines; every witness
through `match`."""

import json
import os
import re
import subprocess

import pytest

import policies
from shell import words

SLUICEC = os.path.join(os.environ["SLUICE_BUILD"], "sluicec")
LINES = list(policies.command_lines())


def rule_lines(policy):
    """The source line of each rule of text_of(policy)."""
    lines, at = [], 1
    for rule in policy:
        lines.append(at)
        at += rule.text().count("\n") + 1
    return lines


def write(path, policy):
    path.write_text(policies.text_of(policy))
    return str(path)


def replayed(path, argv):
    """The line of the rule that `match` says takes a command line, or None."""
    run = subprocess.run([SLUICEC, "match", path, *argv], capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr
    return int(run.stdout.split(":", 2)[1]) if run.returncode == 0 else None


@pytest.mark.parametrize("seed", range(100))
def test_diff_agrees_with_brute_force(tmp_path, seed):
    rng = policies.generator(seed)
    old = policies.random_policy(rng, 4)
    new = policies.mutated(rng, old) if seed % 3 else policies.random_policy(rng, 4)
    run = subprocess.run(
        [SLUICEC, "diff", "--json", write(tmp_path / "old.rules", old), write(tmp_path / "new.rules", new)],
        capture_output=True,
        text=True,
    )
    assert run.returncode in (0, 1, 3), run.stderr + policies.text_of(old) + "----\n" + policies.text_of(new)
    told = json.loads(run.stdout)
    assert told["complete"]
    old_lines, new_lines = rule_lines(old), rule_lines(new)

    found = {"accepted": set(), "refused": set(), "decided": set()}
    for line in LINES:
        before, after = policies.decide(old, line), policies.decide(new, line)
        if before is None and after is not None:
            found["accepted"].add(new_lines[after])
        elif before is not None and after is None:
            found["refused"].add(old_lines[before])
        elif before is not None and old[before].timeout != new[after].timeout:
            found["decided"].add((old_lines[before], new_lines[after]))

    said = {"accepted": set(), "refused": set(), "decided": set()}
    for difference in told["differences"]:
        assert not difference["uncertain"]
        argv = difference["argv"]
        before, after = policies.decide(old, argv), policies.decide(new, argv)
        assert replayed(tmp_path / "old.rules", argv) == difference.get("old_line"), argv
        assert replayed(tmp_path / "new.rules", argv) == difference.get("new_line"), argv
        if difference["kind"] == "accepted":
            assert before is None and new_lines[after] == difference["new_line"], argv
            said["accepted"].add(difference["new_line"])
        elif difference["kind"] == "refused":
            assert after is None and old_lines[before] == difference["old_line"], argv
            said["refused"].add(difference["old_line"])
        else:
            assert old_lines[before] == difference["old_line"], argv
            assert new_lines[after] == difference["new_line"], argv
            assert difference["changes"]
            said["decided"].add((difference["old_line"], difference["new_line"]))
    # Each told difference was checked by its witness; nothing that brute force finds may be missing.
    for kind, places in found.items():
        assert places <= said[kind], (kind, places - said[kind])
    assert told["wider"] == (run.returncode == 3)
    if run.returncode == 0:
        assert not told["differences"]


@pytest.mark.parametrize("seed", range(100, 120))
def test_diff_of_a_policy_with_itself_is_equal(tmp_path, seed):
    policy = policies.random_policy(policies.generator(seed), 5)
    path = write(tmp_path / "same.rules", policy)
    run = subprocess.run([SLUICEC, "diff", path, path], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "equal\n"), run.stderr


# ---- shadowed, overlap -----------------------------------------------------------------------------


def reached(policy):
    """Which rules decide some command line, and which pairs of rules share one: (decider, other)."""
    deciders, pairs = set(), set()
    for line in LINES:
        takers = [at for at, rule in enumerate(policy) if rule.accepts(line)]
        if takers:
            deciders.add(takers[0])
            pairs.update((takers[0], other) for other in takers[1:])
    return deciders, pairs


@pytest.mark.parametrize("seed", range(200, 300))
def test_shadowed_and_overlap_agree_with_brute_force(tmp_path, seed):
    policy = policies.random_policy(policies.generator(seed), 6)
    path = write(tmp_path / "a.rules", policy)
    run = subprocess.run([SLUICEC, "check", "--diagnostics=json", path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = [json.loads(line) for line in run.stderr.splitlines()]
    places = {line: at for at, line in enumerate(rule_lines(policy))}
    shadowed = {places[m["line"]] for m in told if m["name"] == "shadowed"}
    overlaps = {
        (places[int(re.search(r"the one at line (\d+)", m["message"])[1])], places[m["line"]])
        for m in told
        if m["name"] == "overlap"
    }
    deciders, pairs = reached(policy)
    # A rule that brute force sees decide is not shadowed. One that is told as not shadowed may decide only
    # lines that are longer than brute force tries: sample it where that is so.
    assert not shadowed & deciders
    for at in set(range(len(policy))) - shadowed - deciders:
        assert decides_something_longer(path, rule_lines(policy)[at], policy, at)
    differ = {(a, b) for a, b in pairs if policy[a].timeout != policy[b].timeout and b not in shadowed}
    assert differ <= overlaps, differ - overlaps
    # Each overlap that is told has its request.
    for m in told:
        if m["name"] != "overlap":
            continue
        first, second = places[int(re.search(r"the one at line (\d+)", m["message"])[1])], places[m["line"]]
        line = words(m["notes"][0]["message"].split(": ", 1)[1])
        assert policies.decide(policy, line) == first and policy[second].accepts(line)
        assert replayed(path, line) == rule_lines(policy)[first]
        assert policy[first].timeout != policy[second].timeout


def decides_something_longer(path, line, policy, at):
    """Whether the rule decides one of many samples of it."""
    run = subprocess.run([SLUICEC, "sample", "-n", "2000", path, str(line)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return any(policies.decide(policy, words(sample)) == at for sample in run.stdout.splitlines())


# ---- accepts ---------------------------------------------------------------------------------------

FORMS = ["x.*", "x( [ab-]*)*", "[xy] .*-.*", "x a.*", ".* -a", ".*aa.*", "y|x", "[xy]( a)*", "x b? ?a", ".*  .*"]


@pytest.mark.parametrize("seed", range(300, 400))
def test_accepts_agrees_with_brute_force(tmp_path, seed):
    rng = policies.generator(seed)
    policy = policies.random_policy(rng, 4)
    path = write(tmp_path / "a.rules", policy)
    accepted = [" ".join(line) for line in LINES if policies.decide(policy, line) is not None]
    for form in rng.sample(FORMS, 4):
        for option, refutes in (("--never", re.compile(form).fullmatch),
                                ("--only", lambda text, form=form: not re.fullmatch(form, text))):
            run = subprocess.run([SLUICEC, "accepts", path, option, form], capture_output=True, text=True)
            assert run.returncode in (0, 1), run.stderr
            refuting = [text for text in accepted if refutes(text)]
            if run.returncode == 0:
                assert not refuting, (form, option)
                continue
            text, place = run.stdout.rstrip("\n").split(": refuted: ", 1)[1].rsplit("   ", 1)
            witness = words(text)
            decider = policies.decide(policy, witness)
            assert decider is not None, run.stdout
            assert refutes(" ".join(witness)), run.stdout
            # The rule that is named takes it (an earlier one may decide it).
            named = rule_lines(policy).index(int(place.rsplit(":", 1)[1]))
            assert policy[named].accepts(witness), run.stdout
            # Brute force tries every line up to its bounds: none is shorter than the one told.
            assert all(len(" ".join(witness)) <= len(text) for text in refuting), (run.stdout, refuting[:3])
            assert replayed(path, witness) == rule_lines(policy)[decider]
