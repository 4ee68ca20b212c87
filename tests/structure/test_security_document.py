"""docs/SECURITY.md names a test for each promise. That those tests exist: test_documents.py."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "SECURITY.md").read_text()
PROMISES = re.search(r"^## What is promised\n(.*?)^## ", TEXT, re.S | re.M).group(1)


def test_every_promise_has_a_test():
    rows = [line for line in PROMISES.splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    for row in rows[1:]:
        assert "tests/" in row.split(" | ")[1], row
