"""Brokers for tests: rules compiled by sluicec, started for real, and looked at from outside."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import wire  # noqa: E402

BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))


def pytest_configure(config):
    config.addinivalue_line("markers", "measures_memory: of a broker without the sanitizers, which "
                                       "keep memory of their own")


def pytest_collection_modifyitems(items):
    if b"__asan_init" in (BUILD / "sluicec").read_bytes():
        for item in items:
            if item.get_closest_marker("measures_memory"):
                item.add_marker(pytest.mark.skip(reason="the sanitizers keep memory of their own"))


class Compiler:
    """sluicec, with each rules text compiled once a session."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, rules, name="agent"):
        key = hashlib.sha256((name + "\0" + rules).encode()).hexdigest()[:16]
        folder = self.folder / key
        binary = folder / "agent-broker"
        if not binary.exists():
            folder.mkdir(parents=True, exist_ok=True)
            source = folder / f"{name}.rules"
            source.write_text(rules)
            done = subprocess.run([BUILD / "sluicec", source, "-o", binary],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            assert done.returncode == 0, done.stdout.decode()
        return binary


@pytest.fixture(scope="session")
def compile_rules(tmp_path_factory):
    return Compiler(tmp_path_factory.mktemp("compiled"))


class Broker:
    """A running broker. Its home, logs and socket are in `.home`."""

    def __init__(self, binary, home, arguments=(), env=None, wait=True, preexec=None, wrapper=(),
                 socket_path=None, pass_fds=()):
        self.home = Path(home)
        self.socket = Path(socket_path) if socket_path else self.home / "b.sock"
        self.manifest = self.home / "log" / "manifest.jsonl"
        self.binary = self.home / "agent-broker"
        if not self.binary.exists():
            shutil.copy(binary, self.binary)
            self.binary.chmod(0o755)
        self.stderr_path = self.home / "stderr"
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        environment.update(env or {})
        ready_read, ready_write = os.pipe()
        self.stderr_file = open(self.stderr_path, "ab")
        if "--socket" not in arguments and socket_path is not False:
            arguments = ("--socket", str(self.socket), *arguments)
        self.process = subprocess.Popen(
            [*wrapper, str(self.binary), "serve", *arguments, "--ready-fd", str(ready_write)],
            env=environment, stdin=subprocess.DEVNULL, stdout=self.stderr_file,
            stderr=self.stderr_file, pass_fds=[ready_write, *pass_fds], preexec_fn=preexec)
        os.close(ready_write)
        self.pid = self.process.pid
        try:
            if wait:
                ready = wire.is_readable(ready_read, wire.PATIENCE)
                assert ready and os.read(ready_read, 1) == b"\n", (
                    "the broker did not start: " + self.stderr())
        except BaseException:
            self.kill()  # nobody else knows of it yet
            raise
        finally:
            os.close(ready_read)

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, patience=wire.PATIENCE):
        """SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(wire.PATIENCE)
        self.stderr_file.close()

    # ---- what it does --------------------------------------------------------------------------

    def connect(self):
        return wire.Connection(self.socket)

    def call(self, *argv, **streams):
        return wire.run1(self.socket, argv, **streams)

    def call2(self, *argv, **more):
        return wire.run2(self.socket, argv, **more)

    def output(self, *argv, **more):
        return wire.capture(self.socket, argv, **more)

    # ---- what can be seen of it ----------------------------------------------------------------

    def events(self, kind=None):
        if not self.manifest.exists():
            return []
        lines = self.manifest.read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if kind is None or event["kind"] == kind]

    def wait_event(self, kind, **fields):
        def found():
            for event in reversed(self.events(kind)):
                if all(event.get(key) == value for key, value in fields.items()):
                    return event
            return None
        return wire.wait_for(found, f"a {kind} event with {fields} in {self.events(kind)}")

    def rejects(self):
        return [event["reason"] for event in self.events("reject")]

    def descriptors(self):
        """How many it has open. It is not dumpable, so only it can look (or root)."""
        if os.access(f"/proc/{self.pid}/fd", os.R_OK):
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        return self.status()["descriptors"]

    def children(self):
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(word) for word in text.split()]

    def private_kib(self):
        """Memory of its own: anonymous pages that are resident."""
        (line,) = [line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines()
                   if line.startswith("RssAnon:")]
        return int(line.split()[1])

    def status(self):
        """The fields of the status line that SIGUSR1 asks for."""
        seen = self.stderr().count(" status ")
        self.signal(signal.SIGUSR1)
        wire.wait_for(lambda: self.stderr().count(" status ") > seen, "the status line")
        line = [line for line in self.stderr().splitlines() if " status " in line][-1]
        pairs = (word.split("=", 1) for word in line.split() if "=" in word)
        return {key: int(value) if value.isdigit() else value for key, value in pairs}


@pytest.fixture
def home():
    """A private directory with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    yield folder
    subprocess.run(["chmod", "-R", "u+rwx", str(folder)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


LOGFILE = "  logfile = $HOME/log/manifest.jsonl\n"


def with_defaults(rules, defaults=""):
    """`rules` with a defaults stanza: the manifest and what `defaults` says, one line each."""
    lines = "".join(f"  {line.strip()}\n" for line in defaults.splitlines() if line.strip())
    return "defaults:\n" + LOGFILE + lines + "\n" + rules


@pytest.fixture
def start_broker(compile_rules, home):
    """start_broker(rules, defaults="key = value…") compiles and starts one; all are ended after."""
    started = []

    def start(rules, defaults="", name="agent", **how):
        broker = Broker(compile_rules(with_defaults(rules, defaults), name), home, **how)
        started.append(broker)
        return broker

    yield start
    for broker in started:
        broker.kill()
