"""New listeners: conversations with an endpoint that scans saw shut and, lately, open.

find_listeners(rows, ends, known) -> number of a conversation: the reason in words
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet
from reconshield.detect.ends import Ends
from reconshield.detect.expected import TRANSPORTS

Array = NDArray[Any]
Place = tuple[int, int, str]
"""An address, a port and its transport."""


def find_listeners(rows: Array, ends: Ends, known: Mapping[Place, str]) -> dict[int, str]:
    """The conversations that such an endpoint took part in and did not only refuse."""
    if not known:
        return {}
    meant = ends.within(AddressSet(tuple((address, address) for address, _, _ in known)))
    answered = rows["failed"].astype(np.int64) + rows["denied"] < rows["flows"]
    found = {}
    for number in np.flatnonzero(meant[ends.dst] & answered).tolist():
        end = int(ends.dst[number])
        address = int(ends.hi[end]) << 64 | int(ends.lo[end])
        place = address, int(rows["dport"][number]), TRANSPORTS.get(int(rows["transport"][number]), "")
        if place in known:
            found[number] = known[place]
    return found
