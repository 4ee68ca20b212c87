"""A compile that asks for warnings tells them before anything is written, and writes nothing where one counts as an
error."""

import pytest

from compiling import sluicec

MAKE = "make test\n"  # runs-caller-files


@pytest.mark.parametrize("options, status, severity", [
    ([], 0, None),
    (["-Wruns-caller-files"], 0, "warning"),
    (["-Werror=runs-caller-files"], 1, "error"),
    (["--strict"], 1, "error"),
    (["--strict", "-Wno-runs-caller-files"], 0, None),
])
@pytest.mark.parametrize("output", ["-o", "--emit"])
def test_what_is_warned_of(tmp_path, options, status, severity, output):
    (tmp_path / "agent.rules").write_text(MAKE)
    said = sluicec("agent.rules", output, "made", *options, cwd=tmp_path)
    assert said.returncode == status, said.stderr
    assert (tmp_path / "made").exists() == (status == 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["agent.rules"] + ["made"] * (status == 0))
    assert (f" {severity}: make runs code" in said.stderr) == (severity is not None), said.stderr
    assert said.stderr.count("make runs code") == (severity is not None)


def test_an_old_output_stays(tmp_path):
    (tmp_path / "agent.rules").write_text(MAKE)
    (tmp_path / "made").write_text("old")
    assert sluicec("agent.rules", "-o", "made", "--strict", cwd=tmp_path).returncode == 1
    assert (tmp_path / "made").read_text() == "old"


def test_rules_with_errors_are_said_once(tmp_path):
    (tmp_path / "agent.rules").write_text("make #x\n")
    said = sluicec("agent.rules", "-o", "made", "--strict", cwd=tmp_path)
    assert said.returncode == 1 and said.stderr.count("error:") == 1
