"""Both versions of the wire on one socket: what is well-formed, what is refused, and how."""
import os
import signal
import socket
import struct

import pytest
from wire import (CALL, FDS, FLAG_BODY, HELLO, LIST, MAGIC, NO_RULE, PROTO, SIGNAL, Connection,
                  Output, body2, call2, frame1, frame2, receive_reply, sealed_memfd, string,
                  strings, wait_for)

RULES = """
true

sh -c #script
  allow_any = script

sh -c #script #words...{0,255}
  allow_any = script, words
  allow_max = words:65536

sleep #seconds
  seconds = [0-9.]+
"""


@pytest.fixture
def broker(start_broker):
    return start_broker(RULES)


def header1(argc):
    return struct.pack("<III", MAGIC, 1, argc)


MALFORMED_1 = {
    "nothing": b"",
    "part of a header": struct.pack("<I", MAGIC),
    "wrong magic": struct.pack("<III", MAGIC + 1, 1, 0),
    "unknown version": struct.pack("<III", MAGIC, 3, 0),
    "argument missing": header1(1),
    "argument cut off": header1(1) + struct.pack("<I", 5) + b"true",
    "length beyond all": header1(1) + struct.pack("<I", 0xFFFFFFFF) + b"true",
    "trailing bytes": frame1(["true"]) + b"x",
    "too many arguments": header1(257) + string("x") * 257,
    "argument too long": header1(2) + string("sh") + string("x" * 16385),
    "NUL": frame1([b"tr\0ue"]),
    "not UTF-8": frame1([b"tr\xffue"]),
    "surrogate": frame1([b"\xed\xa0\x80"]),
    "overlong": frame1([b"\xc0\xaf"]),
}


@pytest.mark.parametrize("name", MALFORMED_1)
def test_malformed_version_1(broker, name):
    with Connection(broker.socket) as connection:
        connection.send(MALFORMED_1[name], connection.standard())
        reply = connection.reply()
        assert (reply.version, reply.status, reply.text) == (1, PROTO, "")
        assert connection.reply() is None
    assert broker.wait_event("reject")["reason"].startswith("proto: ")
    assert broker.events("start") == []


MALFORMED_2 = {
    "unknown type": frame2(9),
    "type 0": frame2(0),
    "no command": frame2(CALL, struct.pack("<I", 0) + body2([])),
    "unknown flag": call2(["true"], flags=6),
    "environment cut off": frame2(CALL, struct.pack("<I", 0) + strings(["true"])),
    "no cwd": frame2(CALL, struct.pack("<I", 0) + strings(["true"]) + strings([])),
    "trailing bytes": call2(["true"]) + b"x",
    "variable without a name": call2(["true"], ["=x"]),
    "variable without a value": call2(["true"], ["X"]),
    "variable twice": call2(["true"], ["X=1", "X=2"]),
}


@pytest.mark.parametrize("name", MALFORMED_2)
def test_malformed_version_2_keeps_the_connection(broker, name):
    with Connection(broker.socket) as connection:
        connection.send(MALFORMED_2[name], connection.standard())
        reply = connection.reply()
        assert (reply.version, reply.status) == (2, PROTO)
        assert broker.wait_event("reject")["reason"].startswith("proto: ")
        connection.send2(["true"])
        assert connection.reply().status == 0


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6, 20, 253])
def test_a_wrong_number_of_descriptors(broker, count):
    assert broker.call("true").status == 0  # its first worker is there
    before = broker.descriptors()
    with Connection(broker.socket) as connection:
        connection.send(frame1(["true"]), [connection.null] * count)
        assert connection.reply().status == FDS
    assert broker.wait_event("reject")["reason"] == "wrong_fd_count"
    wait_for(lambda: broker.descriptors() <= before, "descriptors to be closed")


@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_a_wrong_number_of_descriptors_in_version_2(broker, count):
    with Connection(broker.socket) as connection:
        connection.send(call2(["true"]), [connection.null] * count)
        assert connection.reply().status == FDS
        connection.send2(["true"])
        assert connection.reply().status == 0


def test_the_largest_requests(broker):
    words = ["x" * 16384] * 11  # about what a socket's send buffer takes
    with Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", "exit $#", *words])
        assert connection.reply().status == 10
    words = [""] * 253
    with Connection(broker.socket) as connection:
        connection.send1(["sh", "-c", "exit $#", *words])
        assert connection.reply().status == 252


