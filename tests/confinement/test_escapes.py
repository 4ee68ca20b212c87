"""Programs that try to get out of what a rule confines them to, by every way that is known. Each runs
twice through one broker: not confined, where its attempts have to work, so that they mean something,
and confined, where they must not."""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import wire
from abilities import can_look_into, needs_namespaces
from conftest import BUILD

# What an ordinary user may not do in any case; the confined run is held to these all the same.
PRIVILEGED = {"mount", "open_tree", "chroot", "read handle", "socket packet", "socket vsock",
              "socket alg", "setns net", "setns mnt", "memfd_secret", "TIOCSETD"}
# What kernels and hosts may lack or forbid.
OPTIONAL = {"io_uring", "read io_uring", "ring socket", "unix ring", "io_uring_setup", "read race",
            "perf_event_open", "mptcp connect", "tcp fast open", "tcp fast open message",
            "bind six", "socket by int 0x80", "socket by x32", "chmod by int 0x80", "chmod by x32",
            "getpid by int 0x80", "getpid by x32", "fchmodat2", "fchmodat2 empty path",
            "setxattrat", "removexattrat", "FS_IOC_SETFLAGS", "FS_IOC_FSSETXATTR", "TIOCSTI",
            "fchownat empty path", "vsock", "alg", "keyctl", "add_key", "trace kcmp",
            "unshare user", "unshare user and net", "clone user", "clone3 user", "rmdir"}


def works(results, *but):
    """Every attempt of the free run worked, but for what hosts may forbid."""
    failed = {name: result for name, result in results.items()
              if result != "ok" and name not in PRIVILEGED | OPTIONAL | set(but)}
    assert not failed, f"these show nothing, they fail without confinement too: {failed}"
    assert sum(result == "ok" for result in results.values()) > len(results) / 3


def fails(results, *but):
    """No attempt of the held run worked, but for those named, and they did."""
    got_out = {name for name, result in results.items() if result == "ok"}
    assert got_out == set(but) & set(results), got_out ^ set(but)


def isolated(keys):
    return pytest.param(keys, marks=needs_namespaces)


# ---- files -----------------------------------------------------------------------------------------

def outside_make(folder, program):
    (folder / "d").mkdir(parents=True)
    for number in range(50):
        (folder / f"f{number}").write_text("secret")
    os.link(program, folder / "p")


def snapshot(folder):
    return {str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_size,
                        path.read_bytes() if path.is_file() else None)
            for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("keys", ["fs_write = $HOME/in",
                                  "fs_write = $HOME/in\nmetadata = allow",
                                  "fs_write = $HOME/in\nfs_exec = @system\nfs_read = @dev\n"
                                  "metadata = allow\nsyscalls = inherit"])
def test_files(start, escape, home, keys):
    program = escape("escape_files")
    for name in ("free", "held"):
        outside_make(home / f"out-{name}", program.free)
        (home / f"in-{name}").mkdir()
    (home / "in").mkdir()
    broker = start(program.rules(keys))
    for name, path, inside in (("free", program.free, "in-free"), ("held", program.held, "in")):
        outside = home / f"out-{name}"
        directory = os.open(outside, os.O_RDONLY | os.O_DIRECTORY)
        before = snapshot(outside)
        results = program.run(broker, path, outside, home / inside, stdin=directory)
        os.close(directory)
        if name == "free":
            works(results)
        else:
            fails(results)
            assert snapshot(outside) == before


# ---- the network -----------------------------------------------------------------------------------

class Servers:
    """Something to reach: two TCP ports, a UDP port, Unix sockets by path and by abstract name."""

    def __init__(self, home):
        self.tcp = [self.listening(socket.AF_INET, ("127.0.0.1", 0)) for _ in range(2)]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.path = str(home / "u")
        self.abstract = f"sluice-{os.getpid()}-{id(self)}"
        self.unix = [self.listening(socket.AF_UNIX, self.path),
                     self.listening(socket.AF_UNIX, "\0" + self.abstract)]
        self.datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagram.bind(self.path + ".d")
        for path in (self.path, self.path + ".d"):
            os.chmod(path, 0o777)

    @staticmethod
    def listening(family, address):
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind(address)
        server.listen(64)
        return server

    def words(self, port=0):
        return (self.tcp[port].getsockname()[1], self.udp.getsockname()[1], self.path,
                self.abstract)

    def reached(self):
        """Whether anything has arrived; takes it."""
        ready, _, _ = select.select([*self.tcp, self.udp], [], [], 0)
        for server in ready:
            if server is self.udp:
                server.recv(100)
            else:
                server.accept()[0].close()
        return bool(ready)

    def drain(self):
        while self.reached():
            pass


