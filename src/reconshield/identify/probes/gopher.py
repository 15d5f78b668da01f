"""Gopher (RFC 1436): the empty selector, answered with the list of what there is."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

ROW = re.compile(rb"([0-9+ghisITMd;:])([^\t\r\n]{0,200})\t[^\t\r\n]{0,300}\t[^\t\r\n]{1,260}\t\d{1,5}(?:\t\+)?\r?\n")


def run() -> Dialogue:
    answer = yield Ask(b"\r\n", until=lambda data: data.endswith(b"\n.\r\n"))
    first = ROW.match(answer)
    if not first:
        return None
    rows = [found for text in answer.splitlines(keepends=True)[:200] if (found := ROW.match(text))]
    return Match("gopher", facts={"auth": "none", "greeting": rows[0][2].decode("latin-1"), "items": len(rows)})


PROBE = Probe("gopher", ports=(70,), run=run)
