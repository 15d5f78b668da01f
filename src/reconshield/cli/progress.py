"""Progress of long work on standard error: one line redrawn on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from reconshield.text import count, duration, percent, rate

REDRAW = 0.2
PLAIN_EVERY = 10.0
NO_ETA_BEFORE = 3.0
BAR = 24
EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(slots=True)
class ProgressLine:
    """Shows how far some counted work has come. Call `show` as often as you like; `clear` before printing anything else."""

    label: str
    quiet: bool = False
    ascii: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    began: float = field(default_factory=time.monotonic)
    drawn: float = 0.0
    width: int = 0

    def show(self, done: int, total: int, finds: str = "", per_second: float | None = None) -> None:
        """Draw the state of the work when it is time to; `finds` is what was found so far ("31 open")."""
        if self.quiet:
            return
        now = time.monotonic()
        terminal = self.stream.isatty()
        if now - (self.drawn or self.began) < (REDRAW if terminal else PLAIN_EVERY):
            return
        self.drawn = now
        spent = now - self.began
        speed = per_second if per_second is not None else done / spent if spent > 0 else 0.0
        parts = [
            f"{percent(done, total):>5}",
            f"{count(done)} of {count(total)}",
            rate(speed),
            self._eta(spent, done, total),
            finds,
        ]
        text = "  ".join(p for p in parts if p)
        if not terminal:
            self.stream.write(f"{self.label} {text}\n")
            self.stream.flush()
            return
        room = shutil.get_terminal_size((80, 24)).columns - 1
        line = f"{self.label} {self._bar(done, total)} {text}"
        line = (line if len(line) <= room else f"{self.label} {text}")[:room]
        self.stream.write("\r" + line + " " * max(self.width - len(line), 0))
        self.stream.flush()
        self.width = len(line)

    def clear(self) -> None:
        """Remove the line, so that other text can be printed."""
        if self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()
            self.width = 0

    def _eta(self, spent: float, done: int, total: int) -> str:
        if spent < NO_ETA_BEFORE or done >= total:
            return ""
        if not done:
            return "ETA unknown"
        left = max(round(spent * (total - done) / done), 1)
        return f"ETA {left} s" if left < 60 else f"ETA {duration(left)}"

    def _bar(self, done: int, total: int) -> str:
        share = done / total if total else 1.0
        if self.ascii:
            full = int(share * BAR)
            return "#" * full + "." * (BAR - full)
        eighths = int(share * BAR * 8)
        full, part = divmod(eighths, 8)
        bar = "█" * full + (EIGHTHS[part] if part else "")
        return bar + "·" * (BAR - len(bar))
