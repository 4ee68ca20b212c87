"""docs/operations.md says what the code does: the events, fields, reasons and messages of its tables are
those of the sources, and its commands run."""
import configparser
import json
import os
import re
import shutil
import subprocess

import pytest
from abilities import needs_mount, needs_others
from conftest import BUILD, ROOT, Broker
from wire import NO_RULE, Connection, run1, wait_for

TEXT = (ROOT / "docs" / "operations.md").read_text()
AUDIT = (ROOT / "runtime" / "broker" / "audit.c").read_text()


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M).group(1)


def column(text, number=0):
    """What stands in `back quotes` in one column of the tables in `text`, headings left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("| `"):
            found += re.findall(r"`([^`]+)`", line.split(" | ")[number])
    return found


def test_every_kind_and_field_is_told():
    written = set(re.findall(r'json_key\w*\(&?\w+(?:->|\.)json, "(\w+)"', AUDIT))
    written |= set(re.findall(r'event_put_optional\(&?\w+, "(\w+)"', AUDIT))
    written |= set(re.findall(r'\{"(\w+)", exit->', AUDIT))
    kinds = set(re.findall(r'(?:audit|event)_begin\(audit, &?\w+, "(\w+)"\)', AUDIT))
    kinds_table, fields_table = section("The manifest").split("| field | in |")
    assert len(kinds) == 10 and set(column(kinds_table)) == kinds
    assert len(written) > 30 and set(column(fields_table)) == written


def test_every_reason_is_told():
    reasons = re.findall(r'^REASON\(\w+, "([^"]+)"',
                         (ROOT / "runtime" / "broker" / "reasons.def").read_text(), re.M)
    assert len(reasons) > 15 and column(section("Reasons of refusals")) == reasons


def shape(text):
    """A message with whatever varies in it as %."""
    return re.sub(r"\bPATH\b|\bN\b|…|%[.*]*(ll)?[a-z]", "%", text)


def test_every_message_is_told():
    messages = set()
    for source in (ROOT / "runtime" / "broker").glob("*.c"):
        if source.name == "main.c":  # of the other commands
            continue
        for call in re.findall(r'notice\(\s*((?:"[^"]*"\s*)+)', source.read_text()):
            messages.add(shape("".join(re.findall(r'"([^"]*)"', call))))
    # What begins with a word of its own, or is one that a start ends with.
    messages -= {"%", "%: %", "%: %: %", "error: it cannot be run: %"}
    told = {shape(text) for text in column(section("What the broker says on standard error"))}
    assert {"error: %", "missing: %", "note: %"} <= told
    told -= {"error: %", "missing: %", "note: %"}
    assert len(messages) > 25
    for message in messages:
        assert any(message.startswith(start.rstrip("%").rstrip()) for start in told), message
    for start in told:
        assert any(message.startswith(start.rstrip("%").rstrip()) for message in messages), start


# ---- starting, signals, limits -------------------------------------------------------------------

RULES = "defaults:\n  logfile = $HOME/log/manifest.jsonl\n\necho #word\n  word = old\n"


def environment(home):
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home),
            "PATH": f"{BUILD}:/usr/sbin:/usr/bin:/sbin:/bin"}


def shell_block(title, number=0):
    return re.findall(r"```sh\n(.*?)```", section(title), re.S)[number]


def is_listened_on(address):
    """The socket is there a moment before it is listened on."""
    try:
        Connection(address).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def test_the_first_start_as_shown(home):
    (home / "agent.rules").write_text(RULES)
    commands = shell_block("Starting one").splitlines()
    assert commands[-1] == "./agent-broker serve"
    commands[-1] = "exec ./agent-broker serve"
    process = subprocess.Popen(["sh", "-ec", "\n".join(commands)], cwd=home, env=environment(home),
                               stdout=subprocess.DEVNULL)
    try:
        # The name of the default socket is as the table of options says.
        address = home / "sluice" / "agent.sock"
        wait_for(lambda: is_listened_on(address) and run1(address, ["echo", "old"]).status == 0,
                 "it to serve", 120)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_options_are_those_of_the_program(compile_rules):
    help_text = subprocess.run([compile_rules(RULES), "--help"], check=True, stdout=subprocess.PIPE,
                               timeout=60).stdout.decode()
    usage = help_text.splitlines()[0]
    told = [text for text in column(section("Starting one")) if text.startswith("--")]
    assert [text.split()[0] for text in told] == re.findall(r"--[a-z-]+", usage)
    signals = {text.strip() for row in re.findall(r"^\| (SIG[^|]*)\|", section("Signals"), re.M)
               for text in row.split(",")}
    assert signals == {"SIG" + name for name in re.findall(r"\b[A-Z]+[0-9]?\b", help_text.split("Signals: ")[1])}


def test_exit_statuses(compile_rules, home):
    binary = compile_rules(RULES)

    def run(*words, **variables):
        return subprocess.run([binary, *words], env={**environment(home), **variables}, timeout=60,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    assert run("check-host").returncode == 0
    assert run("match", "echo", "old").returncode == 0
    assert run("match", "echo", "new").returncode == 1
    assert run("serve", "--sockets").returncode == 2
    without_home = subprocess.run([binary, "check-host"], env={}, timeout=60,
                                  stdout=subprocess.PIPE)
    assert without_home.returncode == 1 and b"HOME" in without_home.stdout
    done = run("serve", "--socket", "/nowhere/at/all.sock")
    assert done.returncode == 2 and done.stderr.startswith(b"sluice: ")


def test_the_status_line_is_told(compile_rules, start_broker):
    text = section("Signals")
    broker = start_broker("true\n")
    assert broker.call("nope").status == NO_RULE
    told = set(column(text))
    (example,) = re.findall(r"^    sluice: status (.*)$", text, re.M)

    def fields(names):
        return {"refused.REASON" if name.startswith("refused.") else name for name in names}

    seen = fields(broker.status())
    assert seen | {"descriptors"} == told == fields(re.findall(r"(\S+)=", example))


def test_the_limits_are_those_of_the_sources():
    def number(file, name):
        text = (ROOT / "runtime" / "broker" / file).read_text()
        return int(re.search(rf"#define {name} \(?(?:\(size_t\))?([0-9]+)", text).group(1))

    text = section("Limits")
    connections = number("connection.h", "CONNECTIONS_MAX")
    surplus = number("connection.h", "CONNECTIONS_SURPLUS")
    assert f"| connections | {connections}, and {surplus} more" in text
    other = number("tables.c", "OTHER_DESCRIPTORS")
    each = number("tables.c", "DESCRIPTORS_A_CALL")
    assert f"| descriptors | {connections + surplus + other} and {each} for each call" in text
    assert number("calls.h", "KEPT_BYTES_MAX") == 64 and "hold 64 MiB at most" in text
    assert number("pool.h", "POOL_SURPLUS_IDLE_MS") == 10000 and "after ten seconds" in text
    assert number("pool.h", "POOL_LAST_IDLE_MS") == 300000 and "after five minutes" in text
    assert number("copiers.h", "COPIERS_KEPT") == 8 and "but for eight" in text
    assert number("copiers.h", "COPIERS_IDLE_MAX") == 128 and "at most 128 are kept" in text
    assert number("capture.h", "CAPTURES_TRIM_MS") == 10000 and "after ten to twenty" in text
    assert number("reload.h", "RELOAD_CHECK_MS") == 30000
    assert "takes more than 30 s to check" in section("Upgrading")


# ---- units ---------------------------------------------------------------------------------------

UNITS = dict(re.findall(r"```ini (\S+)\n(.*?)```", TEXT, re.S))


def test_the_units_are_well_formed(compile_rules, home):
    assert sorted(UNITS) == ["agent-broker.service", "agent-broker.socket", "ci-broker.service",
                             "ci-broker.socket"]
    for name, text in UNITS.items():
        unit = configparser.ConfigParser(delimiters="=", interpolation=None)
        unit.optionxform = str
        unit.read_string(text)  # no key twice
        if name.endswith(".service"):
            assert int(unit["Service"]["TimeoutStopSec"]) > 13
            assert unit["Service"]["KillMode"] == "mixed"
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        return
    binary = compile_rules(RULES)
    for name, text in UNITS.items():
        text = re.sub(r"ExecStart=\S+", f"ExecStart={binary}", text)
        (home / name).write_text(re.sub(r"(User|SocketUser|SocketGroup)=\S+", r"\1=root", text))
    for scope, prefix in (("--user", "agent"), ("--system", "ci")):
        done = subprocess.run([analyze, scope, "--man=no", "verify",
                               *sorted(home.glob(f"{prefix}-broker.*"))], timeout=60,
                              env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = [line for line in done.stdout.decode().splitlines() if f"{prefix}-broker" in line]
        assert not said, said


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="not installed")
def test_a_socket_of_the_service_manager(compile_rules, home):
    """The tool makes the socket as the unit says, and starts the broker at the first connection."""
    address = home / "agent.sock"
    process = subprocess.Popen(
        ["systemd-socket-activate", "--seqpacket", f"--listen={address}",
         "--setenv=HOME=" + str(home), compile_rules(RULES), "serve"], env=environment(home),
        stderr=subprocess.DEVNULL)
    try:
        wait_for(address.exists, "the socket")
        wait_for(lambda: connects(address), "somebody to listen")
        assert run1(address, ["echo", "old"]).status == 0
        process.terminate()
        assert process.wait(60) == 0
        assert address.exists()
    finally:
        process.kill()
        process.wait()


def connects(address):
    try:
        Connection(address).close()
    except ConnectionRefusedError:
        return False
    return True


@needs_mount
@needs_others
def test_a_covered_proc_takes_isolate_pid_away(compile_rules, home):
    """As ProtectKernelTunables covers it; check-host and the start say so."""
    binary = compile_rules("defaults:\n  socket = $HOME/b.sock\n\ntrue\n  isolate = pid\n")
    cover = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\""
    # Root needs no user namespace, in which alone the kernel minds; an ordinary user does.
    home.chmod(0o755)
    shutil.copy(binary, home / "b")
    os.chown(home, 65534, 65534)

    def check(*wrapper):
        return subprocess.run([*wrapper, "setpriv", "--reuid", "65534", "--regid", "65534",
                               "--clear-groups", home / "b", "check-host"], env=environment(home),
                              stdout=subprocess.PIPE, timeout=60)

    plain = check()
    if plain.returncode != 0:
        pytest.skip("this host has no user namespaces: " + plain.stdout.decode())
    covered = check("unshare", "-m", "sh", "-c", cover, "sh")
    assert covered.returncode == 1 and b"missing: true: isolate" in covered.stdout


# ---- upgrading -----------------------------------------------------------------------------------

def test_an_upgrade_as_shown(home):
    (home / "agent.rules").write_text(RULES)
    subprocess.run([BUILD / "sluicec", home / "agent.rules", "-o", home / "agent-broker"], check=True,
                   timeout=120)
    broker = Broker(home / "agent-broker", home)
    try:
        (home / "agent.rules").write_text(RULES.replace("= old", "= new"))
        commands = re.sub(r"systemctl .*", f"kill -HUP {broker.pid}", shell_block("Upgrading"))
        subprocess.run(["sh", "-ec", commands], check=True, cwd=home, env=environment(home),
                       timeout=120)
        broker.wait_event("reload")
        assert "note" not in broker.events("reload")[0]
        assert broker.call("echo", "new").status == 0
        assert broker.call("echo", "old").status == NO_RULE
    finally:
        broker.kill()


def test_links_lead_somewhere():
    def anchor(title):
        return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")

    for page, name in re.findall(r"\]\(([a-z.]*)#([^)]+)\)", TEXT):
        text = (ROOT / "docs" / page).read_text() if page else TEXT
        assert name in {anchor(title) for title in re.findall(r"^#+ (.*)$", text, re.M)}, name


# ---- the record ----------------------------------------------------------------------------------

def test_the_queries_run(start_broker):
    broker = start_broker("echo #a #b\n  allow_any = a, b\n\nsleep #n\n  n = [0-9]+\n")
    assert broker.call("echo", "a", "b c").status == 0
    assert broker.call("nope").status == NO_RULE
    assert broker.call("nope").status == NO_RULE
    broker.wait_event("exit")
    block = re.search(r"```sh\n(.*?)```", section("Reading it"), re.S).group(1)
    refused, calls, open_ones = (part.split("\n", 1)[1] for part in block.strip().split("\n\n"))

    def run(command):
        return subprocess.run(["sh", "-c", command], cwd=broker.manifest.parent, check=True,
                              stdout=subprocess.PIPE, timeout=60).stdout.decode()

    assert run(refused).split() == ["2", "no_rule"]
    number, status, _, argv = run(calls).rstrip("\n").split("\t")
    assert (number, status, argv) == ("1", "0", "echo a b c")
    assert json.loads(run(open_ones)) == []


def test_logrotate_does_as_it_is_told(start_broker, home):
    broker = start_broker("true\n")
    assert broker.call("true").status == 0
    broker.wait_event("exit")
    text = re.search(r"^    (/home/ci.*?^    \})", section("Rotating"), re.S | re.M).group(1)
    text = text.replace("/home/ci/.local/state/sluice", str(home / "log"))
    text = text.replace("su ci ci\n", "su root root\n" if os.getuid() == 0 else "\n")
    text = re.sub(r"systemctl .*", f"kill -HUP {broker.pid}", text)
    config = home / "logrotate.conf"
    config.write_text(text)
    subprocess.run(["logrotate", "--force", "--state", home / "state", config], check=True,
                   timeout=60, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    wait_for(lambda: broker.manifest.exists() and broker.events("reload"), "the reload")
    assert broker.call("true").status == 0
    wait_for(lambda: broker.events("exit"), "the end of the call")
    rotated = [json.loads(line) for line in (home / "log" / "manifest.jsonl.1").read_text().splitlines()]
    assert [event["kind"] for event in rotated] == ["serve", "start", "exit"]
    assert [event["kind"] for event in broker.events()] == ["reload", "start", "exit"]


def test_a_logfile_by_date_as_shown(compile_rules, home):
    stanza = re.search(r"^    (defaults:\n.*?\n)\n", section("Rotating"), re.S | re.M).group(1)
    rules = re.sub(r"^    ", "", stanza, flags=re.M) + "\ntrue\n"
    broker = Broker(compile_rules(rules), home)
    try:
        assert broker.call("true").status == 0
        assert len(list((home / ".local/state/sluice").glob("????-??-??.jsonl"))) in (1, 2)
    finally:
        broker.kill()