@pytest.fixture
def servers(home):
    return Servers(home)


UNIX = {"unix stream", "unix abstract", "unix datagram", "unix pair datagram", "unix pair raw"}


def test_no_network(start, escape, servers):
    program = escape("escape_network")
    broker = start(program.rules("net = none"))
    works(program.run(broker, program.free, *servers.words()))
    servers.drain()
    results = program.run(broker, program.held, *servers.words())
    # a network namespace, where there is one, has abstract names of its own
    fails({name: result for name, result in results.items() if name != "unix abstract"},
          *(UNIX - {"unix abstract"}))
    assert not servers.reached()


def test_no_network_and_no_unix(start, escape, servers):
    program = escape("escape_network")
    broker = start(program.rules("net = none\nunix = none\nsyscalls = inherit"))
    fails(program.run(broker, program.held, *servers.words()))
    assert not servers.reached()


def test_no_unix(start, escape, servers):
    program = escape("escape_network")
    broker = start(program.rules("unix = none"))
    free = program.run(broker, program.free, *servers.words())
    held = program.run(broker, program.held, *servers.words())
    assert all(held[name] != "ok" for name in [*UNIX, "unix ring"])
    for name in ("tcp connect", "udp send", "bind", "socket inet6", "socket netlink"):
        assert held[name] == free[name] == "ok", name


def test_ports(start, escape, servers):
    program = escape("escape_network")
    port = servers.tcp[0].getsockname()[1]
    broker = start(program.rules(f"net = connect:{port}"))
    allowed = {"tcp connect", "tcp connect by protocol", "socket inet", "socket high bits"} | UNIX
    fails(program.run(broker, program.held, *servers.words(0)), *allowed)
    servers.drain()
    fails(program.run(broker, program.held, *servers.words(1)),
          *(allowed - {"tcp connect", "tcp connect by protocol"}))
    assert not servers.reached()


# ---- metadata --------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys", ["fs_read = $HOME/r", "fs_read = $HOME/r\nsyscalls = inherit",
                                  "fs_read = $HOME/r\nfs_write = $HOME/w",
                                  "fs_write = $HOME/w\nsyscalls = inherit"])
def test_metadata(start, escape, home, keys):
    program = escape("escape_metadata")
    for name in "rw":
        (home / name).mkdir()
        (home / name / "free").write_text("x")
        (home / name / "held").write_text("x")
    broker = start(program.rules(keys))
    works(program.run(broker, program.free, home / "r" / "free"))
    before = os.stat(home / "r" / "held")
    fails(program.run(broker, program.held, home / "r" / "held"))
    after = os.stat(home / "r" / "held")
    assert (before.st_mode, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_mode, after.st_mtime_ns, after.st_ctime_ns)
    if "fs_write" in keys:
        works(program.run(broker, program.held, home / "w" / "held"))


# ---- processes -------------------------------------------------------------------------------------

COUNTING = """
import os, signal, sys
signal.signal(signal.SIGURG, lambda *_: os.write(1, b"!"))
os.write(1, b"up")
while True: signal.pause()
"""


@pytest.fixture
def outsider(user):
    """A process of the same user that has nothing to do with the broker."""
    process = subprocess.Popen([sys.executable, "-c", COUNTING], stdout=subprocess.PIPE,
                               preexec_fn=user.become)
    assert process.stdout.read(2) == b"up"
    yield process
    process.kill()
    process.wait()


def was_signalled(process):
    told = False
    while select.select([process.stdout], [], [], 0.2)[0] and os.read(process.stdout.fileno(), 99):
        told = True
    return told


def tracing(results):
    return {name: result for name, result in results.items() if name.startswith("trace ")}


def test_other_processes(start, escape, outsider):
    program = escape("escape_processes")
    broker = start(program.rules("signals = own") +
                   f"{program.held} plain #pid\n  pid = @uint\n"
                   f"{program.held} plain #pid #more\n  pid, more = @uint\n".replace(
                       "pid, more = @uint", "pid = @uint\n  more = @uint"))
    free = program.run(broker, program.free, outsider.pid)
    # a broker's own no_new_privs leaves tracing to the rules of the host (ptrace_scope)
    works({name: result for name, result in free.items() if not name.startswith("trace ")})
    assert was_signalled(outsider)
    targets = [outsider.pid, broker.pid, *broker.children()]
    for target in targets:
        fails(program.run(broker, program.held, target))
    assert not was_signalled(outsider)
    assert broker.call(str(program.held)).status == 0  # and it serves on
    for target in targets:
        os.kill(target, 0)