def test_a_body_in_a_memfd(broker):
    words = ["y" * 65536] * 14
    body = body2(["sh", "-c", 'exit ${#1}', "name", "y" * 200, *words])
    assert len(body) > 900000
    memfd = sealed_memfd(body)
    with Connection(broker.socket) as connection:
        connection.send(frame2(CALL, struct.pack("<I", FLAG_BODY)),
                        [*connection.standard(), memfd])
        assert connection.reply().status == 200
    os.close(memfd)


def test_a_body_that_could_change_is_refused(broker):
    memfd = os.memfd_create("body", os.MFD_ALLOW_SEALING)
    os.write(memfd, body2(["true"]))
    with Connection(broker.socket) as connection:
        connection.send(frame2(CALL, struct.pack("<I", FLAG_BODY)),
                        [*connection.standard(), memfd])
        assert connection.reply().status == PROTO
    os.close(memfd)
    assert "seal" in broker.wait_event("reject")["reason"]


def test_hello_and_list(broker):
    with Connection(broker.socket) as connection:
        connection.send(frame2(HELLO))
        reply = connection.reply()
        assert (reply.version, reply.status, reply.text) == (2, 0, "")
        connection.send(frame2(LIST))
        reply = connection.reply()
        assert reply.status == 0 and "sleep #seconds\n" in reply.text
        connection.send(frame2(HELLO, b"x"))
        assert connection.reply().status == PROTO


def test_a_list_that_does_not_fit(start_broker):
    rules = "".join(f"echo {'w' * 200}{n}\n\n" for n in range(400))
    broker = start_broker(rules)
    with Connection(broker.socket) as connection:
        connection.send(frame2(LIST))
        assert connection.reply().status == -9
    with Connection(broker.socket) as connection:
        connection.send(header1(0))
        reply = connection.reply()
        assert (reply.version, reply.status) == (1, -9)


def test_a_second_call_needs_a_reply_of_its_own(broker):
    with Connection(broker.socket) as connection:
        connection.send2(["sleep", "0.3"])
        connection.send2(["true"])
        assert connection.reply().status == PROTO
        assert connection.reply().status == 0  # the first
    assert broker.rejects() == ["proto: a call is running on this connection"]


def test_the_version_cannot_change(broker):
    with Connection(broker.socket) as connection:
        connection.send(frame2(HELLO))
        assert connection.reply().status == 0
        connection.send1(["true"])
        reply = connection.reply()
        assert (reply.version, reply.status) == (2, PROTO)


def seqpacket_pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_calls_with_replies_of_their_own_share_a_connection(broker):
    with Connection(broker.socket) as connection:
        ends = []
        for code in range(30):
            mine, theirs = seqpacket_pair()
            connection.send2(["sh", "-c", f"sleep 0.{30 - code:02}; exit {code}"], reply=theirs)
            theirs.close()
            ends.append(mine)
        for code, mine in enumerate(ends):
            reply = receive_reply(mine)
            assert (reply.version, reply.status) == (2, code)
            assert receive_reply(mine) is None
            mine.close()
        # the connection itself is still good, and has no answers on it
        connection.send(frame2(HELLO))
        assert connection.reply().status == 0
    wait_for(lambda: broker.status()["connections"] == 0, "connections to be closed")


def test_a_reply_that_is_a_pipe(broker):
    with Connection(broker.socket) as connection:
        end, fd = os.pipe()
        connection.send2(["sh", "-c", "exit 9"], reply=fd)
        os.close(fd)
        message = os.read(end, 100)
        assert struct.unpack("<IIiI", message) == (MAGIC, 2, 9, 0)
        assert os.read(end, 1) == b""
        os.close(end)
        end, fd = os.pipe()
        connection.send(frame2(LIST), [fd])
        os.close(fd)
        message = os.read(end, 70000)
        assert struct.unpack_from("<IIi", message) == (MAGIC, 2, 0)
        assert message[16:].startswith(b"true\n") and b"sleep #seconds\n" in message
        os.close(end)


def test_a_reply_that_is_a_stream(broker):
    with Connection(broker.socket) as connection:
        mine, theirs = socket.socketpair()
        connection.send2(["sh", "-c", "exit 9"], reply=theirs)
        theirs.close()
        assert struct.unpack("<IIiI", mine.recv(100)) == (MAGIC, 2, 9, 0)
        assert mine.recv(1) == b""
        mine.close()


def test_a_full_reply_pipe_delays_nobody(broker):
    with Connection(broker.socket) as connection:
        end, fd = os.pipe()
        os.set_blocking(fd, False)
        while True:
            try:
                os.write(fd, b"x" * 65536)
            except BlockingIOError:
                break
        os.set_blocking(fd, True)
        connection.send2(["true"], reply=fd)
        os.close(fd)
        broker.wait_event("exit")
        connection.send2(["true"])
        assert connection.reply().status == 0
        os.close(end)


