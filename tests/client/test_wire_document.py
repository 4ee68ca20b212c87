"""docs/wire.md and docs/sluicify.md: their examples run, and their tables are the code's."""
import os
import re
import socket
import subprocess
import sys
import textwrap

import pytest

from client_helpers import ROOT, clean_environment, wire_statuses

WIRE = (ROOT / "docs/wire.md").read_text()
SLUICIFY = (ROOT / "docs/sluicify.md").read_text()


def example(name):
    """The source of the Python block that defines `name`."""
    found = [block for block in re.findall(r"```python\n(.*?)```", WIRE, re.S) if f"def {name}(" in block]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["both", "version 1 only"])
def test_the_version_1_client_works(make_broker, versions):
    broker = make_broker(versions=versions)
    space = {}
    exec(example("call"), space)
    reading, writing = os.pipe()
    with open(os.devnull) as null:
        status = space["call"](broker.path, ["sh", "-c", "echo hello; exit 3"],
                               (null.fileno(), writing, 2))
        assert space["call"](broker.path, ["sh", "-c", "kill $$"], (null.fileno(),) * 3) == 128 + 15
    os.close(writing)
    with os.fdopen(reading) as output:
        assert output.read() == "hello\n"
    assert status == 3
    broker.answer = lambda frame: (-1, b"")
    assert space["call"](broker.path, ["x", "", "ä"]) == -1
    assert broker.frames[-1].argv == [b"x", b"", "ä".encode()]
    broker.answer = lambda frame: None
    with pytest.raises(ConnectionError):
        space["call"](broker.path, ["x"])


def test_the_inherited_call_works(make_broker):
    broker = make_broker()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(broker.path)
    program = example("call_inherited") + textwrap.dedent("""
        import sys
        assert call_inherited(["sh", "-c", "echo $A; pwd; exit 4"], (0, 1, 2), ["A=one"], "/usr") == (4, "")
        status, text = call_inherited(["refuse"])
        print(status, text)
        """)
    broker.answer = lambda frame: (-1, "näher".encode()) if frame.argv == [b"refuse"] else broker.run(frame)
    result = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60,
                            pass_fds=[connection.fileno()],
                            env=clean_environment(SLUICE_FD=str(connection.fileno()),
                                                  PYTHONIOENCODING="utf-8"))
    assert result.returncode == 0
    assert result.stdout.decode() == "one\n/usr\n-1 näher\n"
    assert broker.connections == 1
    connection.close()


def test_the_bytes_of_the_example_are_those_of_the_client(make_broker):
    block = re.search(r"29 bytes:\n\n```\n(.*?)```", WIRE, re.S).group(1)
    data = bytes.fromhex(" ".join(re.match(r"((?:[0-9a-f]{2} +)+)", line + " ").group(1)
                                  for line in block.splitlines()))
    broker = make_broker(answer=lambda frame: (0, b""))
    space = {}
    exec(example("call"), space)
    space["call"](broker.path, ["git", "status"])
    assert len(data) == 29
    assert broker.frames[0].message == data


def test_the_statuses_are_those_of_the_code():
    rows = re.findall(r"^\| (-\d+) \| (\w+) \| .+? \| (\d+) \|$", WIRE, re.M)
    assert {name: (int(status), int(code)) for status, name, code in rows} == {
        name: (status, code) for name, (status, code, _) in wire_statuses().items()}
    codes = [int(code) for code in re.findall(r"^\| (\d+) \| ", SLUICIFY, re.M)]
    assert sorted(codes) == sorted([125] + [code for _, code, _ in wire_statuses().values()])


def test_the_limits_are_those_of_the_code():
    header = (ROOT / "runtime/shared/wire.h").read_text()
    limits = {name: int(value, 0) for name, value in
              re.findall(r"#define WIRE_(\w+) (\d+|0x[0-9a-f]+)u\b", header)}
    rows = {what: (one, two) for what, one, two in
            re.findall(r"^\| ([a-z, ]+) \| (\d+|none) \| (.+?) \|$", WIRE.split("## Limits")[1], re.M)}

    def numbers(what):
        one, two = rows[what]
        return (int(one) if one != "none" else None, *map(int, re.findall(r"\d+", two)))

    assert numbers("arguments, the command included") == (limits["ARGUMENTS_MAX"],) * 2
    assert numbers("bytes of an argument") == (limits["ARGUMENT_MAX_1"], limits["ARGUMENT_MAX_2"])
    assert numbers("variables") == (None, limits["VARIABLES_MAX"], limits["ARGUMENT_MAX_2"])
    assert numbers("bytes of the working directory") == (None, limits["CWD_MAX"])
    assert numbers("bytes of a request") == (limits["REQUEST_MAX"],) * 2
    assert numbers("bytes of a reply, its header included") == (limits["REPLY_MAX"],) * 2
    assert numbers("milliseconds until the first message") == (limits["FIRST_FRAME_MS"],) * 2
    assert len(rows) == 7
    assert f"0x{limits['MAGIC']:08X}" in WIRE


def test_the_reasons_are_those_of_the_code():
    code = set(re.findall(r'"(proto: [^"]+)"', (ROOT / "runtime/shared/wire.c").read_text()))
    assert set(re.findall(r"^\| `(proto: [^`]+)` \|", WIRE, re.M)) == code


def test_the_usage_is_that_of_the_program(run):
    usage = [line.removeprefix("usage: ").strip() for line in
             run(None, "--help").stdout.decode().split("\n\n")[0].splitlines()]
    assert [line.strip() for line in re.search(r"\n\n((?:    sluicify .*\n)+)", SLUICIFY).group(1)
            .splitlines()] == usage


@pytest.mark.parametrize("page", ["wire.md", "sluicify.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text()

    def anchors(of):
        return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"^#+ (.+)$", of, re.M)}

    links = re.findall(r"\]\(([^)]+)\)", text)
    assert page != "wire.md" or len(links) > 8
    for link in links:
        file, _, anchor = link.partition("#")
        target = (ROOT / "docs" / file).read_text() if file else text
        assert not anchor or anchor in anchors(target), link
