"""What the documents name is there: the tests that hold a promise, and the pages that they link."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NAMED_TEST = re.compile(r"`(tests/[\w/.-]+)::(\w+)`")
LINK = re.compile(r"\]\(([^)#\s]+)?(#[^)\s]+)?\)")


def heading_anchors(page):
    """The anchors of a page's headings, as hosts of Markdown make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ +(.*)$", text, re.M)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in headings}


def run_from(path):
    """The tests of a file that are run."""
    if not path.is_file():
        return []
    return re.findall(r"^def (test_\w+)" if path.suffix == ".py" else r"cmocka_unit_test\w*\((\w+)",
                      path.read_text(), re.M)


def missing_tests(text, root):
    """The tests that a text names and that are not in their files."""
    return [f"{file}::{test}" for file, test in NAMED_TEST.findall(text)
            if test not in run_from(root / file)]


def test_a_test_that_is_not_there_is_found(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").write_text("def test_one():\n    pass\n")
    text = "`tests/test_x.py::test_one` `tests/test_x.py::test_two` `tests/test_y.py::test_one`"
    assert missing_tests(text, tmp_path) == ["tests/test_x.py::test_two", "tests/test_y.py::test_one"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_exist(page):
    assert missing_tests(page.read_text(), ROOT) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), f"{target} is not there"
        if anchor and file.suffix == ".md":
            assert anchor in heading_anchors(file), f"{target}{anchor}: no such heading"
