"""Erlang's port mapper: the list of nodes (Erlang documentation, "Distribution Protocol", NAMES_REQ). It knows no login."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Where

NAMES_REQUEST = b"\0\x01n"


def run() -> Dialogue:
    answer = yield Ask(NAMES_REQUEST)
    place = yield Where()
    port = int.from_bytes(answer[:4], "big")
    listed = answer[4:].decode("latin-1")
    if len(answer) < 4 or port not in (4369, place.port) or not re.fullmatch(r"(?:name \S+ at port \d+\n)*", listed):
        return None
    nodes = [{"name": name, "port": int(number)} for name, number in re.findall(r"name (\S+) at port (\d{1,5})\n", listed)]
    return Match("epmd", "Erlang Port Mapper Daemon", facts={"auth": "none", "nodes": nodes[:100]})


PROBE = Probe("epmd", ports=(4369,), run=run)
