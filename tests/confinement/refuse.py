"""A host that refuses some system calls, as profiles of containers do: python3 refuse.py CALL[,CALL...]
COMMAND... runs COMMAND with EPERM as those calls' answer."""
import ctypes
import errno
import os
import platform
import struct
import sys

ARCHITECTURE = {"x86_64": 0, "aarch64": 1}[platform.machine()]
NUMBERS = {"mount": (165, 40), "mount_setattr": (442, 442), "close_range": (436, 436)}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
# linux/filter.h and linux/seccomp.h: load a word of the call's data, compare, answer
LOAD, EQUAL, ANSWER = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def refuse(*numbers):
    program = instruction(LOAD, 0)
    for number in numbers:
        program += instruction(EQUAL, number, 0, 1) + instruction(ANSWER, ERRNO | errno.EPERM)
    program += instruction(ANSWER, ALLOW)
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8,
                                                   ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 or
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(head), 0, 0) < 0):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    refuse(*(NUMBERS[name][ARCHITECTURE] for name in sys.argv[1].split(",")))
    os.execvp(sys.argv[2], sys.argv[2:])
