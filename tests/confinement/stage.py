"""A network of its own for a broker: a name server that speaks TCP alone, git over HTTP on port 443, and on
port 80 as much of GitHub's interface as shows one pull request (gh speaks HTTP to "github.localhost").

  unshare --mount --net python3 stage.py FOLDER UID COMMAND...

FOLDER/srv holds the repositories that git.test serves. Becomes COMMAND as UID; what serves ends with it."""
import ctypes
import fcntl
import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1
NAMES = (b"\3git\4test\0", b"\3api\6github\x09localhost\0")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def loopback_up():
    with socket.socket() as handle:
        flags = fcntl.ioctl(handle, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        (now,) = struct.unpack("16xh14x", flags)
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", now | IFF_UP))


def resolver_make(folder):
    own = os.path.join(folder, "resolv.conf")
    with open(own, "w", encoding="ascii") as file:
        file.write("nameserver 127.0.0.1\n")
    os.chmod(own, 0o644)
    subprocess.run(["mount", "--bind", own, os.path.realpath("/etc/resolv.conf")], check=True)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


def names_answer(connection):
    """RFC 1035, 4.2.2: each message after its length. What NAMES has is here; nothing else is."""
    while (length := exactly(connection, 2)) and (query := exactly(connection,
                                                                   *struct.unpack(">H", length))):
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        known = question[:-4].lower() in NAMES
        address = known and question[-4:-2] == b"\0\1"
        header = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, address, 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1" if address else b""
        message = header + question + answer
        connection.sendall(struct.pack(">H", len(message)) + message)
    connection.close()


def names_serve(server):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=names_answer, args=[connection], daemon=True).start()


class Git(http.server.BaseHTTPRequestHandler):
    """git-http-backend(1) as a CGI program."""
    folder = ""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "GIT_HTTP_EXPORT_ALL": "1",
                       "GIT_PROJECT_ROOT": os.path.join(self.folder, "srv"), "PATH_INFO": path,
                       "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                       "CONTENT_LENGTH": str(length), "REMOTE_USER": "agent",
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        body = self.rfile.read(length)
        done = subprocess.run(["git", "http-backend"], input=body, env=environment,
                              stdout=subprocess.PIPE, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_):
        pass


PULL_REQUEST = {
    "number": 7, "title": "A title", "state": "OPEN", "body": "", "author": {"login": "someone"},
    "url": "https://github.localhost/o/r/pull/7", "reviews": {"nodes": []},
    "comments": {"nodes": [{"author": {"login": "someone"}, "authorAssociation": "NONE",
                            "body": "looks right", "createdAt": "2024-01-01T00:00:00Z"}]}}


class Api(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        may = self.headers.get("Authorization") == "token of-the-test" and b"pullRequest" in query
        content = json.dumps({"data": {"repository": {"pullRequest": PULL_REQUEST}}}).encode()
        self.send_response(200 if may else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def main(folder, uid, *command):
    parent = os.getpid()
    loopback_up()
    resolver_make(folder)
    names = socket.create_server(("127.0.0.1", 53))
    Git.folder = folder
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Git)
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 80), Api)
    if os.fork() == 0:
        become(int(uid))
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        for descriptor in range(3, 256):  # the broker's; others' ends must be seen
            if descriptor not in (names.fileno(), web.fileno(), api.fileno()):
                try:
                    os.close(descriptor)
                except OSError:
                    pass
        threading.Thread(target=names_serve, args=[names], daemon=True).start()
        threading.Thread(target=api.serve_forever, daemon=True).start()
        web.serve_forever()
    names.close()
    web.server_close()
    api.server_close()
    become(int(uid))
    os.execv(command[0], command)


main(*sys.argv[1:])
