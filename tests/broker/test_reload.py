"""SIGHUP: the audit trail reopened, and a newer broker in the place of the old one."""
import fcntl
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
import wire
from conftest import ROOT, with_defaults
from wire import Connection, Output, receive_reply, wait_for

OLD = "sh -c #script\n  allow_any = script\n\necho old\n"
NEW = "sh -c #script\n  allow_any = script\n\necho new\n"


def install(broker, binary):
    """Puts another executable in the broker's place, as a package manager does."""
    fresh = broker.home / "agent-broker.new"
    shutil.copy(binary, fresh)
    fresh.chmod(0o755)
    os.rename(fresh, broker.binary)


def reload(broker):
    """SIGHUP; the event that tells how it went."""
    count = len(broker.events("reload"))
    broker.signal(signal.SIGHUP)
    wait_for(lambda: len(broker.events("reload")) > count, "the reload")
    return broker.events("reload")[-1]


@pytest.fixture
def broker(start_broker):
    return start_broker(OLD)


@pytest.fixture
def new(compile_rules):
    return compile_rules(with_defaults(NEW))


def test_without_a_new_binary_it_stays_what_it_is(broker):
    event = reload(broker)
    assert "note" not in event
    assert broker.call("echo", "old").status == 0


def test_it_becomes_the_new_broker(broker, new):
    assert broker.call("echo", "new").status == -1
    before = broker.events("serve")[0]["policy"]
    install(broker, new)
    event = reload(broker)
    assert "note" not in event
    assert event["policy"] != before
    assert event["pid"] == broker.pid
    assert broker.call("echo", "new").status == 0
    assert broker.call("echo", "old").status == -1
    calls = [event["call"] for event in broker.events() if event["kind"] in ("start", "reject")]
    assert calls == [1, 2, 3]
    assert broker.stop() == 0
    assert not broker.socket.exists()


def test_again_and_again(broker, new, compile_rules):
    old = compile_rules(with_defaults(OLD))
    before = None
    for round_number in range(6):
        install(broker, new if round_number % 2 == 0 else old)
        reload(broker)
        word = "new" if round_number % 2 == 0 else "old"
        assert broker.call("echo", word).status == 0
        if round_number == 1:
            before = broker.descriptors()
    assert broker.descriptors() <= before + 3  # one more idle worker at most
    assert broker.status()["calls"] == 6


def test_calls_in_flight_are_answered_by_the_new_one(broker, new, home):
    connections = []
    outputs = []
    for code in range(5):
        connection, output = Connection(broker.socket), Output()
        script = f"read line; echo $line; exit {code}"
        stdin = os.pipe()
        connection.send1(["sh", "-c", script], stdin=stdin[0], stdout=output)
        os.close(stdin[0])
        output.close_writer()
        connections.append((connection, output, stdin[1], code))
    wait_for(lambda: len(broker.events("start")) == 5, "all to run")
    install(broker, new)
    event = reload(broker)
    assert sorted(event["active"]) == [1, 2, 3, 4, 5]
    for connection, output, stdin, code in connections:
        os.write(stdin, b"hello\n")
        os.close(stdin)
        assert connection.reply().status == code
        assert output.read() == b"hello\n"
        connection.close()
    assert [e["status"] for e in sorted(broker.events("exit"), key=lambda e: e["call"])] == [
        0, 1, 2, 3, 4]
    wait_for(lambda: broker.status()["active"] == 0, "all to be over")


def test_the_timeout_of_a_call_in_flight_goes_on(start_broker, compile_rules):
    rules = "sh -c #script\n  allow_any = script\n  timeout = 1500ms\n"
    broker = start_broker(rules)
    began = time.monotonic()
    with Connection(broker.socket) as connection:
        connection.send2(["sh", "-c", "setsid sleep 300 & sleep 300"])
        broker.wait_event("start")
        install(broker, compile_rules(with_defaults(rules + "\ntrue\n")))
        reload(broker)
        assert broker.call("true").status == 0
        assert connection.reply().status == wire.TIMEOUT
    assert 1.5 <= time.monotonic() - began < 20
    wait_for(lambda: broker.status()["background"] == 0, "its tree to be gone")


