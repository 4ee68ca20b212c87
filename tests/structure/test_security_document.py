"""docs/SECURITY.md names a test for each promise: every one of them exists, and is one that is run."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "SECURITY.md").read_text()
PROMISES = re.search(r"^## What is promised\n(.*?)^## ", TEXT, re.S | re.M).group(1)


def names_in(path):
    text = (ROOT / path).read_text()
    if path.endswith(".py"):
        return set(re.findall(r"^def (test_\w+)", text, re.M))
    return set(re.findall(r"cmocka_unit_test\w*\((\w+)", text))


def test_every_named_test_exists():
    named = re.findall(r"`(tests/[^`:]+)::([^`]+)`", TEXT)
    assert len(named) > 60
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(path)]
    assert not missing


def test_every_promise_has_a_test():
    rows = [line for line in PROMISES.splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    for row in rows[1:]:
        assert "tests/" in row.split(" | ")[1], row


def test_links_lead_somewhere():
    def anchor(title):
        return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")

    links = re.findall(r"\]\(([A-Za-z.]*)(?:#([^)]+))?\)", TEXT)
    assert len(links) > 8
    for page, name in links:
        text = (ROOT / "docs" / page).read_text() if page else TEXT
        titles = {anchor(title) for title in re.findall(r"^#+ (.*)$", text, re.M)}
        assert not name or name in titles, (page, name)
