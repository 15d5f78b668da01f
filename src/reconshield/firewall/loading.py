"""Loading rendered rules into the host of a lab, as their own tools do it. Needs root; nothing of this machine is changed.

ufw and firewalld keep files and sockets in fixed places, so they run in a mount namespace in which those are copies. A firewall
whose program is not installed is `Missing`.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reconshield.firewall.lab import Space
from reconshield.firewall.platform import Advice

PROGRAMS = {"nftables": "nft", "iptables": "iptables", "docker": "iptables", "ufw": "ufw", "firewalld": "firewalld"}
FIREWALLD_SECONDS = 30


class Missing(Exception):
    """The program that would load the rules is not installed; the text is its name."""


@contextmanager
def loaded(host: Space, advice: Advice) -> Iterator[None]:
    """Load advice, and take away again what must not outlive the block (the daemon of firewalld)."""
    program = PROGRAMS[advice.platform]
    if shutil.which(program) is None:
        raise Missing(program)
    if advice.platform == "nftables":
        host.run("nft", "-f", "-", text=advice.files[0].text)
        yield
    elif advice.platform in {"iptables", "docker"}:
        for tool, file in zip(("iptables", "ip6tables"), advice.files, strict=False):
            host.run(f"{tool}-restore", "--noflush", text=file.text)
        yield
    else:
        with tempfile.TemporaryDirectory(prefix="reconshield-") as folder:
            script = Path(folder, "load.sh")
            script.write_text(UFW if advice.platform == "ufw" else FIREWALLD)
            Path(folder, "rules").write_text(rules_of(advice))
            host.run("unshare", "--mount", "sh", str(script), folder, seconds=2 * FIREWALLD_SECONDS)
            yield
            pid = Path(folder, "pid")
            if pid.exists():
                end(pid.read_text().split())


def rules_of(advice: Advice) -> str:
    """The commands of ufw or firewall-cmd alone, without the guard around them."""
    lines = advice.files[0].text.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("setsid"))
    last = next(at for at, line in enumerate(lines) if line.startswith('echo "applied'))
    return "\n".join(lines[first + 1 : last]) + "\n"


def end(pids: list[str]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)


UFW = r"""set -eu
mount --make-rprivate /
for place in /etc/ufw /etc/default /usr/share/ufw /lib/ufw; do
  [ -e "$place" ] || continue
  copy="$1/copy$place"; mkdir -p "$(dirname "$copy")"; cp -a "$place" "$copy"; mount --bind "$copy" "$place"
done
mount -t tmpfs none /run
sed -i 's/^IPV6=.*/IPV6=yes/' /etc/default/ufw
sed -i -E 's/^(DEFAULT_(INPUT|FORWARD)_POLICY)=.*/\1="ACCEPT"/' /etc/default/ufw
ufw --force enable >/dev/null
sh -eu "$1/rules" >/dev/null
"""
"""ufw with an open default policy, so that what closes a port is the rule and nothing else."""

FIREWALLD = """set -eu
mount --make-rprivate /
copy="$1/copy"; cp -a /etc/firewalld "$copy"; mount --bind "$copy" /etc/firewalld
mount -t tmpfs none /run
mkdir -p /run/dbus /run/firewalld
sed -i 's/^FirewallBackend=.*/FirewallBackend=nftables/' /etc/firewalld/firewalld.conf
dbus-daemon --system --fork --nopidfile --print-pid >"$1/pid"
firewalld --nofork --nopid >"$1/log" 2>&1 &
echo $! >>"$1/pid"
for _ in $(seq 60); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.25; done
firewall-cmd --set-default-zone=trusted >/dev/null
sh -eu "$1/rules" >/dev/null
"""
"""firewalld over a message bus of its own, with a zone that accepts, so that what closes a port is the rule and nothing
else."""
