"""The same job by other programs: run /bin/true for somebody who asks by running a command.

Each lane starts one command and waits for it, as a script would. They do not do the same: sudo and
doas change the user and look at who asks, ssh encrypts and authenticates, bwrap makes namespaces and
nothing else, systemd-run makes a unit. What one lacks on this machine is left out, with the reason.

Their configuration lies in a copy of /etc and in temporary folders, in a mount namespace of this
process and its children: nothing of it outlives the run."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import brokers
from brokers import Broker, SLUICIFY, run_load

SECONDS, SLICE_MS = 1.5, 150
TARGET = "/bin/true"


def run(*argv, **more):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


class Settings:
    """A private /etc, and an sshd that listens on the loopback."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.sshd = None
        self.port = 0
        self.made = []

    def privatise(self):
        run("mount", "--make-rprivate", "/")
        run("cp", "-a", "/etc", self.folder / "etc")
        run("mount", "--bind", self.folder / "etc", "/etc")
        Path("/etc/doas.conf").write_text("permit nopass root as root cmd /bin/true\n")
        os.chmod("/etc/doas.conf", 0o600)
        Path("/etc/sudoers").write_text("root ALL=(root) NOPASSWD: /bin/true\n")
        os.chmod("/etc/sudoers", 0o440)

    def sshd_start(self):
        key, host = self.folder / "key", self.folder / "host"
        for path in (key, host):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
        shutil.copy(f"{key}.pub", self.folder / "authorized")
        if not Path("/run/sshd").exists():
            Path("/run/sshd").mkdir(mode=0o755)
            self.made.append("/run/sshd")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = self.folder / "sshd_config"
        config.write_text(f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {host}\nPidFile none\n"
                          f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\n"
                          f"PermitRootLogin yes\nForceCommand {TARGET}\nMaxSessions 100\n"
                          "PerSourcePenalties no\n")
        if subprocess.run(["sshd", "-t", "-f", config], capture_output=True).returncode:
            config.write_text(config.read_text().replace("PerSourcePenalties no\n", ""))
        self.sshd = subprocess.Popen([shutil.which("sshd"), "-D", "-f", config],
                                     stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while subprocess.run(self.ssh(), capture_output=True).returncode:
            if time.monotonic() > end or self.sshd.poll() is not None:
                raise RuntimeError("sshd does not answer")
            time.sleep(0.05)

    def ssh(self, *options):
        return ["/usr/bin/ssh", "-F", "none", "-q", "-T", "-i", str(self.folder / "key"),
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "BatchMode=yes", "-p", str(self.port), *options, "root@127.0.0.1", "true"]

    def close(self):
        if self.sshd:
            subprocess.run(self.ssh("-O", "exit", "-o", f"ControlPath={self.folder}/master"),
                           capture_output=True)
            self.sshd.terminate()
            self.sshd.wait()
        for folder in self.made:
            os.rmdir(folder)


def candidates(settings, broker):
    """(name, argv) of each, or (name, None, reason)."""
    yield "floor: posix_spawn", [TARGET]
    yield "sluicify", [str(SLUICIFY), "-s", str(broker.socket), TARGET]
    for name, argv in {
            "sudo -n": ["sudo", "-n", TARGET],
            "doas -n": ["doas", "-n", TARGET],
            "bwrap": ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", TARGET],
            "systemd-run": ["systemd-run", "--quiet", "--wait", "--pipe", TARGET],
    }.items():
        path = shutil.which(argv[0])
        if not path:
            yield name, None, "not installed (make bench-deps)"
            continue
        tried = subprocess.run([path, *argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env=brokers.ENVIRONMENT)
        if tried.returncode:
            said = tried.stdout.strip().splitlines()
            yield name, None, said[-1] if said else f"exit {tried.returncode}"
        else:
            yield name, [path, *argv[1:]]
    if not shutil.which("sshd") or not shutil.which("ssh"):
        yield "ssh", None, "not installed (make bench-deps)"
        return
    try:
        settings.sshd_start()
    except (RuntimeError, subprocess.CalledProcessError) as failure:
        yield "ssh", None, str(failure)
        return
    yield "ssh, ForceCommand", settings.ssh()
    master = ["-o", f"ControlPath={settings.folder}/master"]
    subprocess.run(settings.ssh(*master, "-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    yield "ssh, shared connection", settings.ssh(*master)


def compare():
    """Runs in a mount namespace of its own. Prints JSON."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        settings = Settings(folder)
        settings.privatise()
        try:
            with Broker(brokers.policy(brokers.CONFINED, "@FOLDER")) as broker:
                lanes, missing = [], []
                for name, argv, *reason in candidates(settings, broker):
                    if argv:
                        lanes.append((name, "spawn", None, argv))
                    else:
                        missing.append({"lane": name, "missing": reason[0]})
                rows = list(run_load(lanes, 1, SECONDS, SLICE_MS).values())
                print(json.dumps(rows + missing))
        finally:
            settings.close()
            subprocess.run(["umount", "-l", "/etc"], check=True)


def measure():
    print("\nbeside others: one command run and waited for, /bin/true inside")
    if os.geteuid() != 0:
        print("  left out: needs root, for a mount namespace with their settings")
        return []
    done = subprocess.run(["unshare", "-m", sys.executable, __file__], stdout=subprocess.PIPE,
                          text=True, check=True)
    rows = json.loads(done.stdout)
    for row in rows:
        if "missing" in row:
            print(f"  {row['lane']:<28}left out: {row['missing']}")
        else:
            row["to_floor_p50"] = row["p50_us"] / rows[0]["p50_us"]
            print(f"  {row['lane']:<28}p50 {row['p50_us'] / 1000:>8.2f} ms   "
                  f"p99 {row['p99_us'] / 1000:>8.2f} ms   {row['to_floor_p50']:>6.1f} x floor")
    return rows


if __name__ == "__main__":
    compare()
