"""What a start costs, counted and not timed: the system calls of the broker until it listens. One more
for each path, or a child more that tries what no rule needs, fails here."""

import re
from collections import Counter
from pathlib import Path

import pytest

from conftest import Served, compile_rules, tracing_works
from test_cost import CONFINED, MANIFEST, RULE

# Which of the system's directories there are differs from host to host, and how deep a path lies.
CALLS = 450
READLINK = 60
ISOLATED = "  confine = best-effort\n  isolate = pid, ipc, uts, mount\n"


def counts(folder, rules):
    """By name, of the broker alone."""
    folder.mkdir()
    if reason := tracing_works(folder):
        pytest.skip(reason)
    trace = folder / "trace"
    served = Served(folder, compile_rules(folder, rules), ["strace", "-qq", "-o", trace])
    tracer = served.process.pid
    served.stop(int(Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()[0]))
    lines = trace.read_text().splitlines()
    names = [match[1] for line in lines if (match := re.match(r"(\w+)\(", line))]
    return Counter(names[:names.index("listen")])


def test_system_calls_of_a_start(tmp_path):
    spent = counts(tmp_path / "confined", CONFINED + RULE)
    assert 100 < sum(spent.values()) < CALLS, spent
    assert spent["readlink"] < READLINK, spent
    # One child, which tries namespaces; workers come later.
    assert spent["clone"] == 1, spent


def test_a_start_tries_only_namespaces_that_a_rule_needs(tmp_path):
    assert counts(tmp_path / "none", MANIFEST + RULE)["clone"] == 0
    assert 1 <= counts(tmp_path / "all", CONFINED + ISOLATED + RULE)["clone"] <= 2


def test_a_long_manifest_is_not_read_whole(tmp_path):
    """A broker's last word on what was before it is near the end, and nothing before that counts."""
    if reason := tracing_works(tmp_path):
        pytest.skip(reason)
    manifest = tmp_path / "manifest.jsonl"
    line = '{"call":%d,"ts":1,"kind":"reject","reason":"no_rule"}\n'
    manifest.write_text("".join(line % call for call in range(1, 200000)) +
                        '{"ts":1,"kind":"serve","last_call":199999,"policy":"x"}\n')
    manifest.chmod(0o600)
    assert manifest.stat().st_size > 8 << 20
    trace = tmp_path / "trace"
    served = Served(tmp_path, compile_rules(tmp_path, MANIFEST + RULE), ["strace", "-qq", "-o", trace])
    tracer = served.process.pid
    served.stop(int(Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()[0]))
    read = [int(match[1]) for match in re.finditer(r"^pread64\(.*\) += (\d+)$", trace.read_text(),
                                                    re.MULTILINE)]
    assert 0 < sum(read) <= 64 << 10, read
    served_again = manifest.read_text().rsplit("serve", 1)[1]
    assert served_again.startswith('","last_call":199999,')
