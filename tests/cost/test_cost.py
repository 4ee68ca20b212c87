"""What a call and a decision cost, counted and not timed: system calls by process and name, and
instructions. A system call more in the path of every call fails here; who adds one on purpose raises
the number, and docs/performance.md with it."""

import importlib.util
import subprocess
import sys

import pytest

from conftest import ROOT, callgrind_or_skip, collected, instructions_per_call, per_call

MANIFEST = "defaults:\n  logfile = @FOLDER/manifest.jsonl\n  log = argv-only\n"
CONFINED = MANIFEST + """  fs_exec = @system
  fs_read = @dev
  net = none
  unix = none
  signals = own
  memory = 4G
  cpu_time = 60s
  open_files = 256
  file_size = 1G
  core = 0
  timeout = 60s
"""
RULE = "\n/bin/true\n"

# Of one call over a connection that stays open. fstat, poll and their like go by several names. Three
# statx are for the caller's descriptors: whether closing each may wait (runtime/broker/closer.h).
BROKER = {"epoll_pwait": 2, "recvmsg": 3, "openat": 1, "fstat": 1, "faccessat2": 1, "statx": 5,
          "writev": 2, "sendmsg": 2, "close": 4}
WORKER = {"poll": 1, "clone": 1, "waitid": 3, "pread64": 1, "sendto": 1, "read": 1}
CHILD = {"recvmsg": 2, "rt_sigpending": 1, "setpgid": 1, "prctl": 1, "getppid": 1, "dup2": 3, "umask": 1, "prlimit64": 1,
         "landlock_restrict_self": 1, "rt_sigprocmask": 1, "execveat": 1}
LIMITS = {"prlimit64": 5}  # the limit on descriptors among them
NAMES = {"newfstatat": "fstat", "ppoll": "poll", "dup3": "dup2", "epoll_wait": "epoll_pwait",
         "open": "openat"}
# Whoever takes a call waits for the broker to have let go of it (runtime/worker/release.h), which it mostly
# has by then, but not under a tracer: a futex at either side may come or not.
# A process that is woken twice for what mostly comes at once, or interrupted: at most so much more.
SLACK = 0.5


def expect(spent, **allowed):
    by_role = {}
    for (role, name), count in spent.items():
        calls = by_role.setdefault(role, {})
        calls[NAMES.get(name, name)] = calls.get(NAMES.get(name, name), 0) + count
    shown = "\n".join(f"{role}: {calls}" for role, calls in sorted(by_role.items()))
    for calls in by_role.values():
        assert calls.pop("futex", 0) <= 1 + SLACK, shown
    for role, calls in by_role.items():
        more = {name: count for name, count in calls.items()
                if count > allowed[role].get(name, 0) + SLACK}
        assert not more, f"{role} makes more calls than it did: {more}\n{shown}"
    for role, calls in allowed.items():
        less = {name: count for name, count in calls.items()
                if by_role.get(role, {}).get(name, 0) < count - SLACK}
        assert not less, f"{role} makes fewer calls; lower the numbers: {less}\n{shown}"


def test_system_calls_of_a_confined_call(tmp_path):
    spent = per_call(tmp_path, CONFINED + RULE, "/bin/true")
    expect(spent, broker=BROKER, worker=WORKER, child={**CHILD, **LIMITS})


def test_system_calls_of_a_call_without_keys(tmp_path):
    spent = per_call(tmp_path, MANIFEST + RULE, "/bin/true")
    expect(spent, broker=BROKER, worker=WORKER, child=CHILD)


def test_system_calls_without_a_manifest(tmp_path):
    spent = per_call(tmp_path, RULE, "/bin/true")
    broker = {name: count for name, count in BROKER.items() if name != "writev"}
    broker["statx"] = 3
    expect(spent, broker=broker, worker=WORKER, child=CHILD)


# valgrind's kernel has neither Landlock nor seccomp filters; the broker itself uses neither per call.
UNDER_VALGRIND = MANIFEST + "  confine = best-effort\n"
INSTRUCTIONS_PER_CALL = 26000


def test_instructions_of_a_call_in_the_broker(tmp_path):
    spent = instructions_per_call(tmp_path, UNDER_VALGRIND + RULE, "/bin/true")
    assert 0 < spent < INSTRUCTIONS_PER_CALL, spent


# ---- decisions -----------------------------------------------------------------------------------

def bench_module(name):
    sys.path.insert(0, str(ROOT / "tests/bench"))
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / f"tests/bench/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def instructions_of_match(harness, request, folder):
    """Of one match of a request: the harness matches it in 9 rounds."""
    totals = []
    for matches in (100, 300):
        out = folder / f"counts-{matches}"
        subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
                        harness, str(matches)], input=request + "\n", text=True, check=True,
                       stdout=subprocess.DEVNULL)
        totals.append(collected(out))
    return (totals[1] - totals[0]) / (9 * 200)


@pytest.fixture(scope="module")
def decisions(tmp_path_factory):
    """Instructions by number of rules and request."""
    callgrind_or_skip()
    compiling = bench_module("compile")
    found = {}
    for count in (10, 300):
        folder = tmp_path_factory.mktemp(f"rules{count}")
        made = compiling.compile_policy(folder, str(count), compiling.policy(count))
        harness = compiling.harness_make(folder, str(count), made["objects"])
        found[count] = {name: instructions_of_match(harness, line, folder)
                        for name, line in compiling.match_requests(count).items()}
    return found


MATCH_INSTRUCTIONS = 1600


def test_instructions_of_a_decision(decisions):
    for count, requests in decisions.items():
        for name, spent in requests.items():
            assert 0 < spent < MATCH_INSTRUCTIONS, f"{count} rules, {name}: {spent}\n{decisions}"


def test_a_decision_costs_the_same_with_more_rules(decisions):
    for name in ("git commit, accepted", "last rule, refused by its slot"):
        few, many = decisions[10][name], decisions[300][name]
        assert many < 2 * few + 100, f"{name}: {few} with 10 rules, {many} with 300"
