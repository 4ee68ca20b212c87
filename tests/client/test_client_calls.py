"""Calls: what goes to the broker, what comes back, and what a person is told."""
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from client_helpers import clean_environment, wire_statuses
from fake_broker import reply_bytes


def lines(result):
    return result.stderr.decode().splitlines()


# ---- exit codes and descriptors ---------------------------------------------------------------

@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["version 2", "version 1 only"])
@pytest.mark.parametrize("code", [0, 1, 2, 7, 124, 125, 126, 127, 128, 129, 255])
def test_exits_as_the_command_does(make_broker, run, versions, code):
    result = run(make_broker(versions=versions), "sh", "-c", f"exit {code}")
    assert (result.returncode, result.stdout, result.stderr) == (code, b"", b"")


@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["version 2", "version 1 only"])
def test_a_signal_that_ends_the_command_is_128_more(make_broker, run, versions):
    broker = make_broker(versions=versions)
    assert run(broker, "sh", "-c", "kill -USR1 $$").returncode == 128 + 10
    assert run(broker, "sh", "-c", "kill -KILL $$").returncode == 128 + 9


@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["version 2", "version 1 only"])
def test_the_command_has_the_callers_own_descriptors(make_broker, run, tmp_path, versions):
    files = [tmp_path / name for name in ("in", "out", "err")]
    files[0].write_bytes(b"input")
    with open(files[0], "rb") as given, open(files[1], "wb") as out, open(files[2], "wb") as err:
        script = "readlink /proc/self/fd/0 /proc/self/fd/1; cat; echo error >&2"
        result = run(make_broker(versions=versions), "sh", "-c", script,
                     stdin=given, stdout=out, stderr=err)
    assert result.returncode == 0
    assert files[1].read_text() == f"{files[0]}\n{files[1]}\ninput"
    assert files[2].read_text() == "error\n"


