"""What this process may do on this host, each found out by doing it. Being root says little: in a
container root often has neither mounts nor other users, and outside an ordinary user may have some.
For skipping what cannot be tested here."""
import functools
import os
import subprocess
import sys

import pytest

FOREIGN_UID = 600000  # from here on, plus a process's number: uids that nobody else on a host has


def _succeeds(*command):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60, check=False).returncode == 0
    except FileNotFoundError:
        return False


@functools.cache
def can_mount(*namespaces):
    """unshare(1) with a mount namespace and these others, and something mounted in it."""
    return _succeeds("unshare", "--mount", *namespaces, "mount", "-t", "tmpfs", "none", "/tmp")


@functools.cache
def can_isolate():
    """All namespaces that a rule may ask for: an ordinary user's way, or a privileged one's."""
    ways = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "true")
    return (_succeeds("unshare", "--user", "--map-root-user", *ways) or
            _succeeds("unshare", *ways))


@functools.cache
def can_be_others():
    """Giving files to other users and becoming one of them, for good."""
    return _succeeds(sys.executable, "-c", f"""
import os, tempfile
uid = {FOREIGN_UID} + os.getpid()
with tempfile.NamedTemporaryFile() as file:
    os.chown(file.name, uid, uid)
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
""")


@functools.cache
def can_look_into(pid):
    """Reading what the descriptors of a process that is not dumpable are."""
    try:
        return bool(os.readlink(f"/proc/{pid}/fd/0"))
    except OSError:
        return False


needs_mount = pytest.mark.skipif(not can_mount(), reason="mounts cannot be made here")
needs_namespaces = pytest.mark.skipif(not can_isolate(), reason="no namespaces can be made here")
needs_others = pytest.mark.skipif(not can_be_others(), reason="no other user can be become here")
