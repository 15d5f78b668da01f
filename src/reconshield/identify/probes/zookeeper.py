"""Apache ZooKeeper: the four-letter word `srvr`, which is allowed by default (ZooKeeper administrator's guide)."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe


def run() -> Dialogue:
    answer = (yield Ask(b"srvr", until=_whole)).decode("latin-1")
    if answer.startswith("srvr is not executed because it is not in the whitelist"):
        return Match(
            "zookeeper", "Apache ZooKeeper", facts={"four_letter_words": "refused"}, cpe=(name_cpe("apache", "zookeeper"),)
        )
    stated = re.match(r"Zookeeper version: (\d+\.\d+\.\d+)(?:-(\w+))?", answer)
    if not stated:
        return None
    facts: dict[str, Any] = {"greeting": answer.split("\n", 1)[0], "four_letter_words": "allowed"}
    mode = re.search(r"^Mode: (\w+)", answer, re.MULTILINE)
    if mode:
        facts["mode"] = mode[1]
    return Match("zookeeper", "Apache ZooKeeper", stated[1], facts, (name_cpe("apache", "zookeeper", stated[1]),))


def _whole(data: bytes) -> bool:
    return (b"Node count:" in data or b"whitelist" in data) and data.endswith(b"\n")


PROBE = Probe("zookeeper", ports=(2181,), run=run)
