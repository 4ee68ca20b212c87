"""Bytes a second of a program's output: through tee(1), through a captured call, and straight. The
files lie in memory where there is a tmpfs, so that it is not the disk that is measured."""

import array
import os
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import brokers
from brokers import BUILD, Broker

FLOOD = BUILD / "tests/bench/static-flood"
BLOCKS = {"4 KiB writes": 4096, "64 KiB writes": 65536, "1 MiB writes": 1048576}
ROUNDS = 5
MAGIC, VERSION, CALL = 0x534C4358, 2, 1


def request(argv):
    words = [str(word).encode() for word in argv]
    return struct.pack("<IIIII", MAGIC, VERSION, CALL, 0, len(words)) + b"".join(
        struct.pack("<I", len(word)) + word for word in words) + struct.pack("<II", 0, 0)


class Reader(threading.Thread):
    """Reads a pipe to its end, 64 KiB at a time."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe, self.count = pipe, 0
        self.start()

    def run(self):
        buffer = [bytearray(65536)]
        while got := os.readv(self.pipe, buffer):
            self.count += got
        os.close(self.pipe)


def by_call(broker, argv):
    """One call whose output comes through a pipe. Seconds, and bytes that came."""
    read, write = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(broker.socket))
        begin = time.monotonic()
        connection.sendmsg([request(argv)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                              array.array("i", [null, write, null]))])
        os.close(write)
        os.close(null)
        reader = Reader(read)
        status = struct.unpack("<i", connection.recv(65536)[8:12])[0]
        reader.join()
    if status != 0:
        raise RuntimeError(f"the call ended with {status}")
    return time.monotonic() - begin, reader.count


def by_tee(path, argv):
    read, write = os.pipe()
    begin = time.monotonic()
    flood = subprocess.Popen(argv, stdout=subprocess.PIPE)
    tee = subprocess.Popen(["tee", path], stdin=flood.stdout, stdout=write)
    flood.stdout.close()
    os.close(write)
    reader = Reader(read)
    if flood.wait() or tee.wait():
        raise RuntimeError("tee failed")
    reader.join()
    return time.monotonic() - begin, reader.count


def measure(mebibytes=128):
    results = []
    rules = "".join(f"{FLOOD} {mebibytes} {block}\n" for block in BLOCKS.values())
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    plain = Broker(brokers.policy(brokers.CONFINED, "@FOLDER", extra=rules), where=where)
    captured = Broker(brokers.policy(brokers.CONFINED, "@FOLDER", True, extra=rules), where=where)
    with plain, captured, tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=where) as folder:
        for name, block in BLOCKS.items():
            argv = [str(FLOOD), str(mebibytes), str(block)]
            ways = {"tee(1)": (Path(folder) / "tee", lambda: by_tee(f"{folder}/tee", argv)),
                    "captured call": (captured.folder / "out", lambda: by_call(captured, argv)),
                    "uncaptured call": (None, lambda: by_call(plain, argv))}
            speeds = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, (path, run) in ways.items():
                    seconds, count = run()
                    if count != mebibytes << 20:
                        raise RuntimeError(f"{way}: {count} bytes came")
                    speeds[way].append(count / seconds / 1e9)
                    if path:
                        wait_for_size(path, count)
                        os.truncate(path, 0)
            row = {"writes": name, **{way: statistics.median(each) for way, each in speeds.items()}}
            row["to_tee"] = row["captured call"] / row["tee(1)"]
            results.append(row)
            print(f"  {name:<14} tee(1) {row['tee(1)']:.2f} GB/s   captured "
                  f"{row['captured call']:.2f} GB/s ({row['to_tee']:.2f} x tee)   uncaptured "
                  f"{row['uncaptured call']:.2f} GB/s", flush=True)
    return results


def wait_for_size(path, size):
    """The file has every byte; the caller may have had its last ones a moment earlier."""
    end = time.monotonic() + 30
    while os.stat(path).st_size != size:
        if time.monotonic() > end:
            raise RuntimeError(f"{path} has {os.stat(path).st_size} of {size} bytes")
        time.sleep(0.001)
