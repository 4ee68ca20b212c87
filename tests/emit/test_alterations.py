"""A compile whose generated code was altered behind the emitter's back fails (alterations.c)."""

import os
import subprocess
from pathlib import Path

BUILD = Path(os.environ.get("SLUICE_BUILD", "build")).resolve()


def test_every_alteration_is_found(tmp_path):
    program = BUILD / "tests/emit/alterations"
    done = subprocess.run([program], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [], "something was left behind"
