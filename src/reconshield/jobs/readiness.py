"""Loading, while the network is waited for, what a scan needs afterwards: modules that take longer to load than to run.

A scan begins without them. `prepare` is called once its engine runs (not before: the engine forks, and a process with threads
must not), and starts a thread that loads what ends a run; once something is open, another loads what identifies and judges.
Who needs a module sooner imports it as usual, and waits for the thread by that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconshield.jobs.scan_request import IDENTIFY_LEVEL


class Readiness:
    """What of a scan of this level is loaded, or being loaded."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._begun: set[Callable[[], None]] = set()

    def prepare(self, *, found_open: bool) -> None:
        """Begin to load what will be needed, once each."""
        self._begin(load_ending)
        if found_open:
            self._begin(load_judgement if self._level < IDENTIFY_LEVEL else load_identification)

    def _begin(self, load: Callable[[], None]) -> None:
        if load not in self._begun:
            self._begun.add(load)
            threading.Thread(target=load, name="get ready", daemon=True).start()


def load_ending() -> None:
    import reconshield.jobs.changes
    import reconshield.jobs.confirm  # noqa: F401


def load_judgement() -> None:
    import reconshield.jobs.judge  # noqa: F401
    from reconshield.knowledge.index import load_index

    load_index()


def load_identification() -> None:
    load_judgement()
    import reconshield.checks.lifespan
    import reconshield.checks.rules
    import reconshield.checks.vulnerability
    import reconshield.identify.drive
    import reconshield.identify.probes
    import reconshield.knowledge.advisories
    import reconshield.knowledge.kev  # noqa: F401