def test_what_a_call_left_behind_is_waited_for_by_the_new_one(start_broker, compile_rules, home):
    """The worker's last word comes to another broker than that which took its report of the end."""
    defaults = "max_active = 1"
    rules = "sh -c #script\n  allow_any = script\n  kill = group\n"
    broker = start_broker(rules, defaults)
    new = compile_rules(with_defaults(rules + "echo new\n", defaults))
    os.mkfifo(home / "gate")
    for turn in range(2):  # a second one finds the table of such calls full, if the first stays in it
        assert broker.call("sh", "-c", f"cat {home}/gate >/dev/null 2>&1 &").status == 0
        wait_for(lambda: broker.status()["background"] == 1, "a process in the background")
        install(broker, new)
        assert "note" not in reload(broker)
        assert broker.status()["background"] == 1
        (home / "gate").write_text("")
        wait_for(lambda: broker.status()["background"] == 0, "the end of what was left behind")
        assert broker.call("echo", "new").status == 0


def test_waiting_calls_are_decided_by_the_new_rules(start_broker, compile_rules, home):
    gate = f"while [ ! -e {home}/gate ]; do sleep 0.01; done"
    broker = start_broker(OLD, "max_active = 1")
    first = Connection(broker.socket)
    first.send1(["sh", "-c", gate])
    broker.wait_event("start")
    waiting = []
    for argv in (["echo", "old"], ["sh", "-c", "exit 7"], ["sh", "-c", "exit 8"]):
        connection = Connection(broker.socket)
        connection.send2(argv)
        waiting.append(connection)
        wait_for(lambda: broker.status()["queued"] == len(waiting), "it to wait")
    install(broker, compile_rules(with_defaults(NEW, "max_active = 1")))
    reload(broker)
    (home / "gate").touch()
    assert first.reply().status == 0
    assert [connection.reply().status for connection in waiting] == [-1, 7, 8]
    for connection in [first, *waiting]:
        connection.close()


def test_smaller_limits_do_not_lose_calls(start_broker, compile_rules, home):
    gate = f"while [ ! -e {home}/gate ]; do sleep 0.02; done"
    broker = start_broker(OLD, "max_active = 10\nqueue = 10")
    connections = []
    for code in range(20):
        connection = Connection(broker.socket)
        connection.send1(["sh", "-c", f"{gate}; exit {code}"])
        connections.append(connection)
    wait_for(lambda: broker.status()["queued"] == 10, "the rest to wait")
    install(broker, compile_rules(with_defaults(NEW, "max_active = 1\nqueue = 0")))
    reload(broker)
    (home / "gate").touch()
    assert [connection.reply().status for connection in connections] == list(range(20))
    for connection in connections:
        connection.close()


def test_connections_are_kept(broker, new):
    silent = Connection(broker.socket)
    greeted = Connection(broker.socket)
    greeted.send(wire.frame2(wire.HELLO))
    assert greeted.reply().status == 0
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    greeted.send2(["sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.02; done"], reply=theirs)
    theirs.close()
    broker.wait_event("start")
    install(broker, new)
    reload(broker)
    greeted.send2(["echo", "new"])
    assert greeted.reply().status == 0
    mine.send(wire.frame2(wire.SIGNAL, b"\x0f\0\0\0"))
    assert receive_reply(mine).status == 6
    silent.send1(["echo", "new"])
    assert silent.reply().status == 0
    greeted.close()
    silent.close()


def test_no_connection_is_refused_meanwhile(broker, new, compile_rules):
    """Calls go on at full speed through ten reloads; every one of them is answered."""
    old = compile_rules(with_defaults(OLD))
    failures, count, done = [], [0], threading.Event()

    def caller():
        while not done.is_set():
            try:
                status = wire.run1(broker.socket, ["sh", "-c", "exit 3"]).status
            except OSError as error:
                failures.append(repr(error))
                return
            count[0] += 1
            if status != 3:
                failures.append(status)

    threads = [threading.Thread(target=caller) for _ in range(3)]
    for thread in threads:
        thread.start()
    for round_number in range(10):
        install(broker, new if round_number % 2 == 0 else old)
        reload(broker)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == [] and count[0] > 10
    wait_for(lambda: len(broker.events("exit")) == len(broker.events("start")), "exit events")
    calls = [event["call"] for event in broker.events("start")]
    assert calls == list(range(1, len(calls) + 1))


# ---- unfit ---------------------------------------------------------------------------------------

