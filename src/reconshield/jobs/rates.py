"""How fast a scan was over its time, as few points as a reader wants."""

from __future__ import annotations

MOST = 60
"""Points kept; a pair of neighbours becomes one when there would be more."""


class RateHistory:
    """Endpoints a second, seen now and then since `began` (Unix seconds)."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._points: list[tuple[float, float]] = []
        self._every, self._seen = 1, 0

    def add(self, now: float, rate: float) -> None:
        self._seen += 1
        if self._seen % self._every:
            return
        self._points.append((round(now - self._began, 2), round(rate)))
        if len(self._points) > MOST:
            self._points = self._points[1::2]
            self._every *= 2

    def sampled(self) -> tuple[tuple[float, float], ...]:
        """Seconds since the beginning, and endpoints a second."""
        return tuple(self._points)
