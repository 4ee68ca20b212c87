"""When a compile cannot be finished: one clear line, status 2, the old output untouched, nothing left
behind."""

import os
import shutil
import signal
import stat
import subprocess
import time

import pytest

from compiling import RULES, SLUICEC, sluicec

OLD = b"the old broker"


@pytest.fixture
def place(tmp_path):
    """A folder with rules, an old output, and an empty folder for temporary files."""
    (tmp_path / "agent.rules").write_text(RULES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/broker").write_bytes(OLD)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "bin").mkdir()
    return tmp_path


def environment(place, path=None):
    return {"PATH": path or f"{place}/bin:{os.environ['PATH']}", "TMPDIR": str(place / "tmp")}


def tool(place, name, script):
    """A tool of that name that comes before the real one in PATH."""
    file = place / "bin" / name
    file.write_text("#!/bin/sh\n" + script)
    file.chmod(0o755)
    return file


def compile_in(place, *options, path=None, output=None):
    return sluicec(place / "agent.rules", "-o", output or place / "out/broker", *options,
                   env=environment(place, path))


def assert_failed(place, done, *says):
    """Status 2, a first line with all that is expected, nothing changed, nothing left."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    first = done.stderr.split("\n")[0]
    assert first.startswith("sluicec: ")
    for part in says:
        assert part in first, done.stderr
    assert_untouched(place)


def assert_untouched(place):
    assert (place / "out/broker").read_bytes() == OLD
    assert [path.name for path in (place / "out").iterdir()] == ["broker"]
    assert list((place / "tmp").iterdir()) == []


# ---- tools ---------------------------------------------------------------------------------------

def only(place, *names):
    """A PATH with nothing but these tools in it."""
    folder = place / "only"
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return str(folder)


def test_no_re2c(place):
    done = compile_in(place, path=only(place, "gcc", "musl-gcc"))
    assert_failed(place, done, "re2c is needed and not in PATH: install it")


@pytest.mark.usual_toolchain
def test_no_musl_gcc(place):
    done = compile_in(place, path=only(place, "gcc", "re2c"))
    assert_failed(place, done, "musl-gcc and musl's libc.a are needed", "--cc gcc")


@pytest.mark.usual_toolchain
def test_no_gcc(place):
    done = compile_in(place, path=only(place, "musl-gcc", "re2c"))
    assert_failed(place, done, "gcc is needed to link")


def test_no_such_compiler(place):
    assert_failed(place, compile_in(place, "--cc", "no-such-cc"), "there is no compiler no-such-cc")


def test_no_such_target(place):
    assert_failed(place, compile_in(place, "--target", "pdp11-unknown-unix"),
                  "there is no compiler pdp11-unknown-unix-gcc")


def test_no_such_runtime(place):
    assert_failed(place, compile_in(place, "--runtime", "/nonexistent"),
                  "cannot use the runtime /nonexistent: No such file or directory")
    assert_failed(place, compile_in(place, "--runtime", "/usr"), "/usr is not a runtime folder")


def test_a_relative_folder_in_path_is_not_looked_into(place):
    """Otherwise whoever can write where we happen to be would choose the compiler."""
    tool(place, "re2c", "exit 0\n")
    done = sluicec(place / "agent.rules", "-o", place / "out/broker", cwd=place,
                   env={"PATH": f"bin:.::{only(place, 'gcc', 'musl-gcc')}",
                        "TMPDIR": str(place / "tmp")})
    assert_failed(place, done, "re2c is needed and not in PATH")


@pytest.mark.parametrize("name, about", [
    ("re2c", "patterns/"), pytest.param("musl-gcc", "", marks=pytest.mark.usual_toolchain),
    ("gcc", "")])
def test_a_tool_that_fails(place, name, about):
    tool(place, name, "echo 'no luck today' >&2\necho 'none at all' >&2\nexit 3\n")
    done = compile_in(place)
    assert_failed(place, done, f"{name} failed on {about}", "(exit status 3)")
    assert done.stderr.split("\n")[1:] == ["    no luck today", "    none at all", ""]


@pytest.mark.parametrize("name", [
    "re2c", pytest.param("musl-gcc", marks=pytest.mark.usual_toolchain)])
def test_a_tool_that_is_killed(place, name):
    tool(place, name, "kill -9 $$\n")
    assert_failed(place, compile_in(place), f"{name} was killed by signal 9 (Killed)")


def test_a_tool_that_says_too_much(place):
    tool(place, "re2c", "head -c 100000 /dev/zero | tr '\\0' 'x' >&2\nexit 1\n")
    done = compile_in(place)
    assert_failed(place, done, "re2c failed")
    assert len(done.stderr) < 3000


def test_what_a_tool_says_cannot_reach_the_terminal(place):
    tool(place, "re2c", "printf 'a\\033[31mred\\r\\n' >&2\nexit 1\n")
    done = compile_in(place)
    assert_failed(place, done, "re2c failed")
    assert "\033" not in done.stderr and "\r" not in done.stderr


def test_a_tool_that_is_not_a_program(place):
    (place / "bin/re2c").write_bytes(b"\0\1\2 not a program")
    (place / "bin/re2c").chmod(0o755)
    assert_failed(place, compile_in(place), "cannot run", "re2c")


def test_tools_get_nothing_of_the_callers(place):
    """PATH, TMPDIR and LC_ALL alone, no descriptors but 0, 1 and 2, no blocked signals."""
    tool(place, "re2c", "env > $TMPDIR/../env; ls /proc/self/fd > $TMPDIR/../fds\n"
                        "grep SigBlk /proc/self/status > $TMPDIR/../signals; exit 1\n")
    (place / "agent.rules").write_text("say #word\n  word = [a-z]+\n")  # one run of it
    reader, writer = os.pipe()
    done = sluicec(place / "agent.rules", "-o", place / "out/broker",
                   env={**environment(place), "SECRET": "x", "CPATH": "/x"}, pass_fds=(writer,))
    os.close(reader)
    os.close(writer)
    assert done.returncode == 2
    env = dict(line.split("=", 1) for line in (place / "tmp/env").read_text().splitlines())
    assert set(env) - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "TMPDIR", "LC_ALL"}
    assert env["LC_ALL"] == "C"
    assert set((place / "tmp/fds").read_text().split()) == {"0", "1", "2", "3"}  # 3: ls's own
    assert (place / "tmp/signals").read_text().split()[1].strip("0") == ""


# ---- outputs -------------------------------------------------------------------------------------

def test_a_folder_that_cannot_be_written(place):
    done = compile_in(place, output=place / "missing/broker")
    assert_failed(place, done, "cannot write", "missing/broker", "No such file or directory")


# Root may write anywhere, but not without these capabilities.
AS_OTHERS = (["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0
             else ["env"])


@pytest.mark.skipif(subprocess.run([*AS_OTHERS, "true"], capture_output=True,
                                   check=False).returncode != 0, reason="root keeps all it has here")
def test_a_folder_without_permission(place):
    (place / "out").chmod(0o500)
    done = subprocess.run([*AS_OTHERS, SLUICEC, place / "agent.rules", "-o", place / "out/broker"],
                          capture_output=True, encoding="utf-8", env=environment(place), timeout=120,
                          check=False)
    (place / "out").chmod(0o700)
    assert_failed(place, done, "cannot write", "Permission denied")


def test_an_output_that_is_a_folder(place):
    done = compile_in(place, output=place / "out")
    assert_failed(place, done, "it is not a regular file")


def test_an_output_that_is_a_device_stays_one(place):
    done = compile_in(place, output="/dev/null")
    assert_failed(place, done, "cannot write /dev/null: it is not a regular file")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_an_output_behind_a_symbolic_link(place):
    link = place / "link"
    link.symlink_to("out/broker")
    done = compile_in(place, output=link)
    assert done.returncode == 0, done.stderr
    assert link.is_symlink()
    assert (place / "out/broker").read_bytes()[:4] == b"\x7fELF"


def test_a_symbolic_link_to_nothing(place):
    link = place / "link"
    link.symlink_to("nowhere")
    assert_failed(place, compile_in(place, output=link), "cannot write", "link")


def in_small_disk(place, size, where):
    """Runs the compile in a mount namespace of its own, where a folder is a disk of that size."""
    script = (f"mount -t tmpfs -o size={size} none {where} && "
              f"{{ [ {where} = {place}/tmp ] || printf '{OLD.decode()}' > {where}/broker; }} && "
              f"{SLUICEC} {place}/agent.rules -o {place}/out/broker; status=$?; "
              f"cat {place}/out/broker > {place}/after; ls -A {where} > {place}/left; exit $status")
    return subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True,
                          encoding="utf-8", env=environment(place), timeout=120, check=False)


@pytest.mark.skipif(subprocess.run(["unshare", "-rm", "true"], capture_output=True,
                                   check=False).returncode != 0, reason="no user namespaces")
@pytest.mark.parametrize("size", ["4k", "64k", "200k", "400k"])
def test_a_full_disk_for_temporary_files(place, size):
    done = in_small_disk(place, size, place / "tmp")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("sluicec: ")
    assert "No space left on device" in done.stderr
    assert (place / "after").read_bytes() == OLD
    assert (place / "left").read_text() == ""


@pytest.mark.skipif(subprocess.run(["unshare", "-rm", "true"], capture_output=True,
                                   check=False).returncode != 0, reason="no user namespaces")
def test_a_full_disk_for_the_output(place):
    done = in_small_disk(place, "32k", place / "out")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("sluicec: cannot write ")
    assert "No space left on device" in done.stderr
    assert (place / "after").read_bytes() == OLD
    assert (place / "left").read_text() == "broker\n"


def test_no_folder_for_temporary_files(place):
    done = sluicec(place / "agent.rules", "-o", place / "out/broker",
                   env={**environment(place), "TMPDIR": f"{place}/none"})
    assert_failed(place, done, "cannot make the temporary folder", "No such file or directory")


# ---- signals -------------------------------------------------------------------------------------

def wait_for(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def is_running(pid):
    try:
        return open(f"/proc/{pid}/stat").read().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_while_a_tool_runs(place, number):
    """The tool and what it started end with the compile, even if they would rather not."""
    tool(place, "re2c", f"trap '' INT TERM HUP QUIT\nsleep 1000 &\necho $! > {place}/child\n"
                        f"echo $$ > {place}/started\nwait\n")
    compiler = subprocess.Popen([SLUICEC, place / "agent.rules", "-o", place / "out/broker"],
                                env=environment(place), stderr=subprocess.PIPE,
                                encoding="utf-8")
    wait_for(lambda: (place / "started").exists() and (place / "started").read_text().strip(),
             "the tool does not start")
    pids = [int((place / name).read_text()) for name in ("started", "child")]
    compiler.send_signal(number)
    said = compiler.communicate(timeout=60)[1]
    assert compiler.returncode == -number
    assert f"stopped by signal {number.value}" in said
    wait_for(lambda: not any(map(is_running, pids)), "a tool outlives the compile")
    assert_untouched(place)


def test_it_works_where_the_caller_ignores_ended_children(place):
    done = sluicec(place / "agent.rules", "-o", place / "out/broker", env=environment(place),
                   preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode == 0, done.stderr
