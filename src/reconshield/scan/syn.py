"""How a TCP port is asked without a connection, and what the answers mean: a SYN with a cookie, SYN-ACK, RST, or an ICMP error.

    asked = method.ask(targets, attempt, mac)        columns for `Shape.fill`
    heard = method.read(packets.bytes, packets.lengths)   only what answers a packet of ours, as the cookie shows

The states are those of `nmap -sS`. Our own kernel knows nothing of the SYN and answers a SYN-ACK with RST; where that does not
arrive the SYN-ACK comes again, and `reset` has what ends it. Pure; which answers belong to the plan and are new the lane knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.model import Transport
from reconshield.rows import join
from reconshield.scan import verdicts
from reconshield.scan.batch import is_v4
from reconshield.scan.cookies import Cookies, SourcePorts, sequences
from reconshield.scan.icmp import read_errors
from reconshield.scan.packets import RST, SYN, U8, U16, Asked, Shape, shape_reset, shape_syn
from reconshield.scan.replies import Replies, read_tcp
from reconshield.scan.space import U64

ACK = 0x10
MOST_ATTEMPTS = 16

HEARD = np.dtype(
    [
        ("row", "i8"),
        ("hi", "u8"),
        ("lo", "u8"),
        ("port", "u2"),
        ("port_from", "u2"),
        ("attempt", "u1"),
        ("state", "u1"),
        ("reason", "u1"),
        ("ttl", "u1"),
        ("ack", "u4"),
    ]
)
"""An answer to one of our packets: `row` of the packet it came in, the endpoint that was asked and from which of our ports, how
often it had been asked before, the verdict, TTL of the answer, and what it acknowledges (0 in an ICMP error)."""

Heard = NDArray[np.void]
"""A one-dimensional array of dtype `HEARD`."""


@dataclass(frozen=True, slots=True)
class SynMethod:
    """TCP by single SYNs."""

    cookies: Cookies
    sources: SourcePorts
    transport = Transport.TCP
    silent = verdicts.SILENT

    def shape(self, link: bytes, source: int) -> Shape:
        """The packet that asks, from one of our addresses."""
        return shape_syn(link, source)

    def ask(self, hi: U64, lo: U64, port: U16, attempt: U8, mac: U8 | None, *, is_v4: bool) -> Asked:
        """What differs in the packets to these endpoints, all of one family."""
        hashes = self.cookies.of(hi, lo, port, Transport.TCP, is_v4=is_v4)
        return Asked(hi, lo, port, self.sources.choose(hashes, attempt), sequences(hashes), mac)

    def read(self, packets: U8, lengths: NDArray[np.integer[Any]]) -> Heard:
        """The answers to our packets among what came in."""
        replies = self._judge(read_tcp(packets, lengths))
        if replies.size == packets.shape[0]:
            return replies
        return join([replies, self._judge_errors(packets, lengths)])

    def reset_shape(self, link: bytes, source: int) -> Shape:
        """The packet that ends a half-open connection."""
        return shape_reset(link, source)

    def reset(self, heard: Heard, mac: U8 | None) -> Asked:
        """What differs in the packets that end these half-open connections."""
        return Asked(heard["hi"], heard["lo"], heard["port"], heard["port_from"], heard["ack"], mac)

    def _judge(self, replies: Replies) -> Heard:
        """A SYN-ACK acknowledges our sequence number and one; of a RST some stacks acknowledge the number itself."""
        flags = replies["flags"]
        is_open = flags & (SYN | ACK | RST) == SYN | ACK
        is_closed = flags & RST == RST
        hashes = self._hash(replies)
        ahead = replies["ack"] - sequences(hashes)
        attempt = self.sources.attempt_of(hashes, replies["port_from"])
        ours = ((is_open & (ahead == 1)) | (is_closed & (ahead <= 1))) & (attempt >= 0) & (attempt < MOST_ATTEMPTS)
        heard = np.empty(int(ours.sum()), dtype=HEARD)
        for name in ("row", "hi", "lo", "port", "port_from", "ttl", "ack"):
            heard[name] = replies[name][ours]
        heard["attempt"] = attempt[ours]
        opened = is_open[ours]
        heard["state"] = np.where(opened, np.uint8(verdicts.OPEN.state), np.uint8(verdicts.RESET.state))
        heard["reason"] = np.where(opened, np.uint8(verdicts.OPEN.reason), np.uint8(verdicts.RESET.reason))
        return heard

    def _judge_errors(self, packets: U8, lengths: NDArray[np.integer[Any]]) -> Heard:
        errors = read_errors(packets, lengths)
        errors = errors.compress(errors["transport"] == Transport.TCP)
        hashes = self._hash(errors)
        attempt = self.sources.attempt_of(hashes, errors["port_from"])
        ours = (errors["quoted"] == sequences(hashes)) & (attempt >= 0) & (attempt < MOST_ATTEMPTS)
        heard = np.zeros(int(ours.sum()), dtype=HEARD)
        for name in ("row", "hi", "lo", "port", "port_from", "ttl", "state", "reason"):
            heard[name] = errors[name][ours]
        heard["attempt"] = attempt[ours]
        return heard

    def _hash(self, ends: NDArray[np.void]) -> U64:
        """The hashes of endpoints of both families."""
        hi, lo, port = ends["hi"], ends["lo"], ends["port"]
        v4 = is_v4(hi, lo)
        if v4.all():
            return self.cookies.of(hi, lo, port, Transport.TCP, is_v4=True)
        hashes = self.cookies.of(hi, lo, port, Transport.TCP, is_v4=False)
        hashes[v4] = self.cookies.of(hi[v4], lo[v4], port[v4], Transport.TCP, is_v4=True)
        return hashes
