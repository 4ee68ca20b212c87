"""Runs a program under a seccomp filter that answers some system calls with EPERM: what sandboxes do to
their inmates. deny("socket", ...) is for subprocess's preexec_fn."""
import ctypes
import platform
import struct

NUMBERS = {
    "x86_64": {"socket": 41, "socketpair": 53, "setsockopt": 54, "memfd_create": 319, "signalfd4": 289,
               "sendmsg": 46},
    "aarch64": {"socket": 198, "socketpair": 199, "setsockopt": 208, "memfd_create": 279,
                "signalfd4": 74, "sendmsg": 211},
}
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO_EPERM = 0x7FFF0000, 0x00050001
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22


def deny(*names):
    numbers = [NUMBERS[platform.machine()][name] for name in names]
    program = [(LOAD_NUMBER, 0, 0, 0)]
    for i, number in enumerate(numbers):
        program.append((JUMP_EQUAL, len(numbers) - i, 0, number))
    program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO_EPERM)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def apply():
        for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, 2, header, 0, 0)):
            if prctl(*arguments) != 0:
                raise OSError(ctypes.get_errno(), "prctl")

    apply.keep = code
    return apply
