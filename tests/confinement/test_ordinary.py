"""The other side of test_escapes.py: ordinary programs go on working under rules that confine them in
every way at once."""
import base64
import hashlib
import http.server
import io
import json
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

import wire
from abilities import needs_namespaces


def closed(**changes):
    """What one would write for a tool that builds and tests in a workspace."""
    keys = {"cwd": "$HOME/work", "env": "HOME, LANG=C.UTF-8", "fs_exec": "@system, $HOME/work",
            "fs_read": "@dev", "fs_write": "$HOME/work, @tmp", "net": "none", "signals": "own",
            "open_files": "512", "file_size": "1G", "core": "0", "timeout": "60s", **changes}
    return "".join(f"  {key} = {value}\n" for key, value in keys.items() if value)


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")


@pytest.fixture
def shell(start, home):
    """shell(script, **keys): its output, from a confined shell in $HOME/work; it has to succeed."""
    (home / "work").mkdir()

    def shell(script, files=(), **changes):
        for name, text in dict(files).items():
            (home / "work" / name).write_text(text)
        broker = start(f"sh -euc #script\n  allow_any = script\n{closed(**changes)}")
        with wire.Output() as output:
            reply = wire.run2(broker.socket, ["sh", "-euc", script], stdout=output, stderr=output)
            text = output.read().decode()
        assert reply.status == 0, (reply.status, reply.text, text)
        return text

    return shell


@needs("git")
def test_git(shell):
    assert shell("""
        git init -q . ; git config user.email a@example.org; git config user.name A
        echo one > file; git add file; git commit -qm one; chmod +x file; echo two >> file
        git commit -qam two; git checkout -qb other HEAD~1; git merge -q other; git gc -q
        git log --oneline --all | wc -l; git stash list; git status --short; git diff HEAD
        git clone -q . ../work/clone; cd clone; git rev-list --count HEAD
    """).split() == ["2", "1"]


@needs("make", "gcc")
def test_make_and_gcc(shell):
    files = {"main.c": '#include <stdio.h>\n#include <pthread.h>\n'
                       'static void *run(void *p) { puts(p); return p; }\n'
                       'int main(void) { pthread_t t; pthread_create(&t, 0, run, "built");\n'
                       'return pthread_join(t, 0); }\n',
             "Makefile": "all: main lib.a\n\t./main\n"
                         "main: main.c\n\tgcc -g -O1 -pthread -o $@ $<\n"
                         "lib.a: main.o\n\tar rcs $@ $<\n\tinstall -m 644 $@ installed\n"}
    assert shell("make -s -j2 2>&1", files) == "built\n"


def test_python(shell):
    files = {"program.py": """
import concurrent.futures, ctypes, hashlib, json, mmap, multiprocessing, os, random, shutil
import sqlite3, subprocess, sys, tempfile, threading, time, uuid
def square(n): return n * n
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: assert pool.map(square, range(5))[-1] == 16
    with concurrent.futures.ProcessPoolExecutor(2) as pool: assert list(pool.map(square, [3])) == [9]
    queue = multiprocessing.Queue(); queue.put(1); assert queue.get() == 1
    lock = multiprocessing.Lock()
    with lock: pass
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("/usr/lib/python3/dist-packages/pytest", folder + "/x", dirs_exist_ok=True) \\
            if os.path.isdir("/usr/lib/python3/dist-packages/pytest") else None
    database = sqlite3.connect("data.db"); database.execute("create table t (x)"); database.commit()
    assert subprocess.run(["sh", "-c", "echo $0 | tr a b", "a"], capture_output=True).stdout == b"b\\n"
    os.utime("program.py"); os.chmod("program.py", 0o644)
    assert os.cpu_count() and time.localtime() and uuid.uuid4() and random.SystemRandom().random()
    print("done")
"""}
    assert shell("python3 program.py", files) == "done\n"


@needs("node")
def test_node(shell):
    files = {"program.js": """
const fs = require('fs'), { Worker } = require('worker_threads'), cp = require('child_process');
fs.writeFileSync('out', 'x'); fs.watch('.').close(); fs.chmodSync('out', 0o600);
cp.execSync('echo child');
new Worker('require("worker_threads").parentPort.postMessage(1)', { eval: true })
  .on('message', () => console.log('done'));
"""}
    assert shell("node program.js", files) == "done\n"


def test_text_tools(shell):
    assert shell("""
        seq 200000 | sort -S 1M -T /tmp -rn | head -1
        seq 3 | tee a b | xargs -P 2 -n 1 echo > c; sort c | tail -1
        tar cf t.tar a b; mkdir x; tar xpf t.tar -C x; ls x | wc -l
        gzip a; zcat a.gz | wc -l; find . -name b -newer a.gz | wc -l; touch -d yesterday b
        awk 'END { print NR }' c; sed -i s/1/9/ c; grep -c 9 c; cp -p c d; cmp c d; date > /dev/null
        echo 2+3 | (bc 2>/dev/null || echo 5); mktemp > /dev/null; ls -l /proc/self/fd > /dev/null
    """).split() == ["200000", "3", "2", "3", "0", "3", "1", "5"]