def test_sends_the_words_as_they_are(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    words = ["git", "", " a  b ", "--list", "-s", "x", "--", "--help", "ä€😀", "a\nb", "#$'\"\\",
             "x" * 16384]
    assert run(broker, *words).returncode == 0
    assert broker.frames[0].argv == [w.encode() for w in words]
    assert broker.frames[0].version == 2
    assert (broker.frames[0].env, broker.frames[0].cwd) == ([], b"")
    assert broker.connections == 1


def test_256_words_and_no_more(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    assert run(broker, *["x"] * 256).returncode == 0
    result = run(broker, *["x"] * 257)
    assert result.returncode == 130
    assert lines(result) == ["sluicify: cannot send more than 256 arguments"]
    assert len(broker.frames) == 1


def test_what_the_wire_cannot_carry_is_not_sent(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    result = run(broker, "echo", b"\xff")
    assert result.returncode == 130
    assert lines(result) == ["sluicify: cannot send an argument that is not UTF-8"]
    assert not broker.frames


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["version 2", "version 1 only"])
def test_closed_descriptors_become_dev_null(make_broker, run, closed, versions):
    seen = []

    def answer(frame):
        for fd in frame.fds:
            seen.append(os.readlink(f"/proc/self/fd/{fd}"))
        return 0, b""

    def close():
        for fd in closed:
            os.close(fd)

    with open("/dev/zero", "r+b", buffering=0) as other:
        result = run(make_broker(versions=versions, answer=answer), "x", stdin=other, stdout=other,
                     stderr=other, preexec_fn=close)
    assert result.returncode == 0
    assert seen == ["/dev/null" if fd in closed else "/dev/zero" for fd in range(3)]


# ---- refusals ---------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", wire_statuses())
def test_each_status_has_its_exit_code_and_line(make_broker, run, name, version):
    status, code, text = wire_statuses()[name]

    def answer(frame):
        return status, b"agent.rules:12 is nearest" if version == 2 else b""

    broker = make_broker(versions=(version,), answer=answer)
    result = run(broker, "git", "push", "--force")
    assert result.returncode == code
    told = [f"sluicify: {text}: git push --force"]
    if name == "PROTO" and version == 1:
        assert len(broker.frames) == 2
    if version == 2:
        told.append("  agent.rules:12 is nearest")
        assert len(broker.frames) == 1  # a version 2 PROTO is an answer, not a reason to try version 1
    assert lines(result) == told
    assert result.stdout == b""


def test_the_line_of_the_manual(make_broker, run):
    result = run(make_broker(answer=lambda frame: (-1, b"")), "git", "push", "--force")
    assert result.stderr == b"sluicify: no rule for: git push --force\n"


@pytest.mark.parametrize("words, shown", [
    (["git", "a b"], "git 'a b'"),
    (["git", ""], "git ''"),
    (["git", "it's"], "git 'it'\\''s'"),
    (["git", "a;b", "$x", "`", "*", "~"], "git 'a;b' '$x' '`' '*' '~'"),
    (["git", "ä€😀"], "git ä€😀"),
    (["git", "a\nb\t\r\x1b[31m\x7f"], "git $'a\\nb\\t\\r\\x1b[31m\\x7f'"),
    (["git", "\u0085\u202e\u2066\u200b\U000e0041"],
     "git $'\\u0085\\u202e\\u2066\\u200b\\U000e0041'"),
    (["git", "it's\n\\"], "git $'it\\'s\\n\\\\'"),
    (["git", "--format=%H", "a/b.c", "x@y:z,1+2"], "git --format=%H a/b.c x@y:z,1+2"),
    (["git", "x" * 200], "git " + "x" * 200),
    (["git", "x" * 201], "git " + "x" * 200 + "..."),
    (["git", "x" * 199 + "ä"], "git " + "x" * 199 + "..."),
    (["git"] + ["y" * 100] * 12, "git " + ("y" * 100 + " ") * 10 + "..."),
], ids=range(13))
def test_a_command_is_shown_as_one_would_type_it(make_broker, run, words, shown):
    result = run(make_broker(answer=lambda frame: (-1, b"")), *words)
    assert result.stderr.decode() == f"sluicify: no rule for: {shown}\n"


def test_bash_reads_the_shown_command_back(make_broker, run):
    words = ["git", "a\nb", "it's", "", "ä \x1b", "\\", "$x", "\u202e", "it's\n"]
    result = run(make_broker(answer=lambda frame: (-1, b"")), *words)
    shown = result.stderr.decode().removeprefix("sluicify: no rule for: ").removesuffix("\n")
    back = subprocess.run(["bash", "-c", f"printf '%s\\0' {shown}"], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert back.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize("text, shown", [
    (b"one line", "  one line\n"),
    (b"two\nlines\n", "  two\n  lines\n"),
    (b"a\n\nb", "  a\n\n  b\n"),
    (b"\x1b[2J\x07\x9b\xff ok\r\n", "  \\x1b[2J\\x07\\x9b\\xff ok\\r\n"),
    ("tab\there \u202eevil é".encode(), "  tab\there \\u202eevil é\n"),
    (b"", ""),
    (b"x" * 65520, "  " + "x" * 65520 + "\n"),
    (b"\x1b" * 65520, "  " + "\\x1b" * 65520 + "\n"),
], ids=range(8))
def test_an_explanation_cannot_play_with_the_terminal(make_broker, run, text, shown):
    result = run(make_broker(answer=lambda frame: (-1, text)), "x")
    assert (result.stderr.decode() == "sluicify: no rule for: x\n" + shown) is True, result.stderr[:99]


# ---- no broker, half a broker -----------------------------------------------------------------

def test_says_that_there_is_no_broker(run, tmp_path):
    path = tmp_path / "none.sock"
    result = run(None, "-s", str(path), "true")
    assert result.returncode == 125
    assert lines(result) == [f"sluicify: no broker at {path} (is it running?): No such file or directory"]


def test_says_that_the_broker_is_gone(run, tmp_path):
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(path))
    result = run(None, "-s", str(path), "true")
    assert result.returncode == 125
    assert lines(result) == [
        f"sluicify: no broker at {path} (nothing listens there): Connection refused"]


def test_says_that_something_else_is_there(run, tmp_path):
    path = tmp_path / "stream.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        result = run(None, "-s", str(path), "true")
    assert result.returncode == 125
    assert lines(result) == [f"sluicify: no broker at {path} (that is no broker's socket): "
                             "Protocol wrong type for socket"]
    file = tmp_path / "file"
    file.touch()
    assert run(None, "-s", str(file), "true").returncode == 125


def test_a_path_in_a_message_is_escaped(run):
    result = run(None, "-s", "/no\x1bwhere", "true")
    assert lines(result) == ["sluicify: no broker at /no\\x1bwhere (is it running?): "
                             "No such file or directory"]


def test_says_that_the_broker_went_away(make_broker, run):
    broker = make_broker(answer=lambda frame: None)
    result = run(broker, "git", "x")
    assert result.returncode == 125
    assert lines(result) == ["sluicify: the broker went away before it answered: git"]
    assert broker.connections == 1  # it may have run: never twice


@pytest.mark.parametrize("data, problem", [
    (b"x", "the reply is too short"),
    (b"XCLS\x02\0\0\0\0\0\0\0\0\0\0", "the reply is too short"),
    (b"YCLS\x02\0\0\0\0\0\0\0\0\0\0\0", "the reply has the wrong magic number"),
    (b"XCLS\x03\0\0\0\0\0\0\0\0\0\0\0", "the reply has an unknown version"),
    (b"XCLS\x02\0\0\0\0\0\0\0\1\0\0\0", "the reply has the wrong length"),
    (b"XCLS\x02\0\0\0\0\0\0\0\0\0\0\0x", "the reply has the wrong length"),
    (b"XCLS\x02\0\0\0\xfb\xff\xff\xff\0\0\0\0", "the reply has an unknown status"),
    (b"XCLS\x02\0\0\0\0\1\0\0\0\0\0\0", "the reply has an unknown status"),
    (b"XCLS\x02\0\0\0\0\0\0\0\xf1\xff\0\0" + b"x" * 65521, "the reply is too long"),
], ids=range(9))
def test_does_not_believe_a_broken_reply(make_broker, run, data, problem):
    result = run(make_broker(answer=lambda frame: data), "x")
    assert result.returncode == 125
    assert lines(result) == [f"sluicify: cannot understand the broker: {problem}"]


def test_descriptors_in_a_reply_are_not_taken(make_broker, run, tmp_path):
    path = tmp_path / "odd.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()
    process = subprocess.Popen([sys.executable, "-c", f"""
import socket, struct
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno={listener.fileno()})
c, _ = s.accept()
c.recv(1000)
socket.send_fds(c, [struct.pack("<IIiI", 0x534C4358, 2, 0, 0)], [0])
c.recv(1)
"""], pass_fds=[listener.fileno()])
    listener.close()
    result = run(None, "-s", str(path), "x")
    assert process.wait(30) == 0
    assert result.returncode == 125
    assert lines(result) == ["sluicify: cannot understand the broker: the reply came with descriptors"]


def test_hears_a_refusal_that_came_before_the_request(run, tmp_path):
    """A broker that is full may answer and close at once: the request then meets a closed socket."""
    path = tmp_path / "full.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()

    def serve():
        for _ in range(20):
            connection, _ = listener.accept()
            connection.send(reply_bytes(1, -10))
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    for _ in range(20):
        result = run(None, "-s", str(path), "true")
        assert (result.returncode, lines(result)) == (
            138, ["sluicify: the broker is busy, try again later: true"])
    thread.join(30)
    listener.close()


# ---- version 1 --------------------------------------------------------------------------------

def test_falls_back_to_version_1(make_broker, run):
    broker = make_broker(versions=(1,))
    result = run(broker, "sh", "-c", "echo once")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"once\n", b"")
    assert [frame.version for frame in broker.frames] == [2, 1]
    assert broker.connections == 2


@pytest.mark.parametrize("words", [["-e", "A=1", "true"], ["-C", "/", "true"], ["--cwd", "true"]])
def test_version_1_carries_no_variables_and_no_directory(make_broker, run, words):
    broker = make_broker(versions=(1,))
    result = run(broker, *words)
    assert result.returncode == 130
    assert lines(result) == ["sluicify: cannot send a variable or working directory, and the broker "
                             "speaks version 1 only"]
    assert [frame.version for frame in broker.frames] == [2]


def test_version_1_carries_16_kib_in_an_argument(make_broker, run):
    broker = make_broker(versions=(1,), answer=lambda frame: (0, b""))
    assert run(broker, "x", "y" * 16384).returncode == 0
    result = run(broker, "x", "y" * 16385)
    assert result.returncode == 130
    assert lines(result) == ["sluicify: cannot send an argument of more than 16384 bytes"]


# ---- large requests ---------------------------------------------------------------------------

@pytest.mark.parametrize("count, size", [(2, 40000), (8, 131000), (200, 5000), (1, 131071)])
def test_large_requests_go_in_a_sealed_memfd(make_broker, run, count, size):
    broker = make_broker(answer=lambda frame: (0, b""))
    words = ["x"] + [chr(ord("a") + i % 26) * size for i in range(count)]
    assert run(broker, *words).returncode == 0
    assert broker.frames[0].argv == [w.encode() for w in words]
    assert broker.frames[0].in_memfd
    assert len(broker.frames[0].message) == 16


def test_small_requests_go_in_the_message(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    assert run(broker, "x", "y" * 65000).returncode == 0
    assert not broker.frames[0].in_memfd


def test_requests_over_the_limit_are_not_sent(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    result = run(broker, "x", *["y" * 131000] * 9)
    assert result.returncode == 130
    assert lines(result) == ["sluicify: cannot send more than 1 MiB in all"]
    assert not broker.frames


def test_large_requests_reach_an_old_broker_too(make_broker, run):
    broker = make_broker(versions=(1,), answer=lambda frame: (0, b""))
    words = ["x"] + ["y" * 16000] * 18  # 281 KiB: more than a socket takes without being asked
    assert run(broker, *words).returncode == 0
    assert broker.frames[-1].version == 1
    assert broker.frames[-1].argv == [w.encode() for w in words]


# ---- variables and directories ----------------------------------------------------------------

def test_sends_variables_that_are_asked_for(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    assert run(broker, "-e", "A=1", "-e", "HERE", "-e", "NOT_SET", "-e", "EMPTY=", "x", "-e", "B=2",
               env={"HERE": "a value", "OTHER": "x"}).returncode == 0
    assert broker.frames[0].env == [b"A=1", b"HERE=a value", b"EMPTY="]
    assert broker.frames[0].argv == [b"x", b"-e", b"B=2"]


def test_sends_what_sluice_env_names(make_broker, run):
    broker = make_broker(answer=lambda frame: (0, b""))
    assert run(broker, "-e", "B=mine", "x",
               env={"SLUICE_ENV": "A,,NOT_SET,B,C,A,", "A": "1", "B": "2", "C": "",
                    "AB": "no"}).returncode == 0
    assert broker.frames[0].env == [b"B=mine", b"A=1", b"C="]


@pytest.mark.parametrize("words, problem", [
    (["-e", "A=1", "-e", "A=2"], "the same variable twice"),
    (["-e", "A B=1"], "a variable without a proper name"),
    (["-e", "=1"], "a variable without a proper name"),
    (["-e", b"A=\xff"], "a variable that is not UTF-8"),
])
def test_says_what_is_wrong_with_a_variable(make_broker, run, words, problem):
    broker = make_broker()
    result = run(broker, *words, "x")
    assert result.returncode == 130
    assert lines(result) == [f"sluicify: cannot send {problem}"]


def test_sends_a_directory_without_symbolic_links(make_broker, run, tmp_path):
    broker = make_broker(answer=lambda frame: (0, b""))
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    physical = os.path.realpath(real)
    ways = [
        (["--cwd"], {"cwd": real}),
        (["--cwd"], {"cwd": tmp_path / "link"}),
        (["-C", "."], {"cwd": real}),
        (["-C", "link"], {"cwd": tmp_path}),
        (["-C", f"{tmp_path}/./link/../real/"], {}),
        ([], {"cwd": real, "env": {"SLUICE_CWD": "."}}),
        (["-C", str(real)], {"env": {"SLUICE_CWD": "/tmp"}}),
    ]
    for words, arguments in ways:
        result = run(broker, *words, "x", **arguments)
        assert result.returncode == 0, (words, result.stderr)
        assert broker.frames[-1].cwd == physical.encode(), words
    # One that only the broker may see goes as it is; a relative one cannot.
    assert run(broker, "-C", "/nowhere/at/all", "x").returncode == 0
    assert broker.frames[-1].cwd == b"/nowhere/at/all"
    result = run(broker, "-C", "nowhere", "x", cwd=tmp_path)
    assert (result.returncode, lines(result)) == (125, ["sluicify: no such directory: nowhere"])


def test_a_relative_socket_is_meant_from_here(make_broker, run, tmp_path):
    broker = make_broker(answer=lambda frame: (0, b""))
    (tmp_path / "d").mkdir()
    assert run(None, "-s", "b.sock", "-C", "d", "x", cwd=tmp_path).returncode == 0
    assert broker.frames[0].cwd.endswith(b"/d")


HINT = "sluicify: a first operand with a '/' is the socket; where it is the command: sluicify -- COMMAND"


# ---- which broker -----------------------------------------------------------------------------

def test_finds_the_socket_in_the_stated_order(make_broker, run, tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    one = make_broker(tmp_path / "one/s.sock", answer=lambda frame: (1, b""))
    two = make_broker(tmp_path / "two/s.sock", answer=lambda frame: (2, b""))
    environment = {"SLUICE_SOCKET": two.path}
    assert run(None, "-s", one.path, "x", env=environment).returncode == 1
    assert run(None, one.path, "x", env=environment).returncode == 1
    assert run(None, "x", env=environment).returncode == 2
    assert one.frames[-1].argv == [b"x"]


def test_a_first_operand_with_a_slash_is_the_socket(make_broker, run, tmp_path):
    broker = make_broker(answer=lambda frame: (0, b""))
    assert run(None, "./b.sock", "git", "x", cwd=tmp_path).returncode == 0
    assert broker.frames[-1].argv == [b"git", b"x"]
    # ... unless it is said that it is not.
    assert run(broker, "--", "/usr/bin/git", "x").returncode == 0
    assert broker.frames[-1].argv == [b"/usr/bin/git", b"x"]
    assert run(None, "-s", broker.path, "/usr/bin/git").returncode == 0
    assert broker.frames[-1].argv == [b"/usr/bin/git"]
    assert run(None, broker.path, "/usr/bin/git").returncode == 0
    assert broker.frames[-1].argv == [b"/usr/bin/git"]
    tool = tmp_path / "tool"
    tool.touch()
    result = run(broker, str(tool), "x")
    assert result.returncode == 125
    assert lines(result) == [
        f"sluicify: no broker at {tool} (nothing listens there): Connection refused", HINT]
    result = run(broker, str(tool), "-C", "x")
    assert lines(result) == ["sluicify: no command after the socket; " + HINT.removeprefix("sluicify: ")]


def test_finds_the_only_socket_of_the_default_directory(make_broker, run, tmp_path):
    runtime = tmp_path / "run"
    (runtime / "sluice").mkdir(parents=True)
    environment = {"XDG_RUNTIME_DIR": str(runtime)}
    hint = "use -s SOCKET, or set SLUICE_SOCKET"
    assert lines(run(None, "x")) == [f"sluicify: no broker: {hint}"]
    assert lines(run(None, "x", env=environment)) == [
        f"sluicify: no broker: {hint}; there is none in $XDG_RUNTIME_DIR/sluice"]
    (runtime / "sluice/not-a-socket.sock").touch()
    (runtime / "sluice/other").touch()
    broker = make_broker(runtime / "sluice/agent.sock", answer=lambda frame: (3, b""))
    assert run(None, "x", env=environment).returncode == 3
    make_broker(runtime / "sluice/ci.sock")
    result = run(None, "x", env=environment)
    assert result.returncode == 125
    assert lines(result) == ["sluicify: no broker: there are several in $XDG_RUNTIME_DIR/sluice: choose "
                             f"with -s SOCKET, or set SLUICE_SOCKET"]
    assert run(None, "x", env={**environment, "SLUICE_SOCKET": broker.path}).returncode == 3


def test_reaches_a_socket_whose_path_is_long(make_broker, run, tmp_path):
    deep = tmp_path
    while len(str(deep)) < 250:
        deep = deep / ("d" * 50)
        deep.mkdir()
    broker = make_broker(deep / "agent.sock", answer=lambda frame: (5, b""))
    assert run(None, "-s", broker.path, "x").returncode == 5


# ---- links ------------------------------------------------------------------------------------

def test_a_link_asks_for_the_command_of_its_name(make_broker, run, client, tmp_path):
    broker = make_broker(answer=lambda frame: (0, b""))
    link = tmp_path / "git"
    link.symlink_to(client)
    assert run(broker, "--list", "-s", "/x", "--help", program=str(link)).returncode == 0
    assert broker.frames[-1].argv == [b"git", b"--list", b"-s", b"/x", b"--help"]
    # Found through PATH, and with what the environment asks to be sent.
    result = subprocess.run(["sh", "-c", "git status"], cwd=tmp_path, env=clean_environment(
        PATH=f"{tmp_path}:{os.environ['PATH']}", SLUICE_SOCKET=broker.path, SLUICE_CWD=".",
        SLUICE_ENV="LANG", LANG="C"), timeout=30)
    assert result.returncode == 0
    assert broker.frames[-1].argv == [b"git", b"status"]
    assert broker.frames[-1].cwd == os.path.realpath(tmp_path).encode()
    assert broker.frames[-1].env == [b"LANG=C"]


def test_sluicify_by_a_longer_name_is_sluicify(run, client, tmp_path):
    link = tmp_path / "sluicify-0.1"
    link.symlink_to(client)
    assert run(None, "--version", program=str(link)).stdout.startswith(b"sluicify ")


MENU = b"""; the menu's own comment
# another
git status
    ; indented: a slot's
    path = anything

git push origin #branch
make #target
    target = [a-z]+
'quo'"ted" x
back\\slash
/usr/bin/env x
-rf /
.hidden
..
sluicify x
na\x1bme
"sp ace" x
g++ x
7z\tx
"""


def test_makes_links_for_the_commands_of_the_menu(make_broker, run, client, tmp_path):
    broker = make_broker(menu=MENU)
    shims = tmp_path / "shims"
    result = run(broker, "--shims", str(shims))
    names = ["git", "make", "quoted", "backslash", "g++", "7z"]
    assert result.returncode == 0
    assert result.stdout.decode().splitlines() == names
    assert sorted(os.listdir(shims)) == sorted(names)
    for name in names:
        assert os.path.realpath(shims / name) == os.path.realpath(client)
    assert lines(result) == [f"sluicify: no link for {name}, which is no name for one" for name in
                             ["/usr/bin/env", "-rf", ".hidden", "..", "sluicify", "na\\x1bme", "sp ace"]]
    # And they work.
    broker.answer = lambda frame: (9, b"")
    assert run(broker, "x", program=str(shims / "make")).returncode == 9
    assert broker.frames[-1].argv == [b"make", b"x"]


def test_makes_links_again_and_replaces_nothing(make_broker, run, tmp_path):
    broker = make_broker(menu=b"git x\nmake x\nls\ncat\ndog\n")
    shims = tmp_path / "shims"
    assert run(broker, "--shims", str(shims)).returncode == 0
    again = run(broker, "--shims", str(shims))
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    (shims / "git").unlink()
    (shims / "git").write_text("somebody's own")
    (shims / "make").unlink()
    (shims / "make").symlink_to("/bin/true")
    (shims / "ls").unlink()
    (shims / "cat").unlink()
    (shims / "cat").mkdir()
    result = run(broker, "--shims", str(shims))
    assert result.returncode == 125
    assert result.stdout == b"ls\n"
    assert lines(result) == [f"sluicify: cannot make the link {name}: something else is there, and stays"
                             for name in ("git", "make", "cat")]
    assert (shims / "git").read_text() == "somebody's own"
    assert os.readlink(shims / "make") == "/bin/true"


def test_says_why_there_can_be_no_links(make_broker, run, tmp_path):
    broker = make_broker(menu=b"git x\n")
    file = tmp_path / "file"
    file.touch()
    result = run(broker, "--shims", str(file))
    assert result.returncode == 125
    assert lines(result) == [f"sluicify: cannot open the directory {file}: Not a directory"]
    result = run(broker, "--shims", str(tmp_path / "a/b"))
    assert lines(result) == [f"sluicify: cannot make the directory {tmp_path}/a/b: "
                             "No such file or directory"]
    broker.answer = lambda frame: (-9, b"")
    result = run(broker, "--shims", str(tmp_path / "d"))
    assert (result.returncode, lines(result)) == (
        137, ["sluicify: the listing does not fit into one reply"])
    assert not (tmp_path / "d").exists()


# ---- listings and the rest --------------------------------------------------------------------

@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["version 2", "version 1 only"])
def test_prints_the_menu(make_broker, run, versions):
    menu = "git status\n\t; with a comment é\n  x = [a-z]+\n".encode() * 500
    broker = make_broker(versions=versions, menu=menu)
    for words in (["--list"], [broker.path, "--list"], ["--list", broker.path], ["-s", broker.path,
                                                                                 "--list"]):
        result = run(broker if len(words) == 1 else None, *words)
        assert (result.returncode, result.stdout, result.stderr) == (0, menu, b"")
    assert run(None, "--list", "b.sock", cwd=os.path.dirname(broker.path)).returncode == 0


def test_prints_a_menu_without_its_tricks(make_broker, run):
    result = run(make_broker(menu=b"git \x1b[8m hidden\nx"), "--list")
    assert result.stdout == b"git \\x1b[8m hidden\nx\n"


def test_says_that_the_menu_cannot_be_written(make_broker, run):
    broker = make_broker(menu=b"git x\n")
    with open("/dev/full", "w") as full:
        result = run(broker, "--list", stdout=full)
    assert result.returncode == 125
    assert lines(result) == ["sluicify: cannot write the listing: No space left on device"]


def test_prints_a_menu_into_a_slow_pipe(make_broker, start):
    """A pipe that somebody made O_NONBLOCK, and that is full at first, loses nothing."""
    menu = b"git status\n" * 5900
    broker = make_broker(menu=menu)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    import fcntl
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    process = start(broker, "--list", stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == menu
    assert process.wait(30) == 0


def test_help_and_version(run):
    help_text = run(None, "--help")
    assert help_text.returncode == 0 and help_text.stderr == b""
    assert run(None, "-h").stdout == help_text.stdout
    assert run(None, "--list", "--help").stdout == help_text.stdout
    shown = help_text.stdout.decode()
    assert shown.startswith("usage: sluicify ")
    assert all(len(line) <= 100 for line in shown.splitlines())
    for word in ("--list", "--launch", "--shims", "--version", "SLUICE_SOCKET", "SLUICE_FD", "-C DIR",
                 "-e NAME", "SLUICE_ENV", "SLUICE_CWD", "fd:N", "XDG_RUNTIME_DIR", "125"):
        assert word in shown
    version = run(None, "--version")
    assert version.returncode == 0
    assert version.stdout.decode().split()[0] == "sluicify"


@pytest.mark.parametrize("words, problem", [
    ([], "no command"),
    (["-s", "/x"], "no command"),
    (["--bogus", "x"], "unknown option --bogus"),
    (["-x"], "unknown option -x"),
    (["-"], "unknown option -"),
    (["-s"], "no value after -s"),
    (["-C"], "no value after -C"),
    (["-e"], "no value after -e"),
    (["--shims"], "no value after --shims"),
    (["-s", "/x", "-s", "/y", "x"], "more than one socket"),
    (["--list", "--shims", "d"], "more than one of --list, --launch and --shims"),
    (["-s", "/x", "--list", "y"], "too many operands: y"),
    (["-e", "A=1", "--list"], "-e, -C and --cwd go with a command for the broker only"),
    (["--launch", "/x", "--"], "no command"),
    (["-C", "/", "--launch", "/x", "--", "y"], "-e, -C and --cwd go with a command for the broker only"),
    (["-e", "A=1"] * 1 + ["-e", "B"] * 256 + ["x"], "more than 256 variables"),
    (["--b\x1bgus"], "unknown option --b\\x1bgus"),
])
def test_says_what_is_wrong_with_the_command_line(run, words, problem):
    result = run(None, *words)
    assert result.returncode == 125
    assert lines(result)[0].startswith(f"sluicify: {problem}"), result.stderr
    assert lines(result)[0].endswith("; try: sluicify --help")
    assert result.stdout == b""


def test_runs_with_an_empty_program_name(client):
    result = subprocess.run(["bash", "-c", 'exec -a "" "$0"', client], stderr=subprocess.PIPE,
                            env=clean_environment(), timeout=30)
    assert result.returncode == 125
    assert lines(result) == ["sluicify: no command; try: sluicify --help"]


def test_the_binary_is_an_ordinary_file(client):
    """Its compromise must give nothing: it may hold no privileges."""
    assert not os.stat(client).st_mode & (stat.S_ISUID | stat.S_ISGID)
