"""Rules files that try to make the compiler run away: refused with a stated limit, in bounded time
and memory, and never a crash. What is large but honest compiles."""

import os
import pathlib
import resource
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parent.parent / "build"))

# The promise of the manual is 20 s and 2 GiB; processor time, so that a busy machine does not matter.
SECONDS = 20
MEMORY = 2 << 30


def check(tmp_path, text):
    rules = tmp_path / "x.rules"
    rules.write_bytes(text if isinstance(text, bytes) else text.encode())
    sanitized = b"__asan_init" in (BUILD / "sluicec").read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS * (5 if sanitized else 1),) * 2)
        if not sanitized: # ASan's shadow needs address space
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    result = subprocess.run([BUILD / "sluicec", "check", rules.name], cwd=tmp_path, preexec_fn=limit,
                            capture_output=True, timeout=600, check=False)
    assert result.returncode in (0, 1), result.stderr[-2000:]
    return result.returncode, result.stderr.decode()


def rules_of(count, lines):
    return "".join(lines(index) for index in range(count))


def test_too_many_rules(tmp_path):
    status, said = check(tmp_path, "git status\n" * 100000)
    assert status == 1
    assert "x.rules:20001:1: error: a rules file has at most 20000 rules" in said


def test_many_honest_rules(tmp_path):
    text = rules_of(10000, lambda i: f"tool{i % 97} sub{i} --n=#{{n}} #name\n"
                                     f"  n = [0-9]{{1,{1 + i % 9}}}\n"
                                     f"  name = (?:abc{i % 500}|[a-z][a-z0-9_.-]{{0,{i % 60}}})\n")
    assert check(tmp_path, text) == (0, "")


@pytest.mark.parametrize("pattern, said", [
    # each alone over the limit of states: the failures themselves are counted
    (lambda i: f"[ab]*a[ab]{{20}}d{i}", "needs an automaton of more than 20000 states"),
    # each just below it
    (lambda i: f"[ab]*a[ab]{{13}}{'c' * (i % 50)}d{i}", "are too large together: over 40000000"),
    # wide classes, long counts
    (lambda i: f"\\p{{L}}{{0,4000}}{i}", "are too large together: over 40000000"),
])
def test_many_large_automata(tmp_path, pattern, said):
    status, text = check(tmp_path, rules_of(5000, lambda i: f"a #x\n  x = {pattern(i)}\n"))
    assert status == 1
    assert said in text


def test_intersections_and_ambiguous_words(tmp_path):
    text = rules_of(300, lambda i: "a #x\n" + "".join(f"  x = (?:[ab]{{{p}}})*c{i}\n"
                                                      for p in (17, 19, 23, 29)))
    assert check(tmp_path, text)[0] == 1
    text = rules_of(300, lambda i: f"a #{{x}}:#{{y}}.#{{z}}\n  x = [a-z:]{{0,{i + 100}}}\n"
                                   f"  y = [a-z.]{{0,{i + 90}}}\n  z = [0-9a-z]{{0,{i + 80}}}\n")
    assert check(tmp_path, text)[0] == 1


def test_names_that_double(tmp_path):
    text = "patterns:\n" + rules_of(60, lambda i: f"  n{i} = (?@n{i + 1})(?@n{i + 1})\n")
    status, said = check(tmp_path, text + "  n60 = x\na #x\n  x = @n0\n")
    assert status == 1
    assert "parts, named patterns counted" in said


def test_lists_that_every_rule_adds_to(tmp_path):
    def items(form):
        return ", ".join(form % i for i in range(128))

    text = ("defaults:\n  env = " + items("A%d=x") + "\n  fs_read = " + items("/r%d") +
            "\n  fs_write = " + items("/w%d") + "\n  env_from_caller = " + items("C%d") + "\n")
    text += rules_of(19000, lambda i: f"a x{i}\n  env = +B={i}\n  fs_read = +/z{i}\n"
                                      f"  env_from_caller = +Z{i}\n")
    status, said = check(tmp_path, text)
    assert status == 1
    assert "have more than 1000000 variables, paths and ports in force" in said


def test_unknown_keys_without_end(tmp_path):
    text = rules_of(5000, lambda i: f"a x{i}\n" +
                    "".join(f"  k{j}_{'x' * 50} = 1\n" for j in range(50)))
    status, said = check(tmp_path, text)
    assert status == 1
    assert "249980 more errors are not shown" in said


def test_a_megabyte_in_one_line(tmp_path):
    for text in ("a " + "x" * (1 << 20) + "\n", "a #x\n  x = " + "a|" * (1 << 19) + "\n",
                 "a #x\n  x = " + "(" * (1 << 20) + "\n", "a\n  env = " + "A," * (1 << 19) + "\n"):
        assert check(tmp_path, text)[0] == 1


def test_every_byte(tmp_path):
    places = b"a%cb\n%c\na\n %c= x\na #x\n  x = [%c]\na\n  cwd = /%c\na '%c\n"
    for byte in range(256):
        check(tmp_path, places.replace(b"%c", bytes([byte])))
