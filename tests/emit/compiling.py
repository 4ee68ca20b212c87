"""What the tests of compiles share."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).resolve()
SLUICEC = BUILD / "sluicec"

RULES = """\
defaults:
  timeout = 60s

; What has changed.
git status
git push origin #branch
  branch = [a-z][a-z0-9-]{0,40}
git commit -m #message
  message = [ -~]{1,2000}
make --jobs=#{n} #target
  n = [1-9][0-9]?
  target = all|check|clean
"""


def sluicec(*arguments, env=None, cwd=None, timeout=120, **more):
    """Runs the compiler; standard error is in .stderr."""
    return subprocess.run([SLUICEC, *map(str, arguments)], capture_output=True, encoding="utf-8",
                          errors="replace", env=env, cwd=cwd, timeout=timeout, check=False, **more)


def compiled(folder, rules=RULES, name="agent", *options, env=None):
    """Compiles rules in a folder; the broker's path."""
    source = folder / f"{name}.rules"
    source.write_text(rules)
    broker = folder / f"{name}-broker"
    done = sluicec(source, "-o", broker, *options, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return broker


def emitted(folder, rules=RULES, name="agent"):
    """The generated files of some rules: {relative path: text}."""
    folder.mkdir(exist_ok=True)
    source = folder / f"{name}.rules"
    source.write_text(rules)
    out = folder / "out"
    done = sluicec("--emit", out, source)
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(out)): path.read_text() for path in sorted(out.rglob("*"))
            if path.is_file()}


def decide(broker, *argv):
    """What a broker's own `match` says: (exit status, text)."""
    done = subprocess.run([broker, "match", *argv], capture_output=True, encoding="utf-8",
                          timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
