"""Rules files made to cost the compiler too much: compiled or refused with a stated limit, in bounded
time and memory. Processor time is measured, since the machine may be busy: 40 s of it are 20 s on two
processors."""

import os
import resource
import subprocess

from compiling import SLUICEC, decide

SECONDS = 40
MEMORY = 2 * 1024 ** 3


def compile_within_limits(folder, rules):
    """Compiles; the exit status, what was said, and the broker's path."""
    source = folder / "hostile.rules"
    source.write_text(rules)
    sanitized = b"__asan_init" in SLUICEC.read_bytes()

    def limit():
        if not sanitized:  # the sanitizers' shadow needs address space
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [SLUICEC, source, "-o", folder / "broker"], capture_output=True, encoding="utf-8",
        timeout=600, check=False, env={**os.environ, "TMPDIR": str(folder)},
        preexec_fn=limit)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    assert done.returncode in (0, 1), done.stderr
    assert spent <= SECONDS * (5 if sanitized else 1), f"{spent:.1f} s of processor time"
    assert sorted(path.name for path in folder.iterdir()) in (
        [["broker", "hostile.rules"], ["hostile.rules"]][done.returncode],)
    return done.returncode, done.stderr, folder / "broker"


def test_many_exponential_automata(tmp_path):
    rules = "".join(f"c{i} #x\n  x = {i}[ab]*a[ab]{{12}}\n" for i in range(20))
    status, said, broker = compile_within_limits(tmp_path, rules)
    assert status == 0, said
    assert decide(broker, "c7", "7" + "a" * 13)[0] == 0
    assert decide(broker, "c7", "7" + "b" * 13)[0] == 1


def test_more_exponential_automata_than_fit(tmp_path):
    rules = "".join(f"c{i} #x\n  x = {i}[ab]*a[ab]{{12}}\n" for i in range(200))
    status, said, _ = compile_within_limits(tmp_path, rules)
    assert status == 1
    assert "the patterns are too large together: with this one, their tables have more than " \
           "6291456 transitions" in said


def test_many_slots(tmp_path):
    rules = "".join(f"c{i} {' '.join(f'#s{k}' for k in range(60))}\n"
                    + "".join(f"  s{k} = [a-z]{{1,{k + 1}}}\n" for k in range(60))
                    for i in range(150))
    status, said, broker = compile_within_limits(tmp_path, rules)
    assert status == 0, said
    assert decide(broker, "c149", *["a"] * 60)[0] == 0
    assert decide(broker, "c149", "aa", *["a"] * 59)[0] == 1


def test_more_words_than_fit(tmp_path):
    rules = "".join(f"c{i} {' '.join(['w'] * 200)}\n" for i in range(1300))
    status, said, _ = compile_within_limits(tmp_path, rules)
    assert status == 1
    assert "the rules are too large together: up to here they have more than 250000 words and " \
           "slots" in said


def test_rules_that_nothing_tells_apart(tmp_path):
    """One leaf of the dispatch with every rule in it: slow to match, and no slower to compile."""
    rules = "".join(f"c #x\n  x = [a-z]{{1,3}}{i}\n" for i in range(1000))
    status, said, broker = compile_within_limits(tmp_path, rules)
    assert status == 0, said
    assert decide(broker, "c", "abc999")[0] == 0
    assert decide(broker, "c", "abc1000")[0] == 1


def test_patterns_that_backtrack(tmp_path):
    """PCRE2, asked for its opinion, would take for ever."""
    rules = "".join(f"c{i} #x\n  x = (a|a|aa)*{i}(b*b*)*\n" for i in range(40))
    status, said, broker = compile_within_limits(tmp_path, rules)
    assert status == 0, said
    assert decide(broker, "c3", "a" * 50 + "3" + "b" * 50)[0] == 0


def test_every_byte_in_patterns(tmp_path):
    """Each scalar below U+0100 as a literal, escaped where it must be."""
    rules = ""
    for scalar in range(1, 256):
        rules += f"c{scalar} #x\n  x = 'a\\x{{{scalar:x}}}b'\n"
    status, said, broker = compile_within_limits(tmp_path, rules)
    assert status == 0, said
    for scalar in (1, 9, 10, 34, 39, 42, 47, 63, 92, 127, 128, 255):
        assert decide(broker, f"c{scalar}", f"a{chr(scalar)}b")[0] == 0
        assert decide(broker, f"c{scalar}", "ab")[0] == 1
