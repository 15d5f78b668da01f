"""What is counted over all conversations, also where only a part of them is in memory: clients, talkers, hosts.

Who talks to one address is in one group of parts (`tally.groups`), and the parts of a group have different sources, so counts
of a group are sums of the counts of its parts. Hosts are counted by their addresses, which are kept beside the conversations.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet
from reconshield.detect.ends import Addresses, Ends
from reconshield.detect.sums import first_of_each
from reconshield.detect.tally import Group, Tally, mixed

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Crowd:
    """For each conversation: how many there are with its destination and port, and how many hosts inside talk to its
    destination; and how many hosts inside began anything.
    """

    clients: Array
    talkers: Array
    hosts: int


def count_here(rows: Array, ends: Ends, inside: Array) -> tuple[Array, Array]:
    """Clients and talkers of each conversation, as far as these rows tell."""
    keys = ends.dst << 16 | rows["dport"]
    _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    mine = inside[ends.src]
    pairs = np.sort(ends.dst[mine] << 32 | ends.src[mine])  # np.unique would hash them, which takes far longer
    talkers = np.bincount(pairs[first_of_each(pairs)] >> 32, minlength=len(ends))[ends.dst]
    return counts[which.reshape(-1)].astype(np.int32), talkers.astype(np.int32)


def hosts_here(ends: Ends, inside: Array) -> int:
    """How many different addresses inside began something."""
    began = np.zeros(len(ends), bool)
    began[ends.src] = True
    return int(np.count_nonzero(began & inside))


def count_hosts(tally: Tally, area: AddressSet) -> int:
    """The same over everything that is in the temporary file."""
    return sum(int(np.count_nonzero(Addresses(hi, lo).within(area))) for hi, lo in tally.sources())


class Counts:
    """Clients and talkers over all parts of a group, by keyed hashes of destination and port."""

    def __init__(self, group: Group, area: AddressSet) -> None:
        self._salt = np.uint64(secrets.randbits(64) | 1)
        clients, talkers = [], []
        for read in group:
            rows = read().rows
            ends = Ends(rows)
            inside = ends.within(area)
            one, two = count_here(rows, ends, inside)
            clients.append(different(self._endpoints(rows), one))
            talkers.append(different(self._targets(rows), two))
        self._clients, self._talkers = summed(clients), summed(talkers)

    def of(self, rows: Array) -> tuple[Array, Array]:
        """Those of each row; the rows must be of the group."""
        found = []
        for keys, (known, counts) in ((self._endpoints(rows), self._clients), (self._targets(rows), self._talkers)):
            found.append(counts[np.searchsorted(known, keys)].astype(np.int32))
        return found[0], found[1]

    def _targets(self, rows: Array) -> NDArray[np.uint64]:
        return mixed(rows["dst_lo"] ^ mixed(rows["dst_hi"] * self._salt))

    def _endpoints(self, rows: Array) -> NDArray[np.uint64]:
        return mixed(self._targets(rows) * self._salt + rows["dport"])


def different(keys: Array, values: Array) -> tuple[Array, Array]:
    """Each key once, with its value; the same keys have the same value."""
    found, at = np.unique(keys, return_index=True)
    return found, values[at].astype(np.int64)


def summed(parts: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Each key once, with the sum of its values."""
    keys, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    found, which = np.unique(keys, return_inverse=True)
    return found, np.bincount(which.reshape(-1), weights=values, minlength=found.size).astype(np.int64)
