"""Command lines as the analyses show them, read back."""

import shlex
import subprocess


def words(line):
    """The words of a line as a shell takes it; bash reads $'...', which shlex does not know."""
    if "$'" not in line:
        return shlex.split(line)
    shown = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    return shown.decode().split("\0")[:-1]
