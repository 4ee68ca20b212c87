"""Runs tests under another kernel, in a virtual machine without a disk: its root is this host's file
system, read-only, and what it writes is gone with it. For what this host's kernel does not have: the
controllers of cgroup v2, above all, where version 1 has them.

  guest.py KERNEL TEST...

KERNEL is a folder with boot/vmlinuz-* and lib/modules, such as Debian's linux-image-amd64 unpacked by
`dpkg -x` ("/" on most machines that boot). Needs qemu-system-x86_64; software emulation will do."""
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).resolve()
PATIENCE_S = 1800

# What a root over 9p needs, each after what it needs itself. Some kernels have some of it built in.
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "netfs", "fscache", "9pnet", "9pnet_virtio", "9p")


def entry(name, mode, data=b""):
    """One file of a "newc" archive (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initial_files(modules):
    archive = entry("init", 0o100755, (BUILD / "tests/confinement/guest_init").read_bytes())
    archive += entry("dev", 0o040755) + entry("modules", 0o040755)
    # /dev/console is what the first process writes to
    console = entry("dev/console", 0o020600)
    archive += console[:78] + b"%08X%08X" % (5, 1) + console[94:]
    found = [file for name in MODULES for file in modules.rglob(f"{name}.ko")]
    for number, file in enumerate(found):
        archive += entry(f"modules/{number:02}.ko", 0o100644, file.read_bytes())
    return archive + entry("TRAILER!!!", 0)


def main(kernel, *tests):
    image = sorted(Path(kernel, "boot").glob("vmlinuz-*"))[-1]
    modules = Path(kernel, "lib/modules") / image.name.removeprefix("vmlinuz-")
    with tempfile.NamedTemporaryFile() as initial:
        initial.write(initial_files(modules))
        initial.flush()
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
                   "-smp", "2", "-m", "1536", "-no-reboot", "-nodefaults", "-display", "none",
                   "-serial", "stdio", "-kernel", image, "-initrd", initial.name,
                   "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
                   "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
                   "-append", f"console=ttyS0 quiet panic=-1 SLUICE_ROOT={ROOT} "
                              f"SLUICE_BUILD={BUILD} SLUICE_TESTS={','.join(tests)}"]
        ended = None
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
            patience = threading.Timer(PATIENCE_S, machine.kill)
            patience.start()
            for line in machine.stdout:
                text = line.decode(errors="replace").rstrip()
                print(text, flush=True)
                if text.startswith("guest: "):
                    ended = text == "guest: 0"
            patience.cancel()
    return 0 if ended else 1


sys.exit(main(*sys.argv[1:]))