@needs("perl")
def test_perl(shell):
    assert shell("""perl -MFile::Temp=tempfile -MSocket -e '
        my ($h, $n) = tempfile(); socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die;
        my $p = fork // die; exit 3 unless $p; waitpid $p, 0; print $? >> 8, "\\n"'""") == "3\n"


@pytest.fixture
def web():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@needs("curl")
def test_curl_to_one_port(shell, web):
    assert shell(f"curl -sS http://127.0.0.1:{web}/; "
                 f"! curl -sS --max-time 5 http://127.0.0.1:1/ 2>&1 | grep -c refused",
                 net=f"connect:{web}") == "hello0\n"


def test_under_strict(shell):
    assert shell("seq 3 | sort -rn | head -1; ls > /dev/null; python3 -c 'print(1)'",
                 syscalls="strict", signals="", net="none") == "3\n1\n"


def test_a_static_and_a_scripted_program(start, home):
    (home / "work").mkdir()
    (home / "bin").mkdir()
    script = home / "bin" / "greet"
    script.write_text("#!/usr/bin/env python3\nimport sys\nprint(sys.argv)\n")
    script.chmod(0o755)
    broker = start(f"{script} #word\n  word = @word\n{closed(fs_exec='@system')}")
    reply, output = wire.capture(broker.socket, [str(script), "x"], wire.run2)
    assert (reply.status, output.decode()) == (0, f"['{script}', 'x']\n"), reply.text


def test_one_file_and_nothing_else(start, home):
    (home / "work").mkdir()
    (home / "work" / "a").write_text("1\n2\n")
    (home / "work" / "b").write_text("secret\n")
    broker = start("wc -l #file\n  file = @relpath\n  cwd = $HOME/work\n  fs_read = #file\n")
    reply, output = wire.capture(broker.socket, ["wc", "-l", "a"], wire.run2)
    assert (reply.status, output) == (0, b"2 a\n"), reply.text
    (home / "work" / "link").symlink_to("/etc/passwd")
    assert wire.run2(broker.socket, ["wc", "-l", "link"]).status == wire.CONFINE


def concatenated(broker, *names):
    reply, output = wire.capture(broker.socket, ["cat", "--", *names], wire.run2)
    return reply.status, output.decode()


@pytest.mark.parametrize("how", ["cwd = $HOME/work", "under"])
def test_each_file_of_a_list_and_nothing_else(start, home, how):
    """fs_read = #paths of a `...` slot: every value is granted, the first, the last and those between."""
    work = home / "work"
    (work / "d").mkdir(parents=True)
    for name in ("a", "b", "d/c", "other"):
        (work / name).write_text(f"{name}\n")
    (home / "outside").write_text("outside\n")
    (work / "out").symlink_to(home / "outside")
    (work / "in").symlink_to("a")
    pattern, prefix = ("@relpath", "") if how.startswith("cwd") else (f"@under({work})",
                                                                      f"{work}/")
    line = f"  {how}\n" if how.startswith("cwd") else ""
    broker = start(f"cat -- #paths...{{0,64}}\n  paths = {pattern}\n{line}  fs_read = #paths\n\n"
                   f"sh -c #script #paths...{{0,64}}\n  allow_any = script\n  paths = {pattern}\n"
                   f"{line}  fs_read = #paths\n  fs_exec = @system\n")
    names = [prefix + name for name in ("a", "b", "d/c")]
    assert concatenated(broker, *names) == (0, "a\nb\nd/c\n")
    assert concatenated(broker, *names * 20) == (0, "a\nb\nd/c\n" * 20)
    assert concatenated(broker, prefix + "in") == (0, "a\n")
    for wrong in ("out", "d/../../outside"):  # wherever it stands
        for place in range(4):
            asked = names[:place] + [prefix + wrong] + names[place:]
            assert concatenated(broker, *asked)[0] in (wire.CONFINE, wire.NO_RULE), asked
    reply, output = wire.capture(
        broker.socket, ["sh", "-c", f"cd {work}; cat a other b d/c 2>&1 | sed s/.*denied/denied/",
                        *names], wire.run2)
    assert (reply.status, output) == (0, b"a\ndenied\nb\nd/c\n"), reply.text
    # what is not there is named in the answer
    assert concatenated(broker, prefix + "a", prefix + "gone")[0] == wire.CONFINE


# ---- the recipes of docs/confinement.md --------------------------------------------------------------

