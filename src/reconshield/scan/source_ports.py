"""Which source ports a raw scan may use: those that nobody on this machine uses, outside the range that the kernel hands out.

The kernel does not know of our packets. Were a port taken by one of its own sockets, two conversations would get mixed up; were
it handed out during the scan, the same. So the ports above (or below) the kernel's range are taken as far as they are free.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from reconshield.errors import UserError
from reconshield.scan.cookies import LEAST_PORTS, SourcePorts

TABLES = ("tcp", "tcp6", "udp", "udp6")
FIRST, LAST, MOST = 1024, 65_535, 4096


def find_source_ports() -> SourcePorts:
    """Read this network namespace's sockets and choose. Raises UserError when hardly a port is free."""
    return choose_source_ports(_used_ports(), _kernel_range())


def choose_source_ports(used: Iterable[int], kernel_range: tuple[int, int]) -> SourcePorts:
    """At most 4,096 free ports: from those above the kernel's range, below it, or (if it is all there is) within it. Pure."""
    taken = set(used)
    first, last = kernel_range
    stretches = (range(LAST, last, -1), range(first - 1, FIRST - 1, -1), range(last, first - 1, -1))
    free: list[int] = []
    for stretch in stretches:
        free = [port for port in stretch if port not in taken][:MOST]
        if len(free) >= LEAST_PORTS:
            break
    if len(free) < LEAST_PORTS:
        raise UserError("this machine has no free source ports for raw packets", hint="--engine connect")
    size = 1 << len(free).bit_length() - 1
    return SourcePorts(np.array(free[:size], dtype=np.uint16))


def _used_ports() -> Iterable[int]:
    for table in TABLES:
        for line in _read(f"/proc/thread-self/net/{table}").splitlines()[1:]:
            yield int(line.split()[1].rpartition(":")[2], 16)


def _kernel_range() -> tuple[int, int]:
    first, last = (_read("/proc/sys/net/ipv4/ip_local_port_range").split() or ("32768", "60999"))[:2]
    return int(first), int(last)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
