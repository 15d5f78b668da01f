"""Who is behind a process: its user, its command, the service unit and the container that it runs in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

CONTAINER = re.compile(r"(docker|libpod|cri-containerd|crio|lxc|nspawn|machine)[-/.]+([0-9a-zA-Z_.-]+?)(?:\.scope)?(?:/|$)")
UNIT = re.compile(r"/([^/]+\.(?:service|socket))(?:/|$)")
SHOWN_ID = 12
"""Characters of a container's id, as docker shows it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of a process; None where the system does not tell."""

    user: str | None = None
    command: tuple[str, ...] = ()
    unit: str | None = None
    container: str | None = None


def owner_of(pid: int) -> Owner:
    """Whose process it is. What may not be seen is left out; a process that has gone has no owner."""
    try:
        process = psutil.Process(pid)
        user: str | None = process.username()
    except (psutil.Error, KeyError):
        return Owner()
    try:
        command = tuple(process.cmdline())
    except psutil.Error:
        command = ()
    unit, container = read_cgroup(_cgroup_text(pid))
    return Owner(user, command, unit, container)


def _cgroup_text(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no procfs, or not shown
        return ""


def read_cgroup(text: str) -> tuple[str | None, str | None]:
    """The systemd unit and the container in the lines of `/proc/PID/cgroup` (`0::/system.slice/dovecot.service`)."""
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    units = [found[1] for path in paths for found in UNIT.finditer(path)]
    containers = [found for path in paths for found in CONTAINER.finditer(path)]
    container = f"{containers[-1][1]} {containers[-1][2][:SHOWN_ID]}" if containers else None
    own_unit = next((unit for unit in reversed(units) if not unit.startswith("user@")), None)
    return own_unit, container
