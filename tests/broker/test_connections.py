"""Peers that are silent, slow, half there or far too many: each costs itself, and nobody else."""
import os
import resource
import signal
import socket
import time

import pytest
import wire
from abilities import FOREIGN_UID, can_be_others, needs_others
from conftest import Broker
from wire import BUSY, PROTO, Connection, Output, call2, frame1, wait_for

SH = "sh -c #script\n  allow_any = script\n"


def raise_own_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this process may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def dial(broker):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(broker.socket))
    return sock


def test_a_silent_peer_is_told_after_five_seconds(start_broker):
    broker = start_broker(SH)
    began = time.monotonic()
    with Connection(broker.socket) as silent:
        wait_for(lambda: broker.status()["connections"] == 1, "it to be accepted")
        assert broker.call("sh", "-c", "exit 3").status == 3
        reply = silent.reply()
        assert (reply.version, reply.status) == (1, PROTO)
        assert 4.9 < time.monotonic() - began < 25
        assert silent.reply() is None
    assert broker.rejects() == ["proto: no request within 5 seconds"]
    assert broker.events("reject")[0]["pid"] == os.getpid()


def test_a_greeted_connection_may_stay_silent(start_broker):
    broker = start_broker(SH)
    with Connection(broker.socket) as connection:
        connection.send(wire.frame2(wire.HELLO))
        assert connection.reply().status == 0
        time.sleep(5.5)
        connection.send2(["sh", "-c", "exit 3"])
        assert connection.reply().status == 3


def test_a_peer_that_comes_and_goes_is_no_refusal(start_broker):
    broker = start_broker(SH)
    for _ in range(50):
        dial(broker).close()
    half = dial(broker)
    half.shutdown(socket.SHUT_WR)
    wait_for(lambda: broker.status()["connections"] == 0, "all to be gone")
    assert broker.rejects() == []
    half.close()


def neighbours_p99(broker, count=200):
    times = []
    for _ in range(count):
        began = time.monotonic()
        assert broker.call("sh", "-c", "exit 3").status == 3
        times.append(time.monotonic() - began)
    return sorted(times)[int(count * 0.99) - 1]


def test_silent_peers_delay_nobody(start_broker, record_property):
    raise_own_limit(3000)
    broker = start_broker(SH)
    alone = neighbours_p99(broker)
    silent = [dial(broker) for _ in range(2000)]
    wait_for(lambda: broker.status()["connections"] >= 2000, "them to be accepted")
    crowded = neighbours_p99(broker)
    record_property("p99_alone_ms", round(alone * 1000, 2))
    record_property("p99_crowded_ms", round(crowded * 1000, 2))
    assert crowded < max(0.1, alone * 5)
    for sock in silent:
        sock.close()
    wait_for(lambda: broker.status()["connections"] == 0, "them to be gone")


def test_the_connection_over_the_limit_is_told(start_broker):
    raise_own_limit(5000)
    broker = start_broker(SH)
    # Greeted, so that none of them ends by itself meanwhile.
    held = []
    hello = wire.frame2(wire.HELLO)
    for _ in range(4096):
        sock = dial(broker)
        sock.send(hello)
        assert wire.receive_reply(sock).status == 0
        held.append(sock)
    assert broker.status()["connections"] == 4096
    for version in (1, 2):
        with Connection(broker.socket) as late:
            if version == 1:
                late.send1(["sh", "-c", "exit 3"])
            else:
                late.send2(["sh", "-c", "exit 3"])
            assert late.reply().status == BUSY
    assert broker.rejects() == ["busy", "busy"]
    silent = dial(broker)
    assert wire.receive_reply(silent).status == BUSY  # told even though it never asked
    silent.close()
    # those that are in go on being served
    held[0].sendmsg([call2(["sh", "-c", "exit 5"])], [(
        socket.SOL_SOCKET, socket.SCM_RIGHTS, __import__("array").array("i", [0, 1, 2]))])
    assert wire.receive_reply(held[0]).status == 5
    for sock in held:
        sock.close()
    wait_for(lambda: broker.status()["connections"] == 0, "them to be gone")
    assert broker.call("sh", "-c", "exit 3").status == 3, broker.events()[-3:]


