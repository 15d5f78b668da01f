"""The real command, run inside a namespace, and its JSON Lines as rows that a test can look things up in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from system.netns import Namespace

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said: exit code, output, and the lines of it as rows if it was JSON Lines."""

    code: int
    out: str
    error: str
    rows: tuple[Row, ...] = field(default=())

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row["type"] == kind]

    def services(self) -> Mapping[tuple[str, int], Row]:
        """Service rows by address and port. Each endpoint once: a second row for it raises."""
        rows = self.of("service")
        found = {(row["ip"], row["port"]): row for row in rows}
        assert len(found) == len(rows), "an endpoint is reported twice"
        return found

    def findings(self, endpoint: tuple[str, int]) -> set[str]:
        return {row["check"] for row in self.of("finding") if (row["ip"], row["port"]) == endpoint}

    @property
    def summary(self) -> Row:
        [row] = self.of("summary")
        return row


def command(where: Namespace, home: Path, *arguments: str) -> list[str]:
    """The command line of ReconShield inside a namespace, with its own data."""
    return ["ip", "netns", "exec", where.name, sys.executable, "-m", "reconshield", "--home", str(home), *arguments]


def environment() -> dict[str, str]:
    """Ours, without what would lead to somebody's own data."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RECONSHIELD_")} | {"COLUMNS": "120"}


def reconshield(where: Namespace, home: Path, *arguments: str, timeout: float = 300) -> Answer:
    """Run the command to its end."""
    done = subprocess.run(
        command(where, home, *arguments), capture_output=True, text=True, timeout=timeout, check=False, env=environment()
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"v":')]
    return Answer(done.returncode, done.stdout, done.stderr, tuple(json.loads(line) for line in lines))


def scan(where: Namespace, home: Path, *arguments: str, timeout: float = 300) -> Answer:
    """`reconshield scan … --format jsonl`, allowed by "test"."""
    return reconshield(where, home, "scan", *arguments, "--authorized-by", "test", "--format", "jsonl", timeout=timeout)
