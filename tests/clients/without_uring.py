#!/usr/bin/python3
"""tests/clients/without_uring.py COMMAND... — run a command whose io_uring_setup is refused.

What Docker's default seccomp profile does: the call fails with EPERM, here by a filter of four
instructions.  It is kept over exec and by all children, and needs no privileges.
"""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP = 425                    # the same number on every architecture
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
RETURN_ERRNO, RETURN_ALLOW, EPERM = 0x00050000, 0x7fff0000, 1


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse_io_uring():
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD_WORD, 0, 0, 0),                           # seccomp_data.nr
        (JUMP_EQUAL, 0, 1, IO_URING_SETUP),
        (RETURN, 0, 0, RETURN_ERRNO | EPERM),
        (RETURN, 0, 0, RETURN_ALLOW)))
    program = Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        sys.exit(f"without_uring.py: no seccomp filter: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    refuse_io_uring()
    os.execv(sys.argv[1], sys.argv[1:])