@needs_others
def test_one_uid_cannot_fill_the_table_against_another(start_broker, home):
    from test_statuses import as_uid
    raise_own_limit(5000)
    broker = start_broker(SH)
    os.chmod(home, 0o711)
    os.chmod(broker.socket, 0o666)
    held = []
    hello = wire.frame2(wire.HELLO)
    for _ in range(4096):
        sock = dial(broker)
        sock.send(hello)
        assert wire.receive_reply(sock).status == 0
        held.append(sock)
    code = "print(wire.run1(sys.argv[1], ['sh', '-c', 'exit 3']).status)"
    assert as_uid(1, code, broker.socket) == "3"
    assert broker.rejects() == ["busy"]  # one of the many gave way, and was told
    assert broker.events("reject")[0]["uid"] == os.getuid()
    for sock in held:
        sock.close()


def few_descriptors(home):
    """At most 40, as a user of its own where that can be: descriptors in flight count for all processes
    of a user, and at its limit none of them may send any (unix(7))."""
    uid = FOREIGN_UID + os.getpid()
    if can_be_others():
        os.chown(home, uid, uid)

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        if can_be_others():
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)

    return lower


def test_descriptors_cut_off_at_the_limit_are_not_leaked(compile_rules, home):
    broker = Broker(compile_rules("defaults:\n  logfile = $HOME/log/manifest.jsonl\n\n" + SH), home,
                    preexec=few_descriptors(home))
    assert broker.call("sh", "-c", "exit 3").status == 3, broker.events()[-3:]
    before = broker.descriptors()
    for _ in range(20):
        with Connection(broker.socket) as connection:
            connection.send(frame1(["sh", "-c", "exit 3"]), [connection.null] * 200)
            assert connection.reply().status == BUSY
    wait_for(lambda: broker.descriptors() <= before + 3, "all to be closed")  # but a spare worker
    assert broker.call("sh", "-c", "exit 3").status == 3, broker.events()[-3:]
    broker.kill()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_accepting_without_descriptors_does_not_spin(compile_rules, home):
    broker = Broker(compile_rules("defaults:\n  logfile = $HOME/log/manifest.jsonl\n\n" + SH), home,
                    preexec=few_descriptors(home))
    held = []
    for _ in range(60):
        sock = dial(broker)
        try:
            sock.send(wire.frame2(wire.HELLO))
        except BrokenPipeError:
            pass  # answered BUSY and closed already: the answer is read below
        held.append(sock)
    answers = [wire.receive_reply(sock).status for sock in held]
    assert set(answers) == {0, BUSY}
    before = cpu_seconds(broker.pid)
    time.sleep(1)
    assert cpu_seconds(broker.pid) - before < 0.3
    with Connection(broker.socket) as late:
        try:
            late.send1(["sh", "-c", "exit 3"])
        except BrokenPipeError:
            pass
        assert late.reply().status == BUSY
    for sock in held:
        sock.close()
    wait_for(lambda: broker.status()["connections"] == 0, "them to be gone")
    assert broker.call("sh", "-c", "exit 3").status == 3, broker.events()[-3:]
    assert "busy" in broker.rejects()
    broker.kill()


def test_a_flood_of_frames_on_one_connection_lets_others_in(start_broker):
    broker = start_broker(SH)
    with Connection(broker.socket) as flood:
        child = os.fork()
        if child == 0:
            try:
                while True:
                    flood.send(wire.frame2(wire.SIGNAL, b"\x0f\0\0\0"))
            finally:
                os._exit(0)
        try:
            assert neighbours_p99(broker, 50) < 1
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_caller_that_never_reads_stalls_only_itself(start_broker):
    broker = start_broker(SH + "  timeout = 800ms\n", "max_active = 2\nqueue = 0")
    end, full = os.pipe()
    stuck = Connection(broker.socket)
    stuck.send1(["sh", "-c", "yes"], stdout=full)
    broker.wait_event("start")
    for _ in range(5):
        assert broker.call("sh", "-c", "exit 3").status == 3
    assert stuck.reply().status == wire.TIMEOUT
    os.close(end)
    os.close(full)
    stuck.close()


def test_the_output_of_one_call_is_complete_when_it_is_answered(start_broker):
    broker = start_broker(SH)
    with Output() as output:
        os.set_blocking(output.end, True)
        reply = broker.call("sh", "-c", "head -c 60000 /dev/zero", stdout=output)
        assert reply.status == 0
        assert len(output.read()) == 60000
