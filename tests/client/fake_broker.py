"""A broker for the client's tests: both versions of the wire, written from docs/wire.md and not from
the project's C code, so that the two check each other. It runs anything that it is asked to run."""
import os
import signal
import socket
import struct
import subprocess
import threading

MAGIC = 0x534C4358
PROTO = -2
SEALS = 0xF  # F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
F_GET_SEALS = 1034


class Malformed(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def word(self):
        return struct.unpack("<I", self.take(4))[0]

    def take(self, length):
        if self.at + length > len(self.data):
            raise Malformed("cut off")
        self.at += length
        return self.data[self.at - length:self.at]

    def string(self):
        data = self.take(self.word())
        data.decode("utf-8")
        if b"\0" in data:
            raise Malformed("NUL")
        return data

    def strings(self):
        return [self.string() for _ in range(self.word())]

    def end(self):
        if self.at != len(self.data):
            raise Malformed("trailing bytes")


class Frame:
    """One message, decoded: .version, .kind ("call", "list", "signal", "hello"), and what goes with it.
    .message is the message's own bytes, .in_memfd whether the body came in one."""

    def __init__(self, message, fds):
        self.message, self.fds, self.reply, self.in_memfd = message, list(fds), None, False
        self.env, self.cwd = [], b""
        reader = Reader(message)
        if reader.word() != MAGIC:
            raise Malformed("magic")
        self.version = reader.word()
        if self.version == 1:
            self.argv = reader.strings()
            self.kind = "call" if self.argv else "list"
            assert len(self.argv) <= 256 and all(len(a) <= 16384 for a in self.argv)
            assert len(self.fds) == 3 or not self.argv
        elif self.version == 2:
            self.kind = {1: "call", 2: "signal", 3: "list", 4: "hello"}[reader.word()]
            getattr(self, "read_" + self.kind)(reader)
        else:
            raise Malformed("version")
        reader.end()

    def read_call(self, reader):
        flags = reader.word()
        assert flags in (0, 1)
        if flags:
            self.in_memfd = True
            reader.end()
            body = self.fds.pop()
            import fcntl
            assert fcntl.fcntl(body, F_GET_SEALS) & SEALS == SEALS
            size = os.fstat(body).st_size
            assert size <= 1 << 20
            data = Reader(os.pread(body, size, 0))
            os.close(body)
        else:
            data = reader
        if len(self.fds) == 4:
            self.reply = self.fds.pop()
        assert len(self.fds) == 3
        self.argv, self.env, self.cwd = data.strings(), data.strings(), data.string()
        assert 1 <= len(self.argv) <= 256
        data.end()

    def read_signal(self, reader):
        self.signal = struct.unpack("<i", reader.take(4))[0]

    def read_list(self, _):
        if self.fds:
            self.reply = self.fds.pop()

    def read_hello(self, _):
        assert not self.fds


def reply_bytes(version, status, text=b""):
    if version == 1:
        return struct.pack("<IIi", MAGIC, 1, status) + text
    return struct.pack("<IIiI", MAGIC, 2, status, len(text)) + text


class Channel:
    """Where one call's signals come from and its answer goes to: the connection, or its own reply."""

    def __init__(self, sock=None, pipe=None):
        self.sock, self.pipe = sock, pipe
        self.starting = False  # a command is about to run: signals wait for it

    def send(self, data):
        if self.sock:
            self.sock.send(data)
        else:
            for at in range(0, len(data), 7):  # in parts, as a pipe may deliver it
                os.write(self.pipe, data[at:at + 7])


class FakeBroker:
    """Serves at `path`. `answer(frame)` returns (status, text), or bytes to be sent as they are, or None
    to close without an answer; without it the command is run. What came is in .frames, .signals."""

    def __init__(self, path, versions=(1, 2), menu=b"", answer=None):
        self.path, self.versions, self.menu, self.answer = str(path), versions, menu, answer
        self.frames, self.signals, self.children, self.gone = [], [], [], []
        self.connections = 0
        self.failures = []
        self.changed = threading.Condition()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        where = os.open(os.path.dirname(self.path), os.O_PATH)
        self.listener.bind(f"/proc/self/fd/{where}/{os.path.basename(self.path)}")
        os.close(where)
        self.listener.listen(128)
        self.threads = []
        self.start(self.accept)

    def start(self, target, *arguments):
        def run():
            try:
                target(*arguments)
            except Exception as error:  # seen by the fixture
                self.failures.append(error)
        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def note(self, where, what):
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def wait(self, condition, timeout=30):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), timeout), "waited in vain"

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.start(self.serve, connection)

    def serve(self, connection):
        """All frames of one connection. Calls run in threads, so that signals are read meanwhile."""
        channel = Channel(sock=connection)
        alone = True
        while True:
            try:
                message, control, flags, _ = connection.recvmsg(1 << 21, 2048, 0x40000000)
            except OSError:
                break
            if not message:
                break
            fds = []
            for _, _, data in control:
                fds += struct.unpack(f"{len(data) // 4}i", data)
            assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            frame = Frame(message, fds)
            self.note(self.frames, frame)
            if frame.version not in self.versions:
                connection.send(reply_bytes(1, PROTO))
                for fd in fds:
                    if fd in frame.fds or fd == frame.reply:
                        os.close(fd)
                break
            if frame.kind == "signal":
                self.take_signal(channel, frame.signal)
                continue
            target = channel
            if frame.reply is not None:
                target, alone = self.reply_channel(frame.reply), False
            target.starting = frame.kind == "call" and not self.answer
            if frame.reply is not None and target.sock:
                self.start(self.serve_reply, target)
            if frame.version == 1 or frame.kind == "hello":
                self.handle(frame, target)
                if frame.version == 1:
                    break
            else:
                self.start(self.handle, frame, target)
        if alone:
            self.note(self.gone, channel)
        # Not before a call's answer went out: shutdown would be seen first.
        connection.close()

    def reply_channel(self, fd):
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            return Channel(pipe=fd)
        return Channel(sock=sock)

    def serve_reply(self, channel):
        while True:
            try:
                message = channel.sock.recv(100)
            except OSError:
                return
            if not message:
                self.note(self.gone, channel)
                return
            self.take_signal(channel, Frame(message, []).signal)

    def take_signal(self, channel, number):
        with self.changed:
            assert self.changed.wait_for(lambda: not channel.starting, 30)
            for running, child in self.children:
                if running is channel and child.poll() is None:
                    try:
                        os.killpg(child.pid, number)
                    except ProcessLookupError:
                        pass  # it has ended, and its waiter has not said so yet
        self.note(self.signals, signal.Signals(number))

    def handle(self, frame, channel):
        if frame.kind == "hello":
            answer = (0, b"")
        elif frame.kind == "list" and not self.answer:
            answer = (0, self.menu)
        else:
            answer = (self.answer or (lambda f: self.run(f, channel)))(frame)
        for fd in frame.fds:
            os.close(fd)
        try:
            if answer is None:
                channel.sock.shutdown(socket.SHUT_RDWR)
            else:
                channel.send(answer if isinstance(answer, bytes)
                             else reply_bytes(frame.version, *answer))
        except OSError:
            pass  # the caller is gone
        if frame.reply is not None:
            if channel.sock:
                try:
                    channel.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the caller is gone
            else:
                os.close(channel.pipe)

    def run(self, frame, channel=None):
        environment = dict(v.split(b"=", 1) for v in frame.env)
        child = subprocess.Popen(
            frame.argv, stdin=frame.fds[0], stdout=frame.fds[1], stderr=frame.fds[2],
            start_new_session=True, cwd=frame.cwd or None,
            env={b"PATH": os.environb[b"PATH"], **environment})
        if channel:
            channel.starting = False
        self.note(self.children, (channel, child))
        code = child.wait()
        return (code if code >= 0 else 128 - code, b"")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.changed:
            for _, child in self.children:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        assert not self.failures, self.failures
