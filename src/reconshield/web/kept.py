"""Reports of uploaded traffic, kept in this process for a while: the last few of each workspace, none over a restart.

What was uploaded is deleted as soon as it was read; only what came of it stays here, for whoever made it to read and download.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

from reconshield.report.detected import DetectionReport

MOST = 8
"""Reports of a workspace."""


class KeptReports:
    """Reports by workspace and id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: dict[str, OrderedDict[str, DetectionReport]] = {}

    def keep(self, workspace: str, report: DetectionReport) -> str:
        """The id under which it can be asked for; the oldest one goes when there are too many."""
        name = secrets.token_hex(8)
        with self._lock:
            mine = self._reports.setdefault(workspace, OrderedDict())
            mine[name] = report
            while len(mine) > MOST:
                mine.popitem(last=False)
        return name

    def find(self, workspace: str, name: str) -> DetectionReport | None:
        with self._lock:
            mine = self._reports.get(workspace)
            return mine.get(name) if mine else None

    def listed(self, workspace: str) -> list[tuple[str, DetectionReport]]:
        """The newest first."""
        with self._lock:
            return list(reversed(self._reports.get(workspace, {}).items()))
