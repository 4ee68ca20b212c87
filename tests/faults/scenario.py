"""The fixed scenario that the fault build goes through, and what must hold of it whichever call fails:
nobody crashes, nothing runs without its `start` event, nobody is told of a success that was none, no
descriptor or process is left, and the next calls are served."""
import collections
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "broker"))

import wire  # noqa: E402

from inject import FaultMap  # noqa: E402

BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
PATIENCE = 30  # seconds

RULES = """
defaults:
  logfile = $HOME/log/manifest.jsonl
  cwd = $HOME/work
  log = argv-only
  stop_timeout = 5s
  max_active = 8

sh run.sh plain #token
  token = [a-z0-9-]+

sh run.sh captured #token
  token = [a-z0-9-]+
  log = full
  stdoutfile = $HOME/out/#$call.out
  stderrfile = $HOME/out/#$call.err

sh run.sh confined #token
  token = [a-z0-9-]+
  fs_read = @system, @dev
  fs_write = $HOME/work
  net = none
  signals = own
  open_files = 64
  core = 0
  nice = 1

sh run.sh slow #token
  token = [a-z0-9-]+
  timeout = 100ms

sh run.sh leaver #token
  token = [a-z0-9-]+
  timeout = 60s
  kill = tree-on-exit

sh run.sh hold #token
  token = [a-z0-9-]+
  log = full
  stdoutfile = $HOME/out/#$call.out

cat #file
  file = @filename
  fs_read = @system, @dev, #file
"""

# Each says its token once it runs, so that what ran is known whatever anybody is told.
SCRIPT = """echo "$2" >> ran
echo "out $2"
case $1 in
captured) echo "err $2" >&2; exit 8 ;;
slow) sleep 100 ;;
leaver) sleep 100 & ;;
hold) while [ ! -e "open-$2" ]; do sleep 0.01; done ;;
esac
exit 7
"""

REFUSED = {wire.NO_RULE: "no_rule", wire.PROTO: "proto", wire.FDS: "wrong_fd_count",
           wire.SPAWN: "spawn", wire.AUDIT: "audit", wire.PEER: "peer_unknown",
           wire.BUSY: "busy", wire.CONFINE: "confine"}
CLOSED = None  # instead of a status: the connection was closed without a reply
CANNOT_ENTER = 126  # the working directory
KILLED = 128 + signal.SIGKILL
NOBODY_READS = 128 + signal.SIGPIPE  # the process that copies output is gone: so is the pipe's end


class Broken(AssertionError):
    """Something that must hold did not."""


class EndedByReload(Broken):
    """The new image of a broker ended before it knew what it had been handed."""


def check(holds, *what):
    if not holds:
        raise Broken(" ".join(str(part) for part in what))


def build_broker(folder, runtime, strip=True):
    """Compiles RULES with the fault build of the runtime. With strip=False it keeps its symbols, so
    that places have names (addr2line)."""
    environment = dict(os.environ)
    if not strip:
        shims = folder / "shims"
        shims.mkdir()
        (shims / "gcc").write_text('#!/bin/sh\nfor a do shift; [ "$a" = -s ] || set -- "$@" "$a"; done\n'
                                   f"PATH='{environment['PATH']}'\n" 'exec gcc "$@"\n')
        (shims / "gcc").chmod(0o755)
        environment["PATH"] = f"{shims}:{environment['PATH']}"
    (folder / "faults.rules").write_text(RULES)
    binary = folder / "agent-broker"
    done = subprocess.run([BUILD / "sluicec", folder / "faults.rules", "-o", binary, "--runtime",
                           runtime], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment, timeout=300)
    assert done.returncode == 0, done.stdout.decode()
    return binary


