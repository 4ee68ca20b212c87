"""Brokers for the benchmarks: the policies, compiled and served, and what a process weighs."""

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).absolute()
SLUICEC = BUILD / "sluicec"
SLUICIFY = BUILD / "sluicify"
LOAD = BUILD / "tests/bench/load"
BARE = BUILD / "tests/bench/bare"
STATIC_TRUE = BUILD / "tests/bench/static-true"

# The same for the broker's programs and for those of the floor.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}

PROGRAMS = {
    "static true": [str(STATIC_TRUE)],
    "/bin/true": ["/bin/true"],
    "git --version": ["/usr/bin/git", "--version"],
}

UNCONFINED = "  syscalls = inherit\n"
# All that holds without namespaces of its own for pids: files, network, sockets, signals, system
# calls, metadata (deny is the default with these) and limits.
CONFINED = f"""  fs_exec = @system
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
ISOLATED = CONFINED + "  isolate = pid, ipc, uts, mount\n"


def policy(confinement, folder=None, capture=False, extra=""):
    """Rules for PROGRAMS. With `folder` there is a manifest, with `capture` captured output too."""
    lines = ["defaults:\n  env = HOME, LANG=C.UTF-8\n", confinement]
    if folder:
        lines.append(f"  logfile = {folder}/manifest.jsonl\n")
        lines.append(f"  log = {'full' if capture else 'argv-only'}\n")
    if capture:
        lines.append(f"  stdoutfile = {folder}/out\n  stderrfile = {folder}/err\n")
    rules = "".join(" ".join(argv) + "\n" for argv in PROGRAMS.values())
    return "".join(lines) + "\n" + rules + extra


class Broker:
    """A broker that serves `text` from a folder of its own, until it is closed."""

    def __init__(self, text, name="bench", binary=None, where=None):
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir=where))
        self.socket = self.folder / "s"
        self.binary = binary or self.folder / f"{name}-broker"
        self.process = None
        self.notices = open(self.folder / "notices", "w")
        if binary is None:
            source = self.folder / f"{name}.rules"
            source.write_text(text.replace("@FOLDER", str(self.folder)))
            subprocess.run([SLUICEC, source, "-o", self.binary], check=True)

    def start(self):
        """Serves; returns the seconds until it did."""
        ready, write = os.pipe()
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--socket", self.socket, "--ready-fd", str(write)],
            pass_fds=[write], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
            stderr=self.notices)
        os.close(write)
        if os.read(ready, 1) == b"":
            raise RuntimeError((self.folder / "notices").read_text())
        os.close(ready)
        return time.monotonic() - begin

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            if self.process.wait(timeout=30) != 0:
                raise RuntimeError("the broker did not stop well")
            self.process = None

    def close(self):
        try:
            self.stop()
        finally:
            self.notices.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()


class Bare:
    """The three processes of a call without a broker's work (bare.c), for one program."""

    def __init__(self, argv):
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
        self.socket = self.folder / "s"
        self.process = subprocess.Popen([BARE, self.socket, *argv], env=ENVIRONMENT,
                                        stdin=subprocess.DEVNULL)
        while not self.socket.exists():
            if self.process.poll() is not None:
                raise RuntimeError("bare did not start")
            time.sleep(0.001)

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid):
    """Resident and private memory of a process, in bytes. proc_pid_smaps(5)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    values = {key: int(value) * 1024
              for key, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
    return {"resident": values["Rss"],
            "private": values["Private_Clean"] + values["Private_Dirty"],
            "written": values["Private_Dirty"]}


def run_load(lanes, callers, seconds, slice_ms):
    """Runs lanes, each (name, kind, socket, argv), in turns. Their results by name."""
    import json
    text = "".join("\t".join([name, kind, str(socket or "-"), *map(str, argv)]) + "\n"
                   for name, kind, socket, argv in lanes)
    done = subprocess.run([LOAD, "-c", str(callers), "-t", str(seconds), "-s", str(slice_ms)],
                          input=text, stdout=subprocess.PIPE, text=True, check=True,
                          env=ENVIRONMENT)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {result["lane"]: result for result in results}


def peak_memory():
    """The largest child so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
