import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from client_helpers import ROOT, clean_environment  # noqa: E402
from fake_broker import FakeBroker  # noqa: E402

# Whoever starts the tests in the background may have them ignore these, and their children with them.
for ignored, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, usual)


@pytest.fixture(scope="session")
def build():
    """The build folder, as `make` tells it."""
    return Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))


@pytest.fixture(scope="session")
def client(build):
    """The path of the built sluicify; with SAN=1 that of the one with the sanitizers in it."""
    path = build / "sluicify-sanitized"
    if not path.exists():
        path = build / "sluicify"
    assert path.exists(), f"{path} is not built"
    return str(path)


@pytest.fixture
def make_broker(tmp_path):
    """FakeBroker(...) at tmp_path/b.sock unless told otherwise, closed at the end."""
    made = []

    def make(path=None, **arguments):
        broker = FakeBroker(path or tmp_path / "b.sock", **arguments)
        made.append(broker)
        return broker

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def run(client):
    """Runs sluicify to its end: run(broker or None, words..., **what subprocess.run takes)."""

    def run_client(broker, *words, env=None, program=None, **arguments):
        environment = clean_environment(**(env or {}))
        if broker is not None:
            environment["SLUICE_SOCKET"] = broker.path
        arguments.setdefault("stdin", subprocess.DEVNULL)
        if "stdout" not in arguments:
            arguments["stdout"] = subprocess.PIPE
        if "stderr" not in arguments:
            arguments["stderr"] = subprocess.PIPE
        return subprocess.run([program or client, *words], env=environment, timeout=60, **arguments)

    return run_client


@pytest.fixture
def start(client):
    """Starts sluicify: start(broker, words...). Killed at the end if it still runs."""
    started = []

    def start_client(broker, *words, env=None, **arguments):
        environment = clean_environment(**(env or {}))
        if broker is not None:
            environment["SLUICE_SOCKET"] = broker.path
        process = subprocess.Popen([client, *words], env=environment, **arguments)
        started.append(process)
        return process

    yield start_client
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
