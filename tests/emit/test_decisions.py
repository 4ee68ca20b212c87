"""The corpus of decisions once more: this time the compiled broker decides."""

import sys

import pytest

from compiling import ROOT, compiled, decide

sys.path.insert(0, str(ROOT / "tests/language"))
import decisions  # noqa: E402

FILES = sorted(decisions.FOLDER.glob("*.decisions"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_broker_decides_as_the_corpus_says(path, tmp_path):
    broker = compiled(tmp_path, path.with_suffix(".rules").read_text(), path.stem)
    wrong = []
    for verdict, argv in decisions.read(path):
        status, said = decide(broker, *argv)
        if verdict.isdigit():
            good = status == 0 and said.startswith(f"{path.stem}.rules:{verdict}: ")
        else:
            good = status == 1
        if not good:
            wrong.append((verdict, argv, said))
    assert not wrong
