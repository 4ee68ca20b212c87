"""A sample of the faults of the compiler that `make faults` tries whole."""
import os

import pytest

import compiler

# AddressSanitizer has to be the first to be loaded, and counts memory its own way.
pytestmark = pytest.mark.skipif(b"libasan" in compiler.SLUICEC.read_bytes(),
                                reason="sluicec has AddressSanitizer in it (SAN=1)")

EVERY = int(os.environ.get("SLUICE_FAULTS_EVERY", "31"))


@pytest.mark.parametrize("command", compiler.COMMANDS, ids=lambda command: command.name)
def test_a_call_that_fails_is_one_clear_line(command):
    problems, count = [], 0

    def told(description, problem, _noticed):
        nonlocal count
        count += 1
        if problem:
            problems.append(f"{description}\n    {problem}")

    compiler.try_all([command], EVERY, told)
    assert not problems, "\n".join(problems)
    assert count > 3


def test_the_memory_of_pcre2_is_counted():
    """What runs out inside of PCRE2 is no mistake in the rules: each of its allocations is tried."""
    problems, noticed = [], 0

    def told(_description, problem, was_noticed):
        nonlocal noticed
        noticed += was_noticed
        if problem:
            problems.append(problem)

    compiler.try_all([compiler.COMMANDS[0]], 1, told)
    assert not problems, "\n".join(problems)
    assert noticed > 50
