"""examples/agent.rules as it stands, and the recipe for gh: what it allows works, in a network of its own with a name server
that speaks TCP alone and a git server on port 443."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import abilities
import wire
from conftest import ROOT, broker_tests
from test_ordinary import recipe

STAGE = Path(__file__).resolve().parent / "stage.py"
PATH = {"PATH": "/usr/bin:/bin"}

pytestmark = [
    pytest.mark.skipif(not abilities.can_mount("--net"), reason="no network of its own for a broker"),
    pytest.mark.skipif(not all(map(shutil.which, ("git", "make", "gcc", "unshare"))),
                       reason="git, make, gcc and unshare are needed")]

MAKEFILE = """
all: hello
\t./hello
hello: hello.c
\tgcc -o $@ $<
check:
\t! test -w .git/hooks/pre-commit
\t! { echo x > .git/config; } 2>/dev/null
"""


def sh(folder, home, script):
    subprocess.run(["sh", "-euc", script], cwd=folder, check=True,
                   env={"HOME": str(home), **PATH})


@pytest.fixture
def agent(compile_rules, home, user):
    """A broker of agent.rules for a checkout whose origin is http://git.test:443/repo.git."""
    home.chmod(0o755)
    work = home / "work"
    work.mkdir()
    (home / "srv").mkdir()
    (home / "state").mkdir()
    sh(home, home, "git init -q --bare srv/repo.git; git -C srv/repo.git config http.receivepack true")
    (work / "Makefile").write_text(MAKEFILE)
    (work / "hello.c").write_text('#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n')
    sh(work, home, """
        git init -q -b main . ; git config user.email a@example.org; git config user.name A
        touch .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
        git add Makefile; git commit -qm first
        git remote add origin http://git.test:443/repo.git""")
    user.own(home)
    rules = (ROOT / "examples" / "agent.rules").read_text()
    broker = broker_tests.Broker(
        compile_rules(rules), home, env={"XDG_STATE_HOME": str(home / "state")},
        wrapper=("unshare", "--mount", "--net", sys.executable, str(STAGE), str(home),
                 str(user.uid)))
    yield broker
    broker.kill()


@pytest.fixture
def staged(compile_rules, home, user):
    """staged(rules): a broker of these rules in that network."""
    started = []

    def staged(rules):
        home.chmod(0o755)
        user.own(home)
        started.append(broker_tests.Broker(
            compile_rules(rules), home, wrapper=("unshare", "--mount", "--net", sys.executable,
                                                 str(STAGE), str(home), str(user.uid))))
        return started[-1]

    yield staged
    for broker in started:
        broker.kill()


def asked(broker, *argv, status=0):
    with wire.Output() as output:
        reply = wire.run2(broker.socket, argv, stdout=output, stderr=output)
        text = output.read().decode()
    assert reply.status == status, (reply.status, reply.text, text)
    return text


def git(broker, *argv, **more):
    return asked(broker, "git", *argv, **more)


def test_what_agent_rules_allow(agent, home):
    assert "hello.c" in git(agent, "status", "--short", "--branch")
    assert git(agent, "switch", "--create", "agent/one") != ""
    assert git(agent, "add", "--", "hello.c", "Makefile") == ""
    assert "second" in git(agent, "-c", "core.hooksPath=/dev/null", "commit", "--no-verify",
                           "--message", "second")
    assert "second" in git(agent, "--no-pager", "log", "--oneline", "--max-count=5", "HEAD")
    assert "hello.c" in git(agent, "--no-pager", "show", "--stat", "HEAD")
    assert "puts" in git(agent, "--no-pager", "diff", "--no-ext-diff", "--no-textconv", "HEAD~1",
                         "--", "hello.c")
    assert asked(agent, "make", "all").endswith("hello\n")
    asked(agent, "make", "check")
    text = git(agent, "-c", "core.hooksPath=/dev/null", "push", "--no-verify", "origin", "agent/one")
    assert "new branch" in text and "error" not in text and "warning" not in text, text
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", home / "srv" / "repo.git", "log",
                           "--format=%s", "agent/one"], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["second", "first"]
    assert (home / "work/.git/refs/remotes/origin/agent/one").exists()
    assert git(agent, "push", "--force", "origin", "main", status=wire.NO_RULE) == ""


@pytest.mark.skipif(not shutil.which("gh", path="/usr/bin:/bin"), reason="gh is not installed")
def test_recipe_gh(staged, home):
    """With GitHub's host and port changed to what is here; the name is asked for by TCP."""
    rules = recipe("gh ").replace("connect:53,443", "connect:53,80")
    rules = rules.replace("GH_PAGER=cat", "GH_PAGER=cat, GH_HOST=github.localhost")
    (home / "work").mkdir()
    sh(home / "work", home, "git init -q .; git remote add origin https://github.localhost/o/r.git")
    (home / ".config" / "gh").mkdir(parents=True)
    (home / ".config" / "gh" / "hosts.yml").write_text(
        "github.localhost:\n  oauth_token: of-the-test\n  user: someone\n  git_protocol: https\n")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id").write_text("secret")
    shell = rules.replace("gh pr view #number --comments", "cat -- #number").replace(
        "number = @int(1,999999)", "number = @abspath")
    broker = staged(rules + "\n" + shell)
    assert "looks right" in asked(broker, "gh", "pr", "view", "7", "--comments")
    assert "token" in asked(broker, "cat", "--", f"{home}/.config/gh/hosts.yml")
    assert "denied" in asked(broker, "cat", "--", f"{home}/.ssh/id", status=1)
