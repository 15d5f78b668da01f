"""Reports of uploaded traffic, kept in this process for a while: the last few of each workspace, none over a restart.

What was uploaded is deleted as soon as it was read; only what came of it stays here, for whoever made it to read and download.
"""

from __future__ import annotations

import secrets
import threading

from reconshield.report.detected import DetectionReport

MOST = 8
"""Reports of a workspace."""
MOST_OVERALL = 64
"""Reports of all workspaces together."""


class KeptReports:
    """Reports by workspace and id, the oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: dict[tuple[str, str], DetectionReport] = {}

    def keep(self, workspace: str, report: DetectionReport) -> str:
        """The id under which it can be asked for; the oldest one goes when there are too many, here or in all."""
        name = secrets.token_hex(8)
        with self._lock:
            self._reports[workspace, name] = report
            mine = [key for key in self._reports if key[0] == workspace]
            for key in [*mine[:-MOST], *list(self._reports)[:-MOST_OVERALL]]:
                self._reports.pop(key, None)
        return name

    def find(self, workspace: str, name: str) -> DetectionReport | None:
        with self._lock:
            return self._reports.get((workspace, name))

    def listed(self, workspace: str) -> list[tuple[str, DetectionReport]]:
        """The newest first."""
        with self._lock:
            return [(name, report) for (where, name), report in reversed(self._reports.items()) if where == workspace]
