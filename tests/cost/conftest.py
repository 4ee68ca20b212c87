"""A broker whose every system call, or every instruction, is counted."""

import array
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).absolute()
SLUICEC = BUILD / "sluicec"
PATIENCE = 60
MAGIC, VERSION, CALL = 0x534C4358, 2, 1
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}


# Without children that wait beside their worker: valgrind cannot follow those.
COUNTED = BUILD / "cost" / "runtime"


def compile_rules(folder, text, *options):
    (folder / "cost.rules").write_text(text.replace("@FOLDER", str(folder)))
    subprocess.run([SLUICEC, *options, folder / "cost.rules", "-o", folder / "broker"], check=True)
    return folder / "broker"


class Served:
    """A broker under `tracer` (a command that runs its arguments), and a connection to it."""

    def __init__(self, folder, broker, tracer):
        self.path = folder / "s"
        ready, write = os.pipe()
        self.process = subprocess.Popen(
            [*tracer, broker, "serve", "--socket", self.path, "--ready-fd", str(write)],
            pass_fds=[write], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
            stderr=open(folder / "notices", "w"))
        os.close(write)
        if os.read(ready, 1) == b"":
            pytest.fail((folder / "notices").read_text())
        os.close(ready)
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(PATIENCE)
        self.connection.connect(str(self.path))

    def call(self, *argv):
        words = [word.encode() for word in argv]
        request = struct.pack("<IIIII", MAGIC, VERSION, CALL, 0, len(words)) + b"".join(
            struct.pack("<I", len(word)) + word for word in words) + struct.pack("<II", 0, 0)
        null = os.open("/dev/null", os.O_RDWR)
        self.connection.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                             array.array("i", [null] * 3))])
        os.close(null)
        return struct.unpack("<i", self.connection.recv(65536)[8:12])[0]

    def stop(self, pid=None):
        self.connection.close()
        os.kill(pid or self.process.pid, signal.SIGTERM)
        assert self.process.wait(timeout=PATIENCE) == 0


@pytest.fixture
def wait():
    """Waits until a condition holds."""
    def until(condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.01)
    return until


# ---- system calls --------------------------------------------------------------------------------

LINE = re.compile(r"^(\d+) +(\w+)\(")
BORN = re.compile(r"^(\d+) +(?:(?:clone|fork|vfork|clone3)\(.*|<\.\.\. (?:clone|fork|vfork|clone3) "
                  r"resumed>.*) = (\d+)$")


def tracing_works(folder):
    """Whether a program may be traced here at all: containers and Yama may forbid it."""
    if not shutil.which("strace"):
        return "strace is not installed (make deps)"
    tried = subprocess.run(["strace", "-f", "-o", folder / "tried", "/bin/true"],
                           stderr=subprocess.PIPE, text=True)
    return None if tried.returncode == 0 else f"tracing is not permitted: {tried.stderr.strip()}"


def roles(lines):
    """The broker is the first; what it starts are workers; what a worker starts is a child until it
    execs, and then the program."""
    first = lines[0].split()[0]
    known = {first: "broker"}
    for line in lines:
        if born := BORN.match(line):
            known[born[2]] = "worker" if born[1] == first else "child"
    return known


def count_calls(lines):
    """System calls by role and name. A worker counts from the first call that it gets: whether a
    spare one is made is a matter of time."""
    known, execed, serving, counts = roles(lines), set(), set(), Counter()
    for line in lines:
        if not (match := LINE.match(line)):
            continue
        pid, name = match[1], match[2]
        role = known.get(pid, "child")
        if pid in execed:
            continue
        if role == "worker" and name == "recvmsg":
            serving.add(pid)
        if role == "worker" and pid not in serving:
            continue
        if role == "child" and name in ("execve", "execveat"):
            execed.add(pid)
        counts[role, name] += 1
    return counts


def traced_counts(folder, rules, argv, calls):
    """What `calls` calls come to, the broker's start and end included."""
    folder.mkdir()
    broker = compile_rules(folder, rules)
    trace = folder / "trace"
    served = Served(folder, broker, ["strace", "-f", "-qq", "-o", trace])
    pid = int(Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
              .read_text().split()[0])
    for _ in range(calls):
        assert served.call(*argv) == 0
    served.stop(pid)
    return count_calls(trace.read_text().splitlines())


def per_call(folder, rules, *argv, few=10, many=60):
    """System calls of one call, by role and name: the difference of many and few, so that start and
    end cancel out."""
    if reason := tracing_works(folder):
        pytest.skip(reason)
    before = traced_counts(folder / "few", rules, argv, few)
    after = traced_counts(folder / "many", rules, argv, many)
    spent = {key: (after[key] - before[key]) / (many - few) for key in after | before}
    return {key: count for key, count in spent.items() if abs(count) >= 0.05}


# ---- instructions --------------------------------------------------------------------------------

def collected(path):
    """Instructions in a file of callgrind's."""
    return int(re.search(r"^(?:summary|totals): (\d+)", path.read_text(), re.MULTILINE)[1])


def callgrind_or_skip():
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed (make deps)")


def counted_instructions(folder, rules, argv, calls):
    folder.mkdir()
    broker = compile_rules(folder, rules, "--runtime", COUNTED)
    served = Served(folder, broker, ["valgrind", "-q", "--tool=callgrind",
                                     f"--callgrind-out-file={folder}/counts.%p"])
    for _ in range(calls):
        assert served.call(*argv) == 0
    served.stop()
    return collected(folder / f"counts.{served.process.pid}")


def instructions_per_call(folder, rules, *argv, few=10, many=60):
    callgrind_or_skip()
    return (counted_instructions(folder / "many", rules, argv, many) -
            counted_instructions(folder / "few", rules, argv, few)) / (many - few)
