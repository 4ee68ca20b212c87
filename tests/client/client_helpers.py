"""What the client's tests share beside fixtures."""
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def clean_environment(**more):
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith("SLUICE") and k != "XDG_RUNTIME_DIR"}
    environment.update(more)
    return environment


def wire_statuses():
    """{name: (status, exit code, text)} as runtime/shared/status.def has them."""
    text = (ROOT / "runtime/shared/status.def").read_text()
    found = re.findall(r'^STATUS\((\w+), (-\d+), (\d+), "([^"]+)"\)', text, re.M)
    assert len(found) == 11
    return {name: (int(status), int(code), words) for name, status, code, words in found}
