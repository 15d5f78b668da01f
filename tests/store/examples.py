"""Small measurements for the store's tests."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import parse_address
from reconshield.model import OBSERVATION_FIELDS, Reason, State, Transport
from reconshield.store.db import Store
from reconshield.store.runs import Run, create_run

NOW = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC

REASONS = {State.OPEN: Reason.SYN_ACK, State.CLOSED: Reason.RESET, State.FILTERED: Reason.ADMIN_PROHIBITED}


def answers(*cells: tuple[str, int, State], transport: Transport = Transport.TCP, at: float = NOW) -> NDArray[Any]:
    rows = np.zeros(len(cells), np.dtype(OBSERVATION_FIELDS))
    for row, (ip, port, state) in zip(rows, cells, strict=True):
        number = parse_address(ip)
        row["hi"], row["lo"] = number >> 64, number & (1 << 64) - 1
        row["port"], row["transport"], row["state"], row["reason"] = port, transport, state, REASONS.get(state, 0)
        row["ttl"], row["rtt_us"], row["at"] = 64, 1500, at
    return rows


def begin_run(store: Store, at: float = NOW, vantage: str = "local") -> Run:
    return create_run(store, plan={"seed": 7}, engine="connect", vantage=vantage, grants=["g1"], level=3, now=at)


def joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(parts))