def assert_stays(broker, *words):
    event = reload(broker)
    for word in words:
        assert word in event["note"], event
        assert word in broker.stderr()
    assert broker.call("echo", "old").status == 0


def test_a_broker_that_this_host_is_unfit_for(broker, compile_rules):
    install(broker, compile_rules(with_defaults(NEW + "\nls\n  fs_read = /nonexistent/folder\n")))
    assert_stays(broker, "unfit", "/nonexistent/folder")


def test_something_that_is_no_broker(broker, home):
    for content, words in ((b"\x7fELF nonsense", "unfit"), (b"#!/bin/sh\nexit 3\n", "unfit")):
        fresh = home / "fresh"
        fresh.write_bytes(content)
        fresh.chmod(0o755)
        os.rename(fresh, broker.binary)
        assert_stays(broker, words)


def test_a_program_that_agrees_but_cannot_go_on(broker, home):
    """It passes the check and then does not run: there is nothing to go back from, only to stay."""
    fresh = home / "fresh"
    fresh.write_text('#!/bin/sh\n[ "$1" = check-host ] && exit 0\n')
    fresh.chmod(0o755)
    os.rename(fresh, broker.binary)
    broker.signal(signal.SIGHUP)
    # A script cannot be run from a descriptor that ends with the exec: the broker goes on.
    wait_for(lambda: broker.events("reload"), "the reload")
    assert broker.call("echo", "old").status == 0


def test_another_format_of_the_state(broker, new):
    done = subprocess.run([new, "check-host", "--takes-over", "999999"], stdout=subprocess.PIPE,
                          env={"HOME": str(broker.home), "XDG_RUNTIME_DIR": str(broker.home)})
    assert done.returncode == 1
    assert b"format" in done.stdout and b"999999" in done.stdout


def test_a_binary_that_others_can_write_is_not_taken(broker, new):
    fresh = broker.home / "fresh"
    shutil.copy(new, fresh)
    fresh.chmod(0o777)
    os.rename(fresh, broker.binary)
    assert_stays(broker, "others")


def test_a_binary_that_is_gone(broker):
    broker.binary.unlink()
    assert_stays(broker, "No such file")


def test_a_slow_check_does_not_stop_service(broker, home):
    source = home / "slow.c"
    source.write_text("#include <fcntl.h>\n#include <unistd.h>\nint main(void) {\n"
                      f'  creat("{home}/checking", 0600);\n'
                      f'  while (access("{home}/gate", F_OK) != 0) usleep(20000);\n'
                      "  return 1;\n}\n")
    subprocess.run(["gcc", "-o", home / "fresh", source], check=True)
    os.rename(home / "fresh", broker.binary)
    broker.signal(signal.SIGHUP)
    wait_for((home / "checking").exists, "the check to begin")
    broker.signal(signal.SIGHUP)  # one more while it is checked: done after it
    for _ in range(10):
        assert broker.call("echo", "old").status == 0
    assert broker.events("reload") == []
    (home / "gate").touch()
    wait_for(lambda: len(broker.events("reload")) == 2, "both")


def test_a_new_broker_that_fails_late_becomes_the_old_one_again(start_broker, compile_rules, home):
    """What the check could not see: a manifest that cannot be opened by the time of the exec."""
    broker = start_broker(OLD)
    rules = NEW
    late = compile_rules("defaults:\n  logfile = $HOME/late/manifest.jsonl\n\n" + rules)
    (home / "late").mkdir()
    (home / "late" / "manifest.jsonl").mkdir()  # check-host looks at directories only
    with Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", "sleep 1; exit 5"])
        broker.wait_event("start")
        install(broker, late)
        event = reload(broker)
        assert "manifest.jsonl" in event["note"]
        assert "going back" in broker.stderr()
        assert connection.reply().status == 5
    assert broker.call("echo", "old").status == 0
    assert broker.call("echo", "new").status == -1
    # and it can still be replaced
    (home / "late" / "manifest.jsonl").rmdir()
    broker.signal(signal.SIGHUP)
    broker.manifest = home / "late" / "manifest.jsonl"
    wait_for(lambda: broker.events("reload"), "the new one to serve")
    assert broker.call("echo", "new").status == 0