def recipe(first_words):
    """The rules block of the page that begins with these words."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "confinement.md").read_text()
    (found,) = [block for block in re.findall(r"^```rules\n(.*?)^```$", page, re.M | re.S)
                if block.startswith(first_words)]
    return found


@pytest.fixture
def workspace(home, user):
    work = home / "work"
    work.mkdir()
    (work / "file").write_text("one\n")
    (work / "Makefile").write_text("all:\n\ttest ! -e .git/hooks/x || ! echo x > .git/config\n"
                                   "\tps -e | wc -l > built; cat built\n")
    (work / "test_it.py").write_text("def test_it(tmp_path):\n    (tmp_path / 'x').write_text('x')\n")
    script = ("git init -q . && git config user.email a@example.org && git config user.name A && "
              "git add Makefile && git commit -qm first && touch .git/hooks/x")
    subprocess.run(["sh", "-c", script], cwd=work, check=True, env={"HOME": str(home), **PATH})
    user.own(home)
    return work


PATH = {"PATH": "/usr/bin:/bin"}


def asked(broker, *argv):
    with wire.Output() as output:
        reply = wire.run2(broker.socket, argv, stdout=output, stderr=output)
        text = output.read().decode()
    assert reply.status == 0, (reply.status, reply.text, text)
    return text


@needs("git")
@needs_namespaces
def test_recipe_git(start, workspace):
    broker = start(recipe("git --no-pager log") + recipe("git add"))
    assert asked(broker, "git", "--no-pager", "log", "--oneline", "--max-count=5").endswith("first\n")
    assert asked(broker, "git", "add", "--", "file") == ""
    status = subprocess.run(["git", "-c", f"safe.directory={workspace}", "status", "--short"],
                            cwd=workspace, capture_output=True, text=True, check=True)
    assert "A  file\n" in status.stdout


def package_make():
    """What a registry serves of one package, whose scripts leave a file behind: (tarball, integrity)."""
    files = {"package.json": json.dumps({"name": "greet", "version": "1.0.0",
                                         "scripts": {"install": "node install.js"}}),
             "install.js": "require('fs').writeFileSync('built', process.version)\n"
                           "require('net').connect(+process.env.PORT || 9, '127.0.0.1')"
                           ".on('error', e => require('fs').writeFileSync('reached', e.code))\n"}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo("package/" + name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    digest = hashlib.sha512(data.getvalue()).digest()
    return data.getvalue(), "sha512-" + base64.b64encode(digest).decode()


@pytest.fixture
def registry():
    """A registry on the loopback with one package: (port, what its lock file says of it)."""
    tarball, integrity = package_make()

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/greet/-/greet-1.0.0.tgz"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(tarball) if found else 0))
            self.end_headers()
            self.wfile.write(tarball if found else b"")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    yield port, {"version": "1.0.0", "integrity": integrity, "hasInstallScript": True,
                 "resolved": f"http://127.0.0.1:{port}/greet/-/greet-1.0.0.tgz"}
    server.shutdown()


@needs("node", "npm")
@needs_namespaces
def test_recipe_npm(start, home, user, registry):
    """With the port of the registry changed to what is here."""
    port, package = registry
    work = home / "work"
    (home / ".npm").mkdir()
    (work / ".git" / "hooks").mkdir(parents=True)
    (home / ".npmrc").write_text(f"registry=http://127.0.0.1:{port}/\n")
    application = {"name": "application", "version": "1.0.0", "dependencies": {"greet": "1.0.0"}}
    (work / "package.json").write_text(json.dumps(application))
    (work / "package-lock.json").write_text(json.dumps({
        **application, "lockfileVersion": 3, "requires": True,
        "packages": {"": application, "node_modules/greet": package}}))
    user.own(home)
    broker = start(recipe("npm").replace("connect:53,443", f"connect:53,443,{port}"))
    assert "added 1 package" in asked(broker, "npm", "ci", "--ignore-scripts")
    greet = work / "node_modules" / "greet"
    assert (greet / "install.js").exists() and not (greet / "built").exists()
    asked(broker, "npm", "rebuild")
    assert (greet / "built").exists()
    assert (greet / "reached").read_text() in ("EPERM", "EACCES", "EAFNOSUPPORT")


@needs("git", "make", "gcc", "ps")
@needs_namespaces
def test_recipe_make(start, workspace):
    broker = start(recipe("make"))
    assert int(asked(broker, "make", "all").split()[-1]) < 10
    assert "x" not in (workspace / ".git" / "config").read_text().split()


@needs_namespaces
def test_recipe_pytest(start, workspace):
    broker = start(recipe("python3 -m pytest"))
    assert "1 passed" in asked(broker, "python3", "-m", "pytest", "-q")