@pytest.mark.parametrize("kind", ["file", "datagrams", "reading end", "tcp"])
def test_a_reply_of_another_kind_is_refused(broker, kind, home):
    with Connection(broker.socket) as connection:
        if kind == "file":
            thing = open(home / "file", "w")
        elif kind == "datagrams":
            thing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]
        elif kind == "tcp":
            thing = socket.socket()
        else:
            thing = os.fdopen(os.pipe()[0])
        connection.send2(["true"], reply=thing)
        assert connection.reply().status == PROTO
        thing.close()
    assert broker.events("start") == []


def test_a_listing_and_a_refusal_go_to_the_reply(broker):
    with Connection(broker.socket) as connection:
        mine, theirs = seqpacket_pair()
        connection.send(frame2(LIST), [theirs.fileno()])
        theirs.close()
        assert "sleep #seconds" in receive_reply(mine).text
        mine, theirs = seqpacket_pair()
        connection.send2(["nope"], reply=theirs)
        theirs.close()
        assert receive_reply(mine).status == NO_RULE


SIGNALLED = ["sh", "-c", "trap 'exit 41' INT; trap 'exit 42' TERM; trap 'exit 43' USR1; "
             "echo ready; while :; do sleep 0.05; done"]


def running(connection, argv, send):
    """Starts a call that says "ready" when it is."""
    output = Output()
    send(connection, argv, output)
    output.close_writer()
    assert os.read(output.end, 6) == b"ready\n"
    return output


def test_signals_reach_the_process_group(broker):
    for number, code in ((signal.SIGINT, 41), (signal.SIGTERM, 42)):
        with Connection(broker.socket) as connection:
            running(connection, SIGNALLED, lambda c, a, o: c.send2(a, stdout=o)).close()
            connection.signal(number)
            assert connection.reply().status == code


def test_a_signal_on_a_calls_own_reply(broker):
    with Connection(broker.socket) as connection:
        mine, theirs = seqpacket_pair()
        running(connection, SIGNALLED, lambda c, a, o: c.send2(a, stdout=o, reply=theirs)).close()
        theirs.close()
        mine.send(frame2(SIGNAL, struct.pack("<i", signal.SIGTERM)))
        assert receive_reply(mine).status == 42


def test_signals_that_the_rule_does_not_forward(start_broker):
    broker = start_broker("sh -c #script\n  allow_any = script\n  forward = term\n")
    with Connection(broker.socket) as connection:
        running(connection, SIGNALLED, lambda c, a, o: c.send2(a, stdout=o)).close()
        for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGKILL, signal.SIGSTOP, 64):
            connection.signal(number)
        connection.signal(signal.SIGTERM)
        assert connection.reply().status == 42


@pytest.mark.parametrize("number", [0, -1, 65, 1 << 30])
def test_a_signal_that_is_none(broker, number):
    with Connection(broker.socket) as connection:
        connection.signal(number)
        assert connection.reply().status == PROTO


def test_a_signal_to_nobody_is_nothing(broker):
    with Connection(broker.socket) as connection:
        connection.signal(signal.SIGTERM)
        connection.send(frame2(HELLO))
        assert connection.reply().status == 0


def test_garbage_on_a_reply_does_not_spoil_the_answer(broker):
    with Connection(broker.socket) as connection:
        mine, theirs = seqpacket_pair()
        connection.send2(["sleep", "0.3"], reply=theirs)
        theirs.close()
        mine.send(b"garbage")
        mine.send(frame2(HELLO))
        reply = receive_reply(mine)
        assert reply.status == 0
        assert receive_reply(mine) is None
    assert len(broker.rejects()) == 2


def test_answers_that_nobody_reads_do_not_pile_up(broker):
    with Connection(broker.socket) as connection:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100000):
                connection.send(frame2(HELLO))
    assert broker.call("true").status == 0


def test_a_refusal_says_why(broker):
    with Connection(broker.socket) as connection:
        connection.send2(["sleep", "long"])
        reply = connection.reply()
        assert reply.status == NO_RULE
        assert "agent.rules:" in reply.text and "#seconds accepts [0-9.]+" in reply.text
        connection.send2(["rm", "-rf"])
        assert "no rule is for the program `rm`" in connection.reply().text


def test_explanations_can_be_off(start_broker):
    broker = start_broker(RULES, "explain = off")
    with Connection(broker.socket) as connection:
        connection.send2(["sleep", "long"])
        reply = connection.reply()
        assert (reply.status, reply.text) == (NO_RULE, "")