def test_a_state_that_is_none_is_refused(new, home):
    for content in (b"", b"x" * 100000):
        fd = wire.sealed_memfd(content)
        done = subprocess.run([new, "serve", "--resume", str(fd)], pass_fds=[fd],
                              stderr=subprocess.PIPE, env={"HOME": str(home)}, timeout=60)
        assert done.returncode == 2 and b"state" in done.stderr
        os.close(fd)
    done = subprocess.run([new, "serve", "--resume", "55"], stderr=subprocess.PIPE,
                          env={"HOME": str(home)}, timeout=60)
    assert done.returncode == 2


# Says that it is fit, and puts what it is handed into $HOME/state.
HEIR = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char path[4096], bytes[65536];
    ssize_t got;
    if (argc < 4 || strcmp(argv[1], "serve") != 0)
        return 0;
    snprintf(path, sizeof path, "%s/state", getenv("HOME"));
    FILE *file = fopen(path, "w");
    for (off_t at = 0; (got = pread(atoi(argv[3]), bytes, sizeof bytes, at)) > 0; at += got)
        fwrite(bytes, 1, (size_t)got, file);
    return fclose(file) == 0 ? 3 : 4;
}
"""


@pytest.fixture
def state(broker, home):
    """What a broker hands to its successor."""
    (home / "heir.c").write_text(HEIR)
    subprocess.run(["gcc", "-o", home / "heir", home / "heir.c"], check=True, timeout=60)
    os.rename(home / "heir", broker.binary)
    broker.signal(signal.SIGHUP)
    assert broker.process.wait(wire.PATIENCE) == 3
    return (home / "state").read_bytes()


def changed(state, at, value):
    return state[:at] + struct.pack("<I", value) + state[at + 4:]


@pytest.mark.parametrize("what, change, words", [
    ("another magic", lambda state: changed(state, 0, 1), "no broker's state"),
    ("another format", lambda state: changed(state, 4, 999999), "format 999999"),
    ("another length", lambda state: state + bytes(8), "cut off"),
    ("other records", lambda state: changed(state, 16, 8), "other sizes"),
    ("more connections than there are", lambda state: changed(state, 32, 9), "cut off"),
    ("another protocol of workers", lambda state: changed(state, 40, 0x7fffffff), "another protocol"),
    ("an older protocol of workers", lambda state: changed(state, 40, 0), "another protocol"),
    ("another protocol of captures", lambda state: changed(state, 44, 0), "another protocol"),
], ids=lambda value: value if isinstance(value, str) and " " in value else "")
def test_a_state_that_is_not_sound_is_refused(state, new, home, what, change, words):
    fd = wire.sealed_memfd(change(state))
    done = subprocess.run([new, "serve", "--resume", str(fd)], pass_fds=[fd],
                          stderr=subprocess.PIPE, env={"HOME": str(home)}, timeout=60)
    os.close(fd)
    assert done.returncode == 2 and words in done.stderr.decode()


def test_a_state_that_could_still_change_is_refused(state, new, home):
    fd = os.memfd_create("state", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, state)
    done = subprocess.run([new, "serve", "--resume", str(fd)], pass_fds=[fd],
                          stderr=subprocess.PIPE, env={"HOME": str(home)}, timeout=60)
    os.close(fd)
    assert done.returncode == 2 and b"holds no broker's state" in done.stderr


# ---- the audit trail -----------------------------------------------------------------------------

def test_logrotate(broker):
    broker.call("echo", "old")
    rotated = broker.manifest.with_suffix(".1")
    os.rename(broker.manifest, rotated)
    broker.call("echo", "old")
    reload(broker)
    broker.call("echo", "old")
    assert [event["call"] for event in broker.events("start")] == [3]
    assert rotated.read_text().count('"kind":"start"') == 2
    assert stat.S_IMODE(broker.manifest.stat().st_mode) == 0o600


def test_a_manifest_that_cannot_be_reopened(broker, home):
    rotated = broker.manifest.with_suffix(".1")
    os.rename(broker.manifest, rotated)
    broker.manifest.mkdir()
    broker.signal(signal.SIGHUP)
    wait_for(lambda: '"kind":"reload"' in rotated.read_text(), "the reload")
    assert "note" in rotated.read_text()
    assert broker.call("echo", "old").status == 0
    assert rotated.read_text().count('"kind":"start"') == 1


def test_captures_in_flight_go_on(start_broker, compile_rules, home):
    rules = ("sh -c #script\n  allow_any = script\n"
             "  stdoutfile = $HOME/log/#$call.out\n")
    broker = start_broker(rules)
    with Connection(broker.socket) as connection, Output() as output:
        script = f"echo one; while [ ! -e {home}/gate ]; do sleep 0.02; done; echo two; exit 4"
        connection.send1(["sh", "-c", script], stdout=output)
        output.close_writer()
        assert os.read(output.end, 100) == b"one\n"
        install(broker, compile_rules(with_defaults(rules + "\ntrue\n")))
        reload(broker)
        (home / "gate").touch()
        assert connection.reply().status == 4
        assert output.read() == b"two\n"
    event = broker.wait_event("exit")
    assert event["stdout_bytes"] == 8
    assert (home / "log" / "1.out").read_bytes() == b"one\ntwo\n"
    assert Path(f"/proc/{broker.pid}").exists()


def test_what_a_call_left_behind_ends_after_a_reload(start_broker, new, home):
    """The answer went out before the reload; that nothing is left of the call is told after it."""
    broker = start_broker(OLD)
    script = f"while [ ! -e {home}/gate ]; do sleep 0.01; done & exit 3"
    assert broker.call("sh", "-c", script).status == 3
    wait_for(lambda: broker.status()["background"] == 1, "the call in the background")
    install(broker, new)
    assert "note" not in reload(broker)
    assert broker.status()["background"] == 1
    (home / "gate").touch()
    wait_for(lambda: broker.status()["background"] == 0, "the end of what was left")
    assert broker.stop() == 0


# Says that it is fit; told to serve, it breaks what the first call in the state says of its capture,
# and becomes $HOME/heir with that.
BREAKER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/broker/state.h"
int main(int argc, char **argv)
{
    static char bytes[1 << 20];
    char path[4096], number[24];
    struct state_header header;
    if (argc < 4 || strcmp(argv[1], "serve") != 0)
        return 0;
    ssize_t length = pread(atoi(argv[3]), bytes, sizeof bytes, 0);
    memcpy(&header, bytes, sizeof header);
    size_t call = sizeof header + header.connection_count * sizeof(struct state_connection);
    if (length < (ssize_t)(call + sizeof(struct state_call)) || header.call_count != 1)
        return 4;
    memset(bytes + call + offsetof(struct state_call, capture.protocol), 0xff, 4);
    int file = memfd_create("state", MFD_ALLOW_SEALING);
    if (write(file, bytes, (size_t)length) != length ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return 5;
    snprintf(number, sizeof number, "%d", file);
    argv[3] = number;
    snprintf(path, sizeof path, "%s/heir", getenv("HOME"));
    execv(path, argv);
    return 3;
}
"""