def test_tracing_others_needs_no_key(start, escape, outsider):
    """signals = inherit lets a program signal its user's processes; nothing lets it trace them."""
    program = escape("escape_processes")
    broker = start(program.rules("syscalls = default, +ptrace, +process_vm_readv, "
                                 "+process_vm_writev, +pidfd_getfd, +kcmp"))
    broker.call(str(program.held))  # its workers are there
    for target in (outsider.pid, broker.pid, *broker.children()):
        results = program.run(broker, program.held, target)
        assert results["kill"] == "ok"
        # prlimit, setns: refused by the filter; the others by Landlock
        fails(tracing(results))


# ---- system calls ----------------------------------------------------------------------------------

@pytest.mark.parametrize("keys", ["", "syscalls = strict", "syscalls = default\nnet = none"])
def test_system_calls(start, escape, keys):
    program = escape("escape_syscalls")
    broker = start(program.rules(keys))
    free = program.run(broker, program.free)
    works(free, "ptrace", "clone3", "+unshare files")  # containers refuse the two last
    results = program.run(broker, program.held)
    needed = {name for name in results if name.startswith("+") and free[name] == "ok"}
    if "strict" in keys:
        needed -= {"+unshare files"}
    fails(results, *needed)


DYING = """
import ctypes, os, platform, struct
number = {"x86_64": 102, "aarch64": 174}[platform.machine()]  # getuid
code = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 0x06, 0, 0, 0x80000000, 0x06, 0, 0, 0x7fff0000)
held = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", 4, ctypes.addressof(held))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.getuid()
"""


def test_a_program_that_its_own_filter_kills(start, home):
    """No filter of a rule's kills (tests/unit/test_bpf.c looks at each of their answers)."""
    (home / "dying.py").write_text(DYING)
    broker = start(f"/usr/bin/python3 {home}/dying.py\n")
    assert broker.call2("/usr/bin/python3", f"{home}/dying.py").status == 128 + signal.SIGSYS
    assert broker.wait_event("exit")["signal"] == signal.SIGSYS


# ---- leaving the tree ------------------------------------------------------------------------------

LEAVING = r"""
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
how = sys.argv[1]
os.write(1, b"up")
if how == "daemon":
    if os.fork(): time.sleep(60)
    os.setsid()
    if os.fork(): os._exit(0)
    time.sleep(60)
elif how == "runner":
    for steps in range(20000):  # enough to show it, and too few to fill a process table
        if os.fork(): os._exit(0)
        os.setsid()
    os.write(1, b"got away")
elif how == "stopped":
    if os.fork() == 0: os.setsid()
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.parametrize("keys", ["", "signals = inherit", isolated("isolate = pid")])
@pytest.mark.parametrize("how", ["daemon", "runner", "stopped"])
def test_nothing_survives_a_timeout(start, home, how, keys):
    (home / "leave.py").write_text(LEAVING)
    lines = f"  {keys}\n" if keys else ""
    broker = start(f"/usr/bin/python3 {home}/leave.py #how\n  how = @word\n  timeout = 1s\n{lines}")
    with wire.Output() as output:
        reply = wire.run2(broker.socket, ["/usr/bin/python3", f"{home}/leave.py", how],
                          stdout=output)
        assert reply.status in (wire.TIMEOUT, 0)
        # every process of the call holds the pipe: it ends when the last of them has gone
        assert output.read() == b"up"
    wire.wait_for(lambda: broker.status()["active"] == 0, "the worker to be idle")


@pytest.mark.parametrize("keys", ["", "signals = inherit", isolated("isolate = pid")])
def test_nothing_outruns_the_kill(start, home, keys):
    """At full speed: one and many, each in the next one's place, in rows, and as siblings; and behind
    more dead children than the worker looks at in one go."""
    program = home / "runner"
    shutil.copy(BUILD / "tests" / "confinement" / "escape_runner", program)
    program.chmod(0o755)
    lines = f"  {keys}\n" if keys else ""
    broker = start(f"{program} #how #runners\n  how = @word\n  runners = @int(1,64)\n"
                   f"  kill = tree-on-exit\n  memory = 1G\n{lines}")
    # one by one is not promised to catch what forks faster than it looks: docs/confinement.md
    walked = keys == "signals = inherit"
    for how in ("alone", "side", "behind") if walked else ("alone", "row", "side", "behind"):
        for runners in (1,) if walked else (1, 8):
            with wire.Output() as output:
                reply = wire.run2(broker.socket, [str(program), how, str(runners)], stdout=output)
                assert reply.status == 0, (how, runners, reply.text)
                # every process of the call holds the pipe
                assert output.read() == b"up\n", (how, runners)
            wire.wait_for(lambda: broker.status()["active"] == 0, "the worker to be idle")


# ---- limits ----------------------------------------------------------------------------------------

def limited(start, home, keys, script):
    (home / "limited.py").write_text(script)
    lines = "".join(f"  {key}\n" for key in keys)
    broker = start(f"/usr/bin/python3 {home}/limited.py\n{lines}")
    reply, output = wire.capture(broker.socket, ["/usr/bin/python3", f"{home}/limited.py"],
                                 wire.run2)
    return reply.status, output.decode()


def test_memory(start, home):
    assert limited(start, home, ["memory = 256M"], """
