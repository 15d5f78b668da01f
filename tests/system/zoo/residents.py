"""What lives in the zoo and what is true of it: real servers from Debian packages, how they start, what stands on their ports.

    [beanstalkd]                                    one table a server, in the TOML file of its kind
    packages = ["beanstalkd"]                       what `apt-get install` is given
    run = 'beanstalkd -l 0.0.0.0 -p 11300'          one command a line, each a process; @D@ its folder, @TLS@ the keys
    programs = ["beanstalkd"]                       what must be there, if not the first word of each command
    setup = '…'                                     a shell script that runs before
    truth = [{ port = "11300/tcp", service = "beanstalkd", shows = "beanstalkd", weak = "…" }]    also `product`, `tls`
    [beanstalkd.files]                              files of its folder by name

Truth is the configuration's, looked at by hand. `product` is left out where the protocol tells none.
`shows` names the Debian package whose version a stranger can learn, and is left out where none is shown. `weak` are the
checks that must fire, and no others.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from system.servers import Server

ADDRESS, WATCHER = "10.95.0.2", "10.95.0.1"
KEYS = {"packages", "run", "programs", "setup", "truth", "files"}


@dataclass(frozen=True, slots=True)
class Truth:
    """What stands on one port."""

    port: int
    transport: str
    service: str
    product: str = ""
    shows: str = ""
    tls: str = "none"
    weak: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Resident:
    server: Server
    packages: tuple[str, ...]
    truths: tuple[Truth, ...]


def load() -> tuple[Resident, ...]:
    """Everybody, by file and name."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(__file__).parent.glob("*.toml"))]
    return tuple(read(name, table) for kind in tables for name, table in kind.items())


def read(name: str, table: dict[str, Any]) -> Resident:
    if unknown := table.keys() - KEYS:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")
    commands = tuple(table["run"].strip().splitlines())
    programs = tuple(table.get("programs") or dict.fromkeys(command.split()[0] for command in commands))
    server = Server(name, programs, (), commands, table.get("files", {}), table.get("setup", ""))
    return Resident(server, tuple(table["packages"]), tuple(read_truth(row) for row in table["truth"]))


def read_truth(row: dict[str, str]) -> Truth:
    port, transport = row["port"].split("/")
    more = {key: row[key] for key in ("product", "shows", "tls") if key in row}
    return Truth(int(port), transport, row["service"], weak=frozenset(row.get("weak", "").split()), **more)


def upstream_version(package: str) -> str:
    """The upstream part of the version of an installed Debian package: no epoch, no revision, no repacking."""
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    shown = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    without = re.sub(r"^\d+:", "", shown).rsplit("-", 1)[0]
    return re.split(r"[+~](?:dfsg|ds|really|repack|git|deb)", without)[0]
