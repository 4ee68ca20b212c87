"""diff, and check's shadowed and overlap, against brute force over all short command lines."""

import json
import os
import subprocess

import pytest

import policies

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


@pytest.mark.parametrize("seed", range(60))
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
