"""Pairs whose network is at its limit (`gates.NetGate`), block by block. Pure: the time is an argument.

They wait aside, so that they hold up no other network, and are looked at together, oldest block first. Kept is the place of a
pair in its block, eight bytes.
"""

from __future__ import annotations

from math import inf

import numpy as np

from reconshield.scan.gates import NetGate
from reconshield.scan.raw_udp_block import Block, Part, Rows
from reconshield.scan.space import U64

LOOK_SECONDS = 0.1
"""Between two looks at what waits: ten addresses of a network."""
MOST_HELD = 65_536
"""Pairs; with more of them no new block is begun. A /24 of silent addresses has 256 each, so a second lets 25,600 go."""


class NetQueue:
    """What waits for the networks of a scan."""

    def __init__(self, gate: NetGate) -> None:
        self._gate = gate
        self._waiting: dict[int, tuple[Block, list[Rows]]] = {}
        self._look_at = 0.0
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether no new block should be begun."""
        return self._count >= MOST_HELD

    def admit(self, block: Block, rows: Rows, now: float) -> Rows:
        """Those of the rows that may be asked now, in order; they count as asked. The others wait."""
        may = ~block.limited[rows]
        limited = rows[~may]
        may[~may] = self._gate.admit(block.pairs.hi[limited], block.pairs.lo[limited], now)
        if not may.all():
            self._waiting.setdefault(block.number, (block, []))[1].append(rows[~may])
            self._count += rows.size - int(may.sum())
        return rows[may]

    def release(self, now: float) -> list[Part]:
        """What may be asked by now, if it is time to look. It counts as asked, and is asked for free within a second."""
        if now < self._look_at:
            return []
        self._look_at, self._count = now + LOOK_SECONDS, 0
        waiting, self._waiting = self._waiting, {}
        parts = [Part(block, self.admit(block, block.unknown(np.concatenate(rows)), now)) for block, rows in waiting.values()]
        return [part for part in parts if part.rows.size]

    def due(self) -> float:
        """When to look again; never (infinite) if nothing waits."""
        return self._look_at if self._waiting else inf

    def answered(self, hi: U64, lo: U64) -> None:
        """These addresses answered themselves."""
        self._gate.answered(hi, lo)
