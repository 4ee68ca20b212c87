"""What a compiled broker is: hardened, small, and the same bytes wherever it is made."""

import hashlib
import os
import re
import subprocess

import pytest

from compiling import ROOT, RULES, compiled, decide, sluicec

# What the policy of examples/agent.rules may add to a broker of one rule.
AGENT_ADDS_MAX = 64 * 1024


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("executable"))


def readelf(broker, *options):
    return subprocess.run(["readelf", "-W", *options, broker], capture_output=True,
                          encoding="utf-8", env={**os.environ, "LC_ALL": "C"}, check=True).stdout


@pytest.mark.usual_toolchain
def test_it_is_a_static_position_independent_executable(broker):
    assert re.search(r"Type:\s+DYN \(Position-Independent Executable file\)", readelf(broker, "-h"))
    assert "INTERP" not in readelf(broker, "-l")
    assert "NEEDED" not in readelf(broker, "-d")


def test_it_is_hardened(broker):
    segments = readelf(broker, "-l")
    assert re.search(r"GNU_STACK\s.*\sRW\s", segments), "an executable stack"
    assert "GNU_RELRO" in segments
    assert "BIND_NOW" in readelf(broker, "-d")
    assert not re.search(r"LOAD\s.*\sRWE\s", segments), "memory both writable and executable"
    assert "TEXTREL" not in readelf(broker, "-d")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A process of a broker with many rules, in the middle of writing what does not fit a pipe; its
    broker, and its maps with what is resident of each: proc_pid_smaps(5)."""
    rules = "".join(f"tool{n} {' '.join(f'word{n}-{i}' for i in range(6))}\n" for n in range(1000))
    broker = compiled(tmp_path_factory.mktemp("many"), rules)
    process = subprocess.Popen([broker, "policy"], stdout=subprocess.PIPE)
    try:
        assert process.stdout.read(1)
        text = open(f"/proc/{process.pid}/smaps", encoding="utf-8").read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    maps = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ +(\S*)$.*?^Rss: +(\d+) kB$", text,
                      re.M | re.S)
    return broker, [(int(begin, 16), int(end, 16), mode, int(resident) * 1024)
                    for begin, end, mode, path, resident in maps if path == str(broker)]


def test_what_is_relocated_at_its_start_is_read_only_from_then_on(running):
    broker, maps = running
    address, size = re.search(r"GNU_RELRO +\S+ (0x\w+) 0x\w+ 0x\w+ (0x\w+)",
                              readelf(broker, "-l")).groups()
    begin = maps[0][0] + int(address, 16)
    end = begin + int(size, 16)
    modes = {mode for first, last, mode, _ in maps if first < end and begin < last}
    assert modes == {"r--p"}, maps


def test_the_relocations_themselves_are_given_back(running):
    broker, maps = running
    offset, size = re.search(r"\.rela\.dyn +RELA +\w+ (\w+) (\w+)", readelf(broker, "-S")).groups()
    assert int(size, 16) > 256 * 1024 and int(offset, 16) < 65536
    # what the kernel maps around a page that is looked at: 64 KiB
    assert maps[0][3] <= 128 * 1024, maps


def test_it_has_a_stack_protector(tmp_path):
    """Seen in what is linked in, since the executable itself has no symbols."""
    archive = sluicec_library() / "libruntime-musl.a"
    symbols = subprocess.run(["nm", archive], capture_output=True, encoding="utf-8",
                             check=True).stdout
    assert "U __stack_chk_fail" in symbols


def sluicec_library():
    from compiling import BUILD
    return BUILD / "lib/sluice"


@pytest.mark.usual_toolchain
def test_it_is_stripped_and_has_no_build_id(broker):
    sections = readelf(broker, "-S")
    assert ".symtab" not in sections
    assert "build-id" not in sections
    assert ".debug" not in sections


@pytest.mark.usual_toolchain
def test_it_names_no_folder_of_the_build(broker, tmp_path):
    text = broker.read_bytes()
    assert b"/tmp" not in text.replace(b"/tmp\0", b"")  # @tmp is a path that brokers know
    assert str(ROOT).encode() not in text
    assert b"sluicec." not in text


@pytest.mark.usual_toolchain
def test_agent_rules_add_little(tmp_path):
    agent = compiled(tmp_path, (ROOT / "examples/agent.rules").read_text(), "agent")
    least = compiled(tmp_path, "true\n", "least")
    assert agent.stat().st_size - least.stat().st_size <= AGENT_ADDS_MAX


def test_a_pattern_counted_to_thousands_is_small(tmp_path):
    one = compiled(tmp_path, "say #words\n  words = [ -~]\n", "one")
    many = compiled(tmp_path, "say #words\n  words = [ -~]{0,4000}\n", "many")
    assert many.stat().st_size - one.stat().st_size <= 8 * 1024
    assert decide(many, "say", "x" * 4000)[0] == 0
    assert decide(many, "say", "x" * 4001)[0] == 1


def test_the_same_bytes_wherever_it_is_made(tmp_path):
    """Another folder, file mode mask, locale, temporary folder, and an environment full of what would
    change what compilers do."""
    first = tmp_path / "a"
    second = tmp_path / "another folder" / "much deeper"
    temporary = tmp_path / "tmp elsewhere"
    for folder in (first, second, temporary):
        folder.mkdir(parents=True)
    one = compiled(first)
    odd = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "LC_ALL": "tr_TR.UTF-8",
           "LANG": "de_DE", "CPATH": str(tmp_path), "C_INCLUDE_PATH": "/nonexistent",
           "GCC_EXEC_PREFIX": "/nonexistent/", "COMPILER_PATH": "/nonexistent",
           "LIBRARY_PATH": "/nonexistent", "REALGCC": "/bin/false", "HOME": "/nonexistent",
           "SOURCE_DATE_EPOCH": "1", "TZ": "Asia/Tokyo", "GCC_COLORS": "error=01;31"}
    other = compiled(second, env=odd)
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
    assert list(temporary.iterdir()) == []


def test_comments_change_the_embedded_text_alone(tmp_path):
    """The code stays the same bytes; the rules text and its sum do not."""
    one = compiled(tmp_path, RULES, "one").read_bytes()
    two = compiled(tmp_path, RULES + "\n; a comment at the end\n", "one").read_bytes()
    assert one != two


@pytest.mark.parametrize("mask, mode", [(0o022, 0o755), (0o077, 0o700)])
def test_its_mode_is_the_callers(tmp_path, mask, mode):
    source = tmp_path / "a.rules"
    source.write_text("true\n")
    done = sluicec(source, "-o", tmp_path / "broker", preexec_fn=lambda: os.umask(mask))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "broker").stat().st_mode & 0o777 == mode
