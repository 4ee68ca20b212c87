"""The 99th percentile of a neighbour's call while others misuse the broker, as JSON: `make
bench-neighbours`. Each trouble meets a broker of its own; see neighbours.c for what they do."""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "broker"))

from conftest import BUILD, Broker  # noqa: E402

RULES = """\
defaults:
  logfile = $HOME/log/manifest.jsonl

true
flood
  exec_path = {bin}
  stdoutfile = $HOME/log/flood
"""
TROUBLES = ("none", "idle", "silent", "half-open", "unread", "refused")


def measure(trouble, calls):
    home = Path(tempfile.mkdtemp(prefix="neighbours-", dir="/tmp"))
    try:
        (home / "bin").mkdir()
        flood = home / "bin" / "flood"
        flood.write_text("#!/bin/sh\nexec yes\n")
        flood.chmod(0o755)
        (home / "n.rules").write_text(RULES.format(bin=f"{home / 'bin'}:/bin:/usr/bin"))
        subprocess.run([BUILD / "sluicec", home / "n.rules", "-o", home / "compiled"], check=True)
        broker = Broker(home / "compiled", home)
        try:
            done = subprocess.run([BUILD / "tests" / "bench" / "neighbours", broker.socket, str(calls),
                                   trouble], check=True, stdout=subprocess.PIPE, timeout=300)
            return json.loads(done.stdout)
        finally:
            broker.kill()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def show(row):
    """Prints a row for people; gives it back."""
    figures = "   ".join(f"{kind} {row[kind]['p50_us'] / 1000:.2f} ms, 99 of 100 in "
                         f"{row[kind]['p99_us'] / 1000:.2f} ms" for kind in ("call", "refusal"))
    print(f"{row['trouble']:>10}   {figures}", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("troubles", nargs="*", default=TROUBLES)
    options = parser.parse_args()
    for trouble in options.troubles:
        print(json.dumps(measure(trouble, options.calls)), flush=True)


if __name__ == "__main__":
    main()
