"""Other compilers than the usual one (--cc, --target), and where the time went (--timings)."""

import os
import re
import shutil
import subprocess

import pytest

from compiling import RULES, compiled, decide, sluicec

TRIPLE = "x86_64-other-linux-gnu"


def is_static_pie(broker):
    def readelf(*options):
        return subprocess.run(["readelf", "-W", *options, broker], capture_output=True,
                              encoding="utf-8", env={**os.environ, "LC_ALL": "C"},
                              check=True).stdout
    return ("DYN (Position-Independent Executable file)" in readelf("-h")
            and "INTERP" not in readelf("-l") and "BIND_NOW" in readelf("-d"))


def serves(broker):
    """Whether it decides as the rules say."""
    return (decide(broker, "git", "push", "origin", "main")[0] == 0
            and decide(broker, "git", "push", "origin", "-f")[0] == 1
            and decide(broker, "make", "--jobs=100", "all")[0] == 1)


@pytest.fixture
def target_path(tmp_path):
    """A PATH in which TRIPLE has a compiler of its own, which notes that it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    compiler = folder / f"{TRIPLE}-gcc"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\nexec {shutil.which("gcc")} "$@"\n')
    compiler.chmod(0o755)
    return folder


def test_another_compiler_makes_the_whole_broker(tmp_path):
    broker = compiled(tmp_path, RULES, "agent", "--cc", "gcc")
    assert is_static_pie(broker)
    assert serves(broker)


def test_a_target_has_its_own_compiler(tmp_path, target_path):
    environment = {**os.environ, "PATH": f"{target_path}:{os.environ['PATH']}"}
    broker = compiled(tmp_path, RULES, "agent", "--target", TRIPLE, env=environment)
    assert is_static_pie(broker)
    assert serves(broker)
    asked = (target_path / "asked").read_text()
    assert "runtime/broker/main.c" in asked, "the runtime was not built for the target"


def test_a_compiler_that_is_clang(tmp_path):
    if not shutil.which("clang"):
        pytest.skip("no clang")
    assert serves(compiled(tmp_path, RULES, "agent", "--cc", "clang"))


def test_timings_name_each_step(tmp_path):
    source = tmp_path / "agent.rules"
    source.write_text(RULES)
    done = sluicec("--timings", source, "-o", tmp_path / "broker")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    for step in ("sources written", "re2c, compiler, linker", "expected answers",
                 "answers to [0-9]+ questions", "output"):
        assert re.search(rf"^ +[0-9.]+ ms  {step}", said, re.M), (step, said)
