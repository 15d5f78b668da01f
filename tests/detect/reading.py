"""Bytes through a reader, and what came out in a form that a test can read."""

from __future__ import annotations

from typing import Any

import numpy as np

from reconshield.addresses import text_of
from reconshield.detect.flows import Bad, Cut, Flows, FlowState, Item, Reader
from reconshield.detect.readers import recognise


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def read_all(data: bytes, size: int = 1 << 20, reader: Reader | None = None) -> list[Item]:
    found = reader or recognise(data[:65_536])
    assert found is not None, "nobody recognises it"
    return list(found.read(pieces(data, size)))


def flows_in(items: list[Item]) -> list[dict[str, Any]]:
    """Every flow as a dictionary of plain values."""
    return [plain(row, item.apps) for item in items if isinstance(item, Flows) for row in item.rows]


def plain(row: np.void, apps: tuple[str, ...]) -> dict[str, Any]:
    return {
        "src": text_of(int(row["src_hi"]) << 64 | int(row["src_lo"])),
        "dst": text_of(int(row["dst_hi"]) << 64 | int(row["dst_lo"])),
        "ends": (int(row["sport"]), int(row["dport"])),
        "transport": int(row["transport"]),
        "state": FlowState(int(row["state"])).name.lower(),
        "marks": int(row["marks"]),
        "app": apps[int(row["app"])],
        "octets": (int(row["sent"]), int(row["received"])),
        "packets": (int(row["sent_packets"]), int(row["received_packets"])),
        "start": float(row["start"]),
        "record": int(row["record"]),
    }


def faults_in(items: list[Item]) -> list[str]:
    return [f"{i.where}: {i.why}" if isinstance(i, Bad) else i.why for i in items if isinstance(i, Bad | Cut)]
