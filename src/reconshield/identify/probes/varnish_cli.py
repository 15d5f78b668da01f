"""Varnish's management port: its greeting (varnish-cli(7)), which asks for proof of the shared secret, or tells its version."""

from __future__ import annotations

import re

from reconshield.identify.probe import Dialogue, Match, Probe, Read, name_cpe


def run() -> Dialogue:
    hello = yield Read(until=lambda data: data.endswith(b"\n\n"))
    head = re.match(rb"(107|200) \d{1,8} *\n", hello)
    if not head:
        return None
    if head[1] == b"107" and b"Authentication required" in hello:
        return Match("varnish-cli", "Varnish", facts={"auth": "required"})
    stated = re.search(rb"varnish-(\d[\w.]{1,20}) revision", hello)
    if head[1] != b"200" or b"Varnish" not in hello:
        return None
    version = stated[1].decode("ascii") if stated else None
    return Match("varnish-cli", "Varnish", version, {"auth": "none"}, (name_cpe("varnish-software", "varnish_cache", version),))


PROBE = Probe("varnish-cli", ports=(6082,), run=run, speaks_first=True)
