"""A sample of the faults of `make faults`, the same in each run: of every place of a call, one."""
import errno
import os
import random

import pytest

import runtime
import scenario
from scenario import wire

# The fault build is of the musl archive, with UBSan's checks in it; such a compiler makes others.
pytestmark = pytest.mark.skipif(b"libasan" in (scenario.BUILD / "sluicec").read_bytes(),
                                reason="sluicec makes brokers with the sanitizers in them (SAN=1)")

SAMPLE = int(os.environ.get("SLUICE_FAULTS_SAMPLE", "150"))
JOBS = 4


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return scenario.build_broker(tmp_path_factory.mktemp("faults"), runtime.RUNTIME, strip=False)


def sample(points):
    """SAMPLE of them, spread over places before anything is taken twice from one."""
    chance = random.Random(1)
    by_place = {}
    for point in points:
        by_place.setdefault(point.place, []).append(point)
    chosen = [chance.choice(of_place) for of_place in by_place.values()]
    chance.shuffle(chosen)
    return chosen[:SAMPLE]


def test_a_call_that_fails_breaks_nothing(binary):
    scenario.become_subreaper()
    before, stopping, descriptors = runtime.count_places(binary)
    points = runtime.points_of(before, stopping)
    assert len({point.place for point in points}) > 250, "fewer places than there were"
    sites, came, problems = runtime.Sites(binary), [], []

    def told(point, fired, _outcomes, problem):
        came.append(fired > 0)
        if problem:
            problems.append(f"{sites.describe(point)}\n{problem}")

    chosen = sample(points)
    runtime.run_all(binary, chosen, sites, descriptors, JOBS, told)
    assert not problems, "\n".join(problems)
    assert len(came) == len(chosen)
    assert sum(came) > 0.9 * len(came), "most faults must come"


@pytest.fixture
def run(binary):
    """A broker that has gone through the calls once."""
    scenario.become_subreaper()
    run = scenario.Run(binary)
    try:
        assert run.start()
        run.cycle(True)
        yield run
    finally:
        run.kill()


def arm(run, binary, call, function, error):
    """The next `call` of that function fails."""
    sites = runtime.Sites(binary)
    (place,) = [place for place in run.faults.counts()
                if place.name == call and sites.name(place).split()[-1] == function]
    run.faults.arm(place, 1, error)


def test_a_caller_whose_credentials_cannot_be_read_is_refused(run, binary):
    arm(run, binary, "getsockopt", "peer_read", errno.EACCES)
    ran = run.ran()
    assert run.call("plain") == wire.PEER
    assert run.faults.fired == 1
    (event,) = [event for event in run.events() if event.get("reason") == "peer_unknown"]
    assert event["uid"] is None and event["pid"] is None
    run.stop()
    assert run.ran() == ran


def test_nothing_runs_whose_start_cannot_be_written(run, binary):
    arm(run, binary, "writev", "manifest_append", errno.ENOSPC)
    ran = run.ran()
    assert run.call("plain") == wire.AUDIT
    assert run.faults.fired == 1
    run.stop()  # and whatever was on its way has ended
    assert run.ran() == ran


def test_what_must_hold_is_looked_at(run):
    """The checks themselves: a run in which each of them is made untrue is told of."""
    run.check_manifest(0)
    ran = run.home / "work" / "ran"
    whole = ran.read_text()
    ran.write_text(whole + "nobody-9\n")
    with pytest.raises(scenario.Broken, match="without a start"):
        run.check_manifest(0)
    ran.write_text(whole + whole.split()[0] + "\n")
    with pytest.raises(scenario.Broken, match="ran twice"):
        run.check_manifest(0)
    ran.write_text(whole)
    manifest = run.home / "log" / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if '"exit"' not in line))
    with pytest.raises(scenario.Broken, match="without an end"):
        run.check_manifest(1)
    manifest.write_text("".join(lines))
    os.kill(run.process.pid, 9)
    run.process.wait()
    with pytest.raises(scenario.Broken, match="ended with"):
        run.check_alive()
