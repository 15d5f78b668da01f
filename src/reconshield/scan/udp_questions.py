"""Which payload and which of our source ports each question of a raw scan gets, by tables. Pure.

The source port is the cookie: its place among ours is a keyed hash of address and port, so an answer, or an error that quotes
the question, shows by the port that it comes to whether it was asked for. Where an answer may come from another port (TFTP,
SSDP), the port that was asked has a source port of its own, by which it is known again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import PortSet
from reconshield.knowledge.payloads import NOTHING, Payload, payload_of
from reconshield.model import Transport
from reconshield.scan.batch import is_v4
from reconshield.scan.cookies import Cookies
from reconshield.scan.space import U64
from reconshield.scan.udp_replies import Datagrams

U16 = NDArray[np.uint16]

ELSEWHERE = 4
"""Source ports that are set aside for ports whose answers may come from elsewhere; the catalogue has two such ports."""


class Questions:
    """The questions of a scan of these ports at a level; `base` is the first of `count` source ports."""

    def __init__(self, ports: PortSet, level: int, cookies: Cookies, base: int, count: int) -> None:
        self._cookies, self._base, self._plain = cookies, base, count - ELSEWHERE
        self.payloads: list[Payload] = [NOTHING]
        self._payload = np.zeros(65536, dtype=np.int16)
        self._slot = np.full(65536, -1, dtype=np.int64)
        self._elsewhere = np.zeros(count, dtype=np.uint16)
        used = self._plain
        for port in (port for first, last in ports.udp for port in range(first, last + 1)):
            payload = payload_of(port, level)
            if payload is NOTHING:
                continue
            if payload not in self.payloads:
                self.payloads.append(payload)
            self._payload[port] = self.payloads.index(payload)
            if payload.elsewhere:
                if used == count:
                    raise ValueError(f"more than {ELSEWHERE} ports are answered from elsewhere")
                self._slot[port], self._elsewhere[used] = used, port
                used += 1
        self._wait = np.array([payload.wait for payload in self.payloads])

    def waits(self, port: U16) -> NDArray[np.float64]:
        """How many seconds the answer of each port may be late by its protocol."""
        return self._wait[self._payload[port]]

    def numbers(self, port: U16) -> NDArray[np.int16]:
        """The number of each port's payload in `payloads`."""
        return self._payload[port]

    def port_from(self, hi: U64, lo: U64, port: U16) -> U16:
        """Our source port for each endpoint."""
        hashed = (self._hash(hi, lo, port) % np.uint64(self._plain)).astype(np.int64)
        own = self._slot[port]
        slot = np.where(own < 0, hashed, own)
        return (slot + self._base).astype(np.uint16)

    def asked_port(self, answers: Datagrams) -> U16:
        """The port that each answer is about: the one that it comes from, unless it may come from elsewhere."""
        slot = answers["port_to"].astype(np.int64) - self._base
        inside = (slot >= self._plain) & (slot < self._elsewhere.size)
        asked = np.where(inside, self._elsewhere[np.where(inside, slot, 0)], answers["port"])
        return asked.astype(np.uint16)

    def _hash(self, hi: U64, lo: U64, port: U16) -> U64:
        """The hashes of endpoints of both families."""
        v4 = is_v4(hi, lo)
        if v4.all():
            return self._cookies.of(hi, lo, port, Transport.UDP, is_v4=True)
        hashes = self._cookies.of(hi, lo, port, Transport.UDP, is_v4=False)
        hashes[v4] = self._cookies.of(hi[v4], lo[v4], port[v4], Transport.UDP, is_v4=True)
        return hashes