try: bytes(400 << 20)
except MemoryError: print("no")
""") == (0, "no\n")


def test_open_files(start, home):
    assert limited(start, home, ["open_files = 20"], """
import os
try: [os.dup(0) for _ in range(30)]
except OSError as e: print(e.errno)
""") == (0, "24\n")


def test_file_size(start, home):
    status, output = limited(start, home, ["file_size = 64K"], """
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
os.pwrite(file, b"x", 65535)
try: os.pwrite(file, b"x", 65536)
except OSError as e: print(e.errno)
""")
    assert (status, output) == (0, "27\n")


def test_processor_time(start, home):
    status, _ = limited(start, home, ["cpu_time = 1s"], "while True: pass")
    assert status == 128 + signal.SIGXCPU


def test_core_nice_umask(start, home):
    assert limited(start, home, ["core = 0", "nice = 3", "umask = 077"], """
import os, resource
print(resource.getrlimit(resource.RLIMIT_CORE), os.nice(0), oct(os.umask(0)))
""") == (0, f"(0, 0) {min(os.nice(0) + 3, 19)} 0o77\n")


@needs_namespaces
def test_processes(start, home, user):
    if user.uid == 0:
        pytest.skip("the kernel does not count root's processes; a cgroup would have to be delegated")
    # in a user namespace of its own (net = none has one where it can) only the call's are counted
    status, output = limited(start, home, ["processes = 12", "isolate = user",
                                                 "kill = tree-on-exit"], """
import os, time
made = 0
try:
    while made < 40:
        if os.fork() == 0: time.sleep(60)
        made += 1
except OSError as e: print(e.errno, 5 < made < 12)
""")
    assert output == "11 True\n"


# ---- isolation -------------------------------------------------------------------------------------

@needs_namespaces
def test_isolated(start, user):
    broker = start("sh -c #script\n  allow_any = script\n  isolate = pid, ipc, uts, mount, user\n")

    def output(script):
        reply, text = wire.capture(broker.socket, ["sh", "-c", script], wire.run2)
        return reply.status, text.decode()

    assert output("cat /proc/1/comm") == (0, "sluice-worker\n")
    status, text = output("ls -d /proc/[0-9]* | wc -l")
    assert status == 0 and int(text) < 6
    here = {name: os.readlink(f"/proc/self/ns/{name}") for name in
            ("pid", "ipc", "uts", "mnt", "user")}
    for name, link in here.items():
        assert output(f"readlink /proc/self/ns/{name}")[1].strip() != link
    assert output("kill -KILL 1; echo on")[1] == "on\n"
    assert output("mount -t tmpfs x /mnt 2>/dev/null || echo no")[1] == "no\n"
    assert output("grep CapEff /proc/self/status")[1].split()[1].strip("0") == ""
    assert output("id -u") == (0, f"{user.uid}\n")


@needs_namespaces
def test_a_network_of_its_own(start):
    """net = none: no worker is in the network of another one that runs, and whoever made one to try
    whether it can be made has left nothing of it behind."""
    script = "readlink /proc/self/ns/net; read line; true"
    broker = start(f"sh -c '{script}'\n  net = none\n")
    found, open_calls = [], []
    for _ in range(3):
        connection, output, (stdin, hold) = broker.connect(), wire.Output(), os.pipe()
        connection.send2(["sh", "-c", script], stdin=stdin, stdout=output)
        os.close(stdin)
        output.close_writer()
        assert wire.is_readable(output.end, wire.PATIENCE)
        found.append(os.read(output.end, 100).decode().strip())
        open_calls.append((connection, output, hold))
    assert all(re.fullmatch(r"net:\[\d+\]", name) for name in found), found
    assert len({*found, os.readlink("/proc/self/ns/net")}) == 4, found
    if can_look_into(broker.pid):
        links = [os.readlink(f"/proc/{broker.pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{broker.pid}/fd")]
        assert links and not [link for link in links if link.startswith("net:")]
    for connection, output, hold in open_calls:
        os.close(hold)
        assert connection.reply().status == 0
        connection.close()
        output.close()
