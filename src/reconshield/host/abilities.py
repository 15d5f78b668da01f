"""What this process may do and how much of it: capabilities, limits, clock, and whether raw sending works at all.

Everything is read; what has to be tried (a packet sent and heard, a namespace made) is tried by `host.trial`, a program of its
own in a network namespace that ends with it. What a system does not tell is None.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CAPABILITIES = {10: "CAP_NET_BIND_SERVICE", 12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 21: "CAP_SYS_ADMIN"}
"""Numbers in linux/capability.h of those that matter here."""

TRIAL_SECONDS = 30.0
STA_UNSYNC = 0x0040


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened in a throw-away namespace. `namespace`: how it was made (root, user, or empty: not at all), `raw`: whether
    a packet that was sent was heard on a receive ring, `why`: what stood in the way.
    """

    namespace: str
    raw: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that slow a scan down. `files` soft and hard (None: no limit), `ports` first and last of the source ports,
    `tracked` connections at most and now, `neighbours` in the kernel's table at most.
    """

    files: tuple[int | None, int | None] | None
    ports: tuple[int, int] | None
    tracked: tuple[int, int] | None
    neighbours: int | None


def capabilities() -> frozenset[str] | None:
    """The capabilities in effect that matter here; None where the system has none (macOS, Windows)."""
    status = _read("/proc/self/status")
    for line in (status or "").splitlines():
        if line.startswith("CapEff:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for number, name in CAPABILITIES.items() if bits >> number & 1)
    return None


def limits() -> Limits:
    ports = (_read("/proc/sys/net/ipv4/ip_local_port_range") or "").split()
    tracked = [_read(f"/proc/sys/net/netfilter/nf_conntrack_{name}") for name in ("max", "count")]
    neighbours = _read("/proc/sys/net/ipv4/neigh/default/gc_thresh3")
    return Limits(
        files=_file_limit(),
        ports=(int(ports[0]), int(ports[1])) if len(ports) == 2 else None,
        tracked=(int(tracked[0]), int(tracked[1])) if tracked[0] and tracked[1] else None,
        neighbours=int(neighbours) if neighbours else None,
    )


def _file_limit() -> tuple[int | None, int | None] | None:
    try:
        import resource
    except ImportError:
        return None
    soft, hard = (None if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    return soft, hard


def may_open_raw() -> bool:
    """Whether this process may open packet sockets here. One is opened and closed; bound to no device, it sends nothing."""
    if not hasattr(socket, "AF_PACKET"):
        return False
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


def try_raw() -> Trial:
    """Send one raw packet to ourselves in a network namespace that nobody else sees."""
    if sys.platform != "linux":
        return Trial("", raw=False, why="raw sending is Linux only")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "reconshield.host.trial"], capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
        )
        told = json.loads(done.stdout)
        return Trial(str(told["namespace"]), raw=bool(told["raw"]), why=str(told["why"]))
    except subprocess.TimeoutExpired:
        return Trial("", raw=False, why=f"the trial did not end within {TRIAL_SECONDS:g} s")
    except (OSError, ValueError, KeyError) as error:
        return Trial("", raw=False, why=f"the trial could not be run ({type(error).__name__})")


def clock_is_synchronised() -> bool | None:
    """Whether the kernel's clock is kept by NTP or the like; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    timex = (ctypes.c_char * 512)()  # struct timex with modes 0: only read; `status` is its fifth field
    library = ctypes.CDLL(None, use_errno=True)
    if library.adjtimex(ctypes.byref(timex)) < 0:
        return None
    word = ctypes.sizeof(ctypes.c_long)
    status = int.from_bytes(bytes(timex)[5 * word : 5 * word + 4], sys.byteorder)
    return not status & STA_UNSYNC


def mode_of(path: Path) -> int | None:
    """The permission bits of a file or folder; None if it is not there."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
