"""A FUSE file system in which some things wait until this process ends: each close of `file`, each
look for `hang`, and what reads `memory`, by a mapping too. Directories called `sub` are looked for anew each time, and are there.

usage: hanging_fuse.py MOUNTPOINT   (needs root; prints "mounted", then one line for each that waits)
Written from the kernel's fuse.h: each request has a header of 40 bytes, each answer one of 16."""
import ctypes
import errno
import os
import struct
import sys

LOOKUP, GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE, FLUSH, INIT = 1, 3, 4, 14, 15, 16, 18, 25, 26
FORGET, BATCH_FORGET, INTERRUPT = 2, 42, 36
ROOT, FILE, DIRECTORY, MEMORY = 1, 2, 3, 4
MEMORY_BYTES = 4096
PARALLEL_LOOKUPS = 1 << 18


def attributes(node):
    mode = 0o100666 if node in (FILE, MEMORY) else 0o040755
    size = MEMORY_BYTES if node == MEMORY else 0
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer_to(operation, node, body):
    if operation == INIT:
        major, minor = struct.unpack_from("<II", body)
        return struct.pack("<IIIIHHIIHHI7I", 7, min(minor, 31), 0, PARALLEL_LOOKUPS, 8, 8, 65536, 1, 0, 0, 0,
                           *[0] * 7)
    if operation == LOOKUP:
        name = body.rstrip(b"\0")
        if name == b"file":
            return struct.pack("<QQQQII", FILE, 0, 3600, 3600, 0, 0) + attributes(FILE)
        if name == b"memory":
            return struct.pack("<QQQQII", MEMORY, 0, 3600, 3600, 0, 0) + attributes(MEMORY)
        if name == b"sub":
            return struct.pack("<QQQQII", DIRECTORY, 0, 0, 0, 0, 0) + attributes(DIRECTORY)
        return -errno.ENOENT
    if operation in (GETATTR, SETATTR):
        return struct.pack("<QII", 3600, 0, 0) + attributes(node)
    if operation == OPEN:
        return struct.pack("<QII", 1, 0 if node == MEMORY else 1, 0)  # direct I/O
    if operation == WRITE:
        return struct.pack("<II", struct.unpack_from("<QQI", body)[2], 0)
    if operation == READ:
        return b""
    if operation == RELEASE:
        return b""
    return -errno.ENOSYS


def main():
    mountpoint = sys.argv[1]
    fuse = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"hanging", mountpoint.encode(), b"fuse", 0, options.encode()) < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    print("mounted", flush=True)
    while True:
        request = os.read(fuse, 1 << 20)
        _, operation, unique, node = struct.unpack_from("<IIQQ", request)
        if operation == FLUSH:
            print("close", flush=True)
            continue
        if operation == LOOKUP and request[40:].rstrip(b"\0") == b"hang":
            print("lookup", flush=True)
            continue
        if operation == READ and node == MEMORY:
            print("read", flush=True)
            continue
        if operation in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        answer = answer_to(operation, node, request[40:])
        if isinstance(answer, int):
            os.write(fuse, struct.pack("<IiQ", 16, answer, unique))
        else:
            os.write(fuse, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)


main()