def become_subreaper():
    """Whatever a broker leaves behind becomes a child of this process, and can be seen."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


class Run:
    """One broker of the fault build, from its start to its end."""

    def __init__(self, binary):
        self.home = Path(tempfile.mkdtemp(prefix="sluice-faults-", dir="/tmp"))
        (self.home / "work").mkdir()
        (self.home / "work" / "run.sh").write_text(SCRIPT)
        (self.home / "work" / "notes").write_text("noted\n")
        (self.home / "empty").mkdir()
        self.binary = self.home / "agent-broker"
        shutil.copy(binary, self.binary)
        self.faults = FaultMap(self.home / "faults")
        self.process = None
        self.tokens = 0
        self.connections = []
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    # ---- its life --------------------------------------------------------------------------------

    def start(self):
        """True once it serves; False if it has refused to start, as it should: one clear line."""
        ready_read, ready_write = os.pipe()
        with open(self.home / "stderr", "ab") as errors:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--socket", self.socket, "--ready-fd", str(ready_write)],
                env={"HOME": str(self.home), "PATH": os.environ["PATH"],
                     "SLUICE_FAULTS": str(self.faults.path)},
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, pass_fds=[ready_write])
        os.close(ready_write)
        try:
            check(wire.is_readable(ready_read, PATIENCE), "neither ready nor ended")
            if os.read(ready_read, 1) == b"\n":
                return True
        finally:
            os.close(ready_read)
        # The write that says ready may be what failed: then it serves, and says that.
        wire.wait_for(lambda: self.process.poll() is not None or "--ready-fd" in self.stderr(),
                      "an end or a complaint", PATIENCE)
        if self.process.poll() is None:
            return True
        check(self.process.returncode == 2, "refused to start with", self.process.returncode)
        check(len(self.stderr().splitlines()) >= 1, "refused to start without a word")
        check(not self.socket.exists() or not self._answers(), "refused to start, and answers")
        return False

    def _answers(self):
        try:
            wire.Connection(self.socket).close()
        except OSError:
            return False
        return True

    def stop(self):
        """SIGTERM. Nothing and nobody is left, and each call has its end in the manifest."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Broken("it does not end upon SIGTERM")
        check(status == 0, "ended with", status)
        self.children_end()

    def children_end(self):
        """Waits until nothing that the broker started is left."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                check(time.monotonic() < end, "left behind:", children_named())
                time.sleep(0.005)
            elif os.WIFSIGNALED(status):
                check(os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGTERM),
                      "a process crashed: signal", os.WTERMSIG(status))

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in children_of(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            pass
        for connection in self.connections:
            connection.close()
        os.close(self.null)
        self.faults.close()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- looking at it ---------------------------------------------------------------------------

    @property
    def socket(self):
        return self.home / "b.sock"

    def stderr(self):
        return (self.home / "stderr").read_text(errors="replace")

    def events(self):
        path = self.home / "log" / "manifest.jsonl"
        events = []
        for line in path.read_bytes().split(b"\n") if path.exists() else []:
            try:
                events.append(json.loads(line))
            except ValueError:
                continue  # torn by the fault: said in docs/operations.md, and what follows is whole
        return events

    def ran(self):
        path = self.home / "work" / "ran"
        return path.read_text().split() if path.exists() else []

    def descriptors(self):
        """What the broker has open, workers' pidfds and sockets aside: how many of each kind. It is
        not dumpable, so only root can look; to others it says how many there are."""
        found = collections.Counter()
        if not os.access(f"/proc/{self.process.pid}/fd", os.R_OK):
            processes = len(children_of(self.process.pid))
            status = self._status()
            found["any"] = int(status["descriptors"]) - 2 * processes - int(status["workers"])
            return found
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                link = os.readlink(f"/proc/{self.process.pid}/fd/{name}")
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[re.sub(r"\[?[0-9]+\]?", "N", link.replace(str(self.home), "$HOME"))] += 1
        # A socket for each process that it watches, another for each worker among those.
        found["socket:N"] -= found.pop("anon_inode:[pidfd]", 0)
        found["socket:N"] -= int(self._status()["workers"])
        # Two for each helper that closes descriptors; it stays for a while.
        names = [name_of(pid) for pid in children_of(self.process.pid)]
        found["socket:N"] -= 2 * names.count("sluice-closer")
        return found

    def check_alive(self):
        check(self.process.poll() is None, "the broker ended with", self.process.poll(), "|",
              self.stderr()[-600:])

    def _status(self):
        """The fields of the status line that SIGUSR1 asks for."""
        seen = self.stderr().count(" status ")
        self.process.send_signal(signal.SIGUSR1)
        wire.wait_for(lambda: self.stderr().count(" status ") > seen or self.process.poll() is not None,
                      "the status line", PATIENCE)
        self.check_alive()
        line = [line for line in self.stderr().splitlines() if " status " in line][-1]
        return dict(word.split("=", 1) for word in line.split() if "=" in word)

    def wait_idle(self):
        """Until no call runs or goes on in the background, and the trail is healthy (a probe comes
        each second while it is not)."""
        end = time.monotonic() + PATIENCE
        while True:
            status = self._status()
            if (status["active"] == status["background"] == status["queued"] == "0" and
                    status["connections"] == "0" and status["audit"] == "healthy"):
                return
            check(time.monotonic() < end, "not at rest:", status)
            time.sleep(0.02)

    # ---- the steps -------------------------------------------------------------------------------

    def token(self, kind):
        self.tokens += 1
        return f"{kind}-{self.tokens}"

    def _ask(self, argv, version=2, output=None):
        """A call's status; CLOSED when the connection ended without a reply."""
        try:
            connection = wire.Connection(self.socket)
        except OSError as error:
            raise Broken("cannot connect:", error)
        try:
            streams = {"stdout": output} if output else {}
            if version == 1:
                connection.send1(argv, **streams)
            else:
                connection.send2(argv, **streams)
            reply = connection.reply(PATIENCE)
        except (BrokenPipeError, ConnectionResetError):
            return CLOSED
        finally:
            connection.close()
        return reply.status if reply else CLOSED

    def _call(self, kind, expected, exact, version=2):
        """One call of run.sh. With `exact` it must go as it should; else it may have been refused,
        but then everybody has to agree on that."""
        token = self.token(kind)
        with wire.Output() as output:
            status = self._ask(["sh", "run.sh", kind, token], version, output)
            text = output.read().decode() if kind != "slow" or status == expected else ""
        did_run = token in self.ran()
        if exact:
            check(status == expected, kind, "was answered", status, "instead of", expected, "|",
                  self.stderr()[-600:])
        if status == expected:
            check(did_run or kind == "slow", kind, "was answered", status, "and never ran")
            check(text == f"out {token}\n" or kind == "slow" or not exact, kind, "wrote", repr(text))
        else:
            check(status is CLOSED or status in REFUSED or status in (CANNOT_ENTER, KILLED) or
                  status in (wire.TIMEOUT, wire.OUTPUT) or
                  kind == "captured" and status == NOBODY_READS,
                  kind, "was answered", status)
        return status

    def call(self, kind):
        """The status of one call of run.sh, whatever it is."""
        return self._ask(["sh", "run.sh", kind, self.token(kind)])

    def cycle(self, exact):
        """Each kind of call once. What came of them."""
        outcomes = {}
        for kind, expected, version in (("plain", 7, 1), ("captured", 8, 2), ("confined", 7, 2),
                                        ("slow", wire.TIMEOUT, 2), ("leaver", 7, 2)):
            outcomes[kind] = self._call(kind, expected, exact, version)
        outcomes["refused"] = self._ask(["sh", "run.sh", "refused", "x"])
        check(outcomes["refused"] == wire.NO_RULE or not exact and (
            outcomes["refused"] is CLOSED or outcomes["refused"] in REFUSED),
            "a refused call was answered", outcomes["refused"])
        check("x" not in self.ran(), "a refused call ran")
        outcomes["cat"] = self._cat(exact)
        outcomes["list"] = self._list(exact)
        return outcomes

    def _cat(self, exact):
        with wire.Output() as output:
            status = self._ask(["cat", "notes"], 2, output)
            text = output.read().decode()
        check(status == 0 or not exact, "cat was answered", status, self.stderr()[-600:])
        check(status != 0 or text == "noted\n", "cat was answered 0 and wrote", repr(text))
        return status

    def _list(self, exact):
        try:
            with wire.Connection(self.socket) as connection:
                connection.send(wire.frame2(wire.LIST))
                reply = connection.reply(PATIENCE)
        except (BrokenPipeError, ConnectionResetError):
            reply = None
        if exact or reply and reply.status == 0:
            check(reply and reply.status == 0 and "sh run.sh plain" in reply.text,
                  "the listing was", reply and (reply.status, reply.text))
        return reply.status if reply else CLOSED

    def reload(self):
        """Another executable in the broker's place, SIGHUP, and a call that is held all the while."""
        token = self.token("hold")
        held = wire.Connection(self.socket)
        self.connections.append(held)
        try:
            held.send2(["sh", "run.sh", "hold", token])
        except (BrokenPipeError, ConnectionResetError):
            pass
        wire.wait_for(lambda: token in self.ran() or wire.is_readable(held.sock.fileno(), 0),
                      "the held call", PATIENCE)
        fresh = self.home / "agent-broker.new"
        shutil.copy(self.binary, fresh)
        os.rename(fresh, self.binary)
        told, count = self._reloads()
        self.process.send_signal(signal.SIGHUP)
        wire.wait_for(lambda: self._reloads()[0] > told or self._reloads()[1] > count or
                      self.process.poll() is not None, "the reload", PATIENCE)
        if self.process.poll() is not None:
            raise EndedByReload(f"a reload ended it: {self.process.poll()}")
        (self.home / "work" / f"open-{token}").touch()
        try:
            reply = held.reply(PATIENCE)
        except ConnectionResetError:
            reply = None
        status = reply.status if reply else CLOSED
        held.close()
        check(status != 7 or token in self.ran(), "a held call was answered 7 and never ran")
        check(status == 7 or status is CLOSED or status in REFUSED or status == CANNOT_ENTER or
              status in (KILLED, NOBODY_READS), "a held call was answered", status)
        return status

    def _reloads(self):
        lines = [line for line in self.stderr().splitlines() if "reload" in line]
        return len(lines), len([event for event in self.events() if event.get("kind") == "reload"])

    # ---- what must hold --------------------------------------------------------------------------

    def check_manifest(self, lost_ends):
        """Nothing ran without a `start`; what started has one end; what was refused did not run.
        So many ends may be missing (the one write of it was what failed); never a start."""
        started, ended, refused = {}, [], {}
        for event in self.events():
            if event.get("kind") == "start":
                started[event["call"]] = event["argv"][-1]
            elif event.get("kind") in ("exit", "lost"):
                ended.append(event["call"])
            elif event.get("kind") == "reject" and event.get("argv"):
                refused[event["argv"][-1]] = event["reason"]
        ran = self.ran()
        for token in ran:
            check(token in started.values(), token, "ran without a start event")
            check(token not in refused, token, "ran and was refused:", refused.get(token))
        check(len(ran) == len(set(ran)), "ran twice:", ran)
        check(len(ended) == len(set(ended)), "two ends of one call:", ended)
        unended = set(started) - set(ended)
        check(len(unended) <= lost_ends, "calls without an end:",
              [started[call] for call in unended])


def children_of(pid):
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split()]


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_named():
    names = []
    for pid in children_of(os.getpid()):
        try:
            names.append((pid, Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")))
        except OSError:
            pass
    return names
