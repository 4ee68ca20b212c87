"""The caller's side of the wire, both versions, written from the specification and not from the
project's C code, so that the two check each other."""
import array
import fcntl
import os
import select
import socket
import struct
import time

MAGIC = 0x534C4358

NO_RULE, PROTO, FDS, SPAWN, AUDIT, TIMEOUT = -1, -2, -3, -4, -6, -7
PEER, TOO_LARGE, BUSY, CONFINE, OUTPUT = -8, -9, -10, -11, -12

CALL, SIGNAL, LIST, HELLO = 1, 2, 3, 4
FLAG_BODY = 1

# seconds before a test gives up on something that should come at once
PATIENCE = int(os.environ.get("SLUICE_PATIENCE", 30))


def wait_for(condition, what="a condition", patience=PATIENCE):
    """Waits until condition() is true, and returns its value."""
    end = time.monotonic() + patience
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {patience} s for {what}"
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def is_readable(file, patience):
    poll = select.poll()  # select() knows no descriptor beyond 1023
    poll.register(file, select.POLLIN)
    return bool(poll.poll(patience * 1000))


def is_alive(pid):
    """Whether there is such a process, and it has not ended (a zombie has)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def as_bytes(text):
    return text if isinstance(text, bytes) else os.fsencode(text)


def string(text):
    data = as_bytes(text)
    return struct.pack("<I", len(data)) + data


def strings(items):
    return struct.pack("<I", len(items)) + b"".join(string(item) for item in items)


def frame1(argv):
    return struct.pack("<II", MAGIC, 1) + strings(argv)


def body2(argv, env=(), cwd=b""):
    return strings(argv) + strings(list(env)) + string(cwd)


def frame2(kind, rest=b""):
    return struct.pack("<III", MAGIC, 2, kind) + rest


def call2(argv, env=(), cwd=b"", flags=0):
    return frame2(CALL, struct.pack("<I", flags) + body2(argv, env, cwd))


def sealed_memfd(data):
    fd = os.memfd_create("body", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, data)
    fcntl.fcntl(fd, 1033, 0xF)  # F_ADD_SEALS, all four
    return fd


class Reply:
    def __init__(self, message):
        magic, self.version, self.status = struct.unpack_from("<IIi", message)
        assert magic == MAGIC
        if self.version == 1:
            self.text = message[12:].decode()
        else:
            (length,) = struct.unpack_from("<I", message, 12)
            assert len(message) == 16 + length, "a reply's length and its text differ"
            self.text = message[16:].decode()


def send_message(sock, data, fds=()):
    ancillary = []
    if fds:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    sock.sendmsg([data], ancillary)


def receive_reply(sock, patience=PATIENCE):
    """The next reply; None when the broker has closed the connection without one."""
    assert is_readable(sock, patience), f"no reply within {patience} s"
    try:
        message = sock.recv(1 << 17)
    except ConnectionResetError:
        # The broker closed with something of ours unread: that is told once, and what it sent before
        # is still there (unix(7) sockets keep what was queued).
        try:
            message = sock.recv(1 << 17)
        except ConnectionResetError:
            return None
    return Reply(message) if message else None


class Output:
    """A pipe for a call's output: .fd goes to the broker, .read() gives all of it."""

    def __init__(self):
        self.end, self.fd = os.pipe()

    def close_writer(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def read(self):
        """Everything up to the end of the file. The last writer must have gone or be going."""
        self.close_writer()
        parts = []
        while True:
            assert is_readable(self.end, PATIENCE), "output did not end"
            part = os.read(self.end, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def close(self):
        self.close_writer()
        if self.end is not None:
            os.close(self.end)
            self.end = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Connection:
    """A connection to a broker. Calls take /dev/null for whatever descriptor is not given."""

    def __init__(self, path=None, sock=None):
        if sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.connect(str(path))
        self.sock = sock
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    def close(self):
        if self.sock is not None:
            self.sock.close()
            os.close(self.null)
            self.sock = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def standard(self, stdin=None, stdout=None, stderr=None):
        return [self.null if fd is None else getattr(fd, "fd", fd)
                for fd in (stdin, stdout, stderr)]

    def send(self, data, fds=()):
        send_message(self.sock, data, fds)

    def send1(self, argv, **streams):
        self.send(frame1(argv), self.standard(**streams))

    def send2(self, argv, env=(), cwd=b"", reply=None, **streams):
        fds = self.standard(**streams)
        if reply is not None:
            fds.append(reply if isinstance(reply, int) else reply.fileno())
        self.send(call2(argv, env, cwd), fds)

    def signal(self, number):
        self.send(frame2(SIGNAL, struct.pack("<i", number)))

    def reply(self, patience=PATIENCE):
        return receive_reply(self.sock, patience)


def run1(path, argv, **streams):
    """One version 1 call; its reply."""
    with Connection(path) as connection:
        connection.send1(argv, **streams)
        return connection.reply()


def run2(path, argv, env=(), cwd=b"", **streams):
    """One version 2 call on a connection of its own; its reply."""
    with Connection(path) as connection:
        connection.send2(argv, env, cwd, **streams)
        return connection.reply()


def capture(path, argv, run=run1, **more):
    """One call; its reply and what it wrote to standard output."""
    with Output() as output:
        reply = run(path, argv, stdout=output, **more)
        return reply, output.read()
