"""docs/operations.md says what the code does: the events, fields, reasons and messages of its tables are
those of the sources, and its commands run."""
import json
import os
import re
import subprocess

from conftest import ROOT, Broker
from wire import NO_RULE, wait_for

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


def test_every_message_is_told():
    messages = [re.sub(r"%[.*]*(ll)?[a-z]", "%", text)
                for text in re.findall(r'notice\("([^"]+)"', AUDIT)]
    told = [re.sub(r"\bPATH\b|\bN\b|…", "%", text)
            for text in column(section("What the broker says of it on standard error"))]
    for message in messages:
        assert any(message.startswith(start.rstrip("%")) for start in told), message
    for start in told:
        assert any(message.startswith(start.rstrip("%")) for message in messages), start


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
