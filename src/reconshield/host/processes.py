"""This process, and whether another one on this machine still runs. A number alone is no name: it is given away again."""

from __future__ import annotations

import os
import socket

import psutil

SAME_START = 2.0
"""Seconds by which two readings of a start may differ, where the system counts it from its own boot."""


def machine_name() -> str:
    return socket.gethostname()


def this_process() -> tuple[int, float]:
    """The number of this process and when it started (Unix seconds)."""
    return os.getpid(), float(psutil.Process().create_time())


def is_running(pid: int, started: float) -> bool:
    """Whether the process with this number is the one that started then. One that may not be looked at counts as running."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < SAME_START and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
