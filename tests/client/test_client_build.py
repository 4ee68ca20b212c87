"""What the built client is: one small hardened file; and libsluicify, for other programs."""
import re
import subprocess

import pytest

from client_helpers import ROOT, clean_environment


@pytest.fixture(scope="module")
def binary(build):
    return build / "sluicify"


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], stdout=subprocess.PIPE, check=True,
                          text=True).stdout


def test_is_at_most_40_kib(binary):
    assert binary.stat().st_size <= 40 * 1024


def test_is_static_and_position_independent(binary):
    assert re.search(r"Type:\s+DYN", readelf("-h", binary))
    segments, dynamic = readelf("-l", binary), readelf("-d", binary)
    assert "INTERP" not in segments
    assert "NEEDED" not in dynamic
    assert "TEXTREL" not in dynamic
    assert re.search(r"FLAGS_1.*\bPIE\b", dynamic)


def test_is_hardened(binary):
    segments, dynamic = readelf("-l", binary), readelf("-d", binary)
    flags = dict(re.findall(r"^  (LOAD|GNU_STACK|GNU_RELRO) .* ([R ][W ][E ]) 0x", segments, re.M))
    loads = re.findall(r"^  LOAD .* ([R ][W ][E ]) 0x", segments, re.M)
    assert "GNU_RELRO" in flags
    assert flags["GNU_STACK"] == "RW "
    assert len(loads) >= 3
    assert all(not ("W" in load and "E" in load) for load in loads)
    assert re.search(r"FLAGS_1.*\bNOW\b", dynamic)


def test_is_stripped_and_tells_nothing_of_where_it_was_built(binary, build):
    sections = readelf("-S", binary)
    assert ".symtab" not in sections and ".debug" not in sections
    data = binary.read_bytes()
    assert str(ROOT).encode() not in data
    assert str(build).encode() not in data


def test_has_the_stack_protector(build):
    for name in ("call", "place", "sluicify", "launch"):
        symbols = subprocess.run(["nm", build / f"musl/runtime/client/{name}.o"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        assert "__stack_chk_fail" in symbols


PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sluicify.h"

int main(int argc, char **argv)
{
    static struct sluicify_exchange exchange;
    struct sluicify_address address;
    struct sluicify_answer answer;
    struct sluicify_request request = {
        .argument_count = (size_t)argc - 2,
        .arguments = (const char *const *)argv + 2,
        .descriptors = {0, 1, 2},
    };

    if (!sluicify_address_read(&address, argv[1]))
        return 100;
    int result = sluicify_exchange_finish(&exchange, &address, argc > 2 ? SLUICIFY_CALL : SLUICIFY_LIST,
                                          argc > 2 ? &request : NULL, atoi(getenv("WAIT_MS")), &answer);
    if (result == SLUICIFY_ANSWERED)
        printf("status %d text %.*s\n", (int)answer.status, (int)answer.text_length, answer.text);
    else
        printf("result %d %s\n", result, result < 0 ? strerror(-result) : "");
    sluicify_exchange_close(&exchange);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(build, tmp_path_factory):
    """A program of somebody else's, who has the header and the library alone."""
    where = tmp_path_factory.mktemp("program")
    (where / "program.c").write_text(PROGRAM)
    (where / "sluicify.h").write_text((ROOT / "runtime/client/sluicify.h").read_text())
    flags = ["-fsanitize=address,undefined"] if (build / "sluicify-sanitized").exists() else []
    for standard in ("c99", "c11"):
        subprocess.run(["gcc", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *flags,
                        "-o", "program", "program.c", build / "libsluicify.a"], cwd=where, check=True)
    return where / "program"


def test_the_library_shows_its_own_names_only(build):
    symbols = subprocess.run(["nm", "-g", "--defined-only", build / "libsluicify.a"], check=True,
                             text=True, stdout=subprocess.PIPE).stdout
    names = re.findall(r"^[0-9a-f]+ [A-Z] (\w+)$", symbols, re.M)
    assert "sluicify_exchange_open" in names
    assert [name for name in names if not name.startswith("sluicify_")] == []


@pytest.mark.parametrize("versions", [(1, 2), (1,)], ids=["version 2", "version 1 only"])
def test_another_program_can_call(program, make_broker, versions):
    broker = make_broker(versions=versions, menu=b"the menu")

    def say(*words):
        return subprocess.run([program, *words], stdout=subprocess.PIPE, text=True, check=True,
                              env=clean_environment(WAIT_MS="60000"), timeout=120).stdout

    assert say(broker.path, "sh", "-c", "echo hello; exit 3") == "hello\nstatus 3 text \n"
    assert say(broker.path) == "status 0 text the menu\n"
    broker.answer = lambda frame: (-1, b"" if frame.version == 1 else b"why")
    assert say(broker.path, "x") == ("status -1 text %s\n" % ("" if versions == (1,) else "why"))
    broker.answer = lambda frame: None
    assert say(broker.path, "x") == "result 3 \n"
    assert say("/nowhere", "x") == "result -2 No such file or directory\n"
    assert say(broker.path, *["x"] * 257) == "result -22 Invalid argument\n"


def test_waiting_has_a_limit(program, make_broker):
    broker = make_broker(answer=lambda frame: broker.wait(lambda b: b.gone, 60))
    result = subprocess.run([program, broker.path, "x"], stdout=subprocess.PIPE, text=True, check=True,
                            env=clean_environment(WAIT_MS="100"), timeout=60)
    assert result.stdout == "result -110 Connection timed out\n"
