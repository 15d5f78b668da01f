"""Giving up what is not needed any more: capabilities of the calling thread, for good.

Who reads packets of strangers should be able to do nothing else with what it finds. Sockets stay open, the right to open more
is gone, and neither a program started later nor a set-uid file brings it back.  capabilities(7), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
VERSION_3 = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3: two sets of 32 capabilities."""


def drop_capabilities() -> None:
    """Give up every capability of this thread and of the threads it starts from now on. Does nothing outside Linux."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    zeros = [ctypes.c_ulong(0)] * 3
    library.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), *zeros)
    _must(library.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), *zeros), "prctl")
    header = ctypes.create_string_buffer(struct.pack("=Ii", VERSION_3, 0))
    nothing = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; twice
    _must(library.capset(header, nothing), "capset")


def _must(result: int, call: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)