@pytest.mark.parametrize("script", ["head -c 20000 /dev/zero", "cat {home}/gate & echo x"],
                         ids=["nothing runs any more", "a process holds the pipe"])
def test_the_end_of_a_call_whose_capture_is_lost_is_told(start_broker, compile_rules, home, script):
    """It has been answered, and its capture was to go on."""
    rules = "sh -c #script\n  allow_any = script\n  stdoutfile = $HOME/log/#$call.out\n"
    broker = start_broker(rules)
    shutil.copy(compile_rules(with_defaults(rules + "\ntrue\n")), home / "heir")
    (home / "breaker.c").write_text(BREAKER)
    subprocess.run(["gcc", f"-I{ROOT}", "-o", home / "breaker", home / "breaker.c"], check=True,
                   timeout=60)
    os.mkfifo(home / "gate")
    end, fd = os.pipe()
    fcntl.fcntl(fd, 1031, 4096)  # F_SETPIPE_SZ
    assert broker.call("sh", "-c", script.format(home=home), stdout=fd).status == 0
    wait_for(lambda: broker.status()["background"] == 1, "the call in the background")
    assert broker.events("exit") == []
    install(broker, home / "breaker")
    assert "note" not in reload(broker)
    assert "its capture is lost" in broker.stderr()
    event = broker.wait_event("exit", call=1)
    assert event["status"] == 0 and event["truncated"] is True
    if "gate" in script:
        with open(home / "gate", "w"):
            pass
    wait_for(lambda: broker.status()["background"] == 0, "the call to be forgotten")
    assert len(broker.events("exit")) == 1
    os.close(end)
    os.close(fd)


# ---- signals that cross ---------------------------------------------------------------------------

# An executable that takes its time: asked whether it could serve, it says so once $HOME/fit is there;
# told to serve, it becomes $HOME/heir once $HOME/serve is there.
SLOW = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const char *in_home(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("HOME"), name);
    return path;
}
static void wait_between(const char *told, const char *awaited)
{
    FILE *file = fopen(in_home("telling"), "w");
    fprintf(file, "%d", (int)getpid());
    fclose(file);
    char temporary[4096];
    strcpy(temporary, in_home("telling"));
    rename(temporary, in_home(told));
    while (access(in_home(awaited), F_OK) != 0)
        usleep(10000);
}
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "serve") == 0) {
        wait_between("becoming", "serve");
        execv(in_home("heir"), argv);
        return 3;
    }
    wait_between("checking", "fit");
    return 0;
}
"""


@pytest.fixture
def slow(home):
    (home / "slow.c").write_text(SLOW)
    subprocess.run(["gcc", "-o", home / "slow", home / "slow.c"], check=True, timeout=60)
    return home / "slow"


def call_in_flight(broker, home, status):
    """A call that ends with `status` once `home`/over is there."""
    connection = Connection(broker.socket)
    connection.send1(["sh", "-c", f"while [ ! -e {home}/over ]; do sleep 0.01; done; exit {status}"])
    broker.wait_event("start")
    return connection


def test_a_stop_during_the_check_ends_the_reload_and_no_call(broker, slow, home):
    with call_in_flight(broker, home, 5) as connection:
        install(broker, slow)
        broker.signal(signal.SIGHUP)
        wait_for((home / "checking").exists, "the check to begin")
        checker = int((home / "checking").read_text())
        broker.signal(signal.SIGTERM)
        wait_for(lambda: not broker.socket.exists(), "the broker to stop accepting")
        (home / "fit").touch()
        (home / "serve").touch()
        wait_for(lambda: not Path(f"/proc/{checker}").exists(), "the check to be over")
        broker.signal(signal.SIGHUP)  # comes too late for anything
        (home / "over").touch()
        assert connection.reply().status == 5
    assert broker.process.wait(wire.PATIENCE) == 0
    assert [event["note"] for event in broker.events("reload")] == ["the broker is stopping"]
    assert [event["status"] for event in broker.events("exit")] == [5]
    assert len(broker.events("stop")) == 1


def test_a_stop_that_comes_with_a_reload(broker, new, home):
    """Both are pending at once, in either order of sending: the kernel hands SIGHUP out first."""
    with call_in_flight(broker, home, 6) as connection:
        install(broker, new)
        broker.signal(signal.SIGSTOP)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
            broker.signal(number)
        wait_for(lambda: not broker.socket.exists(), "the broker to stop accepting")
        (home / "over").touch()
        assert connection.reply().status == 6
    assert broker.process.wait(wire.PATIENCE) == 0
    assert [event["status"] for event in broker.events("exit")] == [6]
    assert len(broker.events("stop")) == 1


def test_a_stop_before_the_new_broker_reads_signals(broker, slow, new, home):
    shutil.copy(new, home / "heir")
    (home / "fit").touch()
    with call_in_flight(broker, home, 7) as connection:
        install(broker, slow)
        broker.signal(signal.SIGHUP)
        wait_for((home / "becoming").exists, "the exec")
        broker.signal(signal.SIGTERM)
        (home / "serve").touch()
        wait_for(lambda: not broker.socket.exists(), "the new broker to stop accepting")
        (home / "over").touch()
        assert connection.reply().status == 7
    assert broker.process.wait(wire.PATIENCE) == 0
    assert ["note" in event for event in broker.events("reload")] == [False]
    assert [event["status"] for event in broker.events("exit")] == [7]
    assert len(broker.events("stop")) == 1


def test_a_reload_during_the_check_is_not_lost_with_the_exec(broker, slow, new, home):
    """What is checked becomes the broker; what was installed meanwhile, the next."""
    shutil.copy(broker.binary, home / "heir")
    (home / "serve").touch()
    install(broker, slow)
    broker.signal(signal.SIGHUP)
    wait_for((home / "checking").exists, "the check to begin")
    install(broker, new)
    broker.signal(signal.SIGHUP)
    assert broker.status()["active"] == 0  # both have been read: SIGUSR1 is a higher number
    (home / "fit").touch()
    wait_for(lambda: len(broker.events("reload")) == 2, "both")
    assert broker.call("echo", "new").status == 0
