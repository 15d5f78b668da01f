"""Nothing is sent that the table does not list: every probe against silence, an echo, the recordings and mangled answers.

The table is `sent.json`, shown in `docs/probes.md`. A new message is a decision: look at it, then `python tests/sent.py`.
"""

from __future__ import annotations

import json
import random
import re
from itertools import groupby

import pytest

import sent
from dialogues import bytes_of, recordings
from reconshield.identify.probe import Place, Probe
from reconshield.identify.probes import PROBES

GOLDEN = json.loads(sent.TABLE.read_text(encoding="utf-8"))
LISTED = {(row["probe"], row["transport"], row["sent"]): row["level"] for row in GOLDEN if "sent" in row}
OWN = {
    name: [bytes_of(t, "received") for r in group for t in r.turns if "received" in t or "received_hex" in t]
    for name, group in groupby(recordings(), key=lambda r: r.path.parent.name.replace("_", "-"))
}
SAID = sorted({data for group in OWN.values() for data in group})
ROUNDS = 60

HARMFUL = {
    "http": r"(?:POST|PUT|DELETE|PATCH|TRACE|CONNECT) ",
    "smtp": r"(?:MAIL|RCPT|DATA|VRFY|EXPN)",
    "ftp": r"(?:STOR|DELE|MKD|RMD|RNFR|SITE|PORT|PASV)",
    "redis": r".*(?:SET|DEL|FLUSH|CONFIG|EVAL|SAVE)",
    "memcached": r"(?:set|delete|flush|stats)",
    "sip": r"(?:INVITE|REGISTER|MESSAGE)",
    "modbus": r"(?s).{7}[\x05\x06\x0f\x10]",
}
"""How messages begin that write, load or start something: none of them may ever be in the table."""


def test_the_table_is_what_the_probes_send() -> None:
    assert sent.table() == GOLDEN, "look at what changed, then: python tests/sent.py"


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: f"{p.name}-{p.transport}")
def test_mangled_answers_draw_nothing_else(probe: Probe) -> None:
    chance = random.Random(probe.name + probe.transport)
    described = sent.variables()
    for _ in range(ROUNDS):
        place = Place("192.0.2.5", chance.choice(probe.ports), probe.transport, chance.random() < 0.2)
        lead = (probe.run(), place, lambda _step: mangle(chance, probe), chance.random() < 0.8)
        messages, match = sent.lead(*lead)
        for row in sent.rows(probe, sent.IDENTIFY, messages, place):
            assert allowed(row, described), row
        if match is not None and probe.assess is not None:
            messages, _ = sent.lead(probe.assess(match), place, lambda _step: mangle(chance, probe))
            for row in sent.rows(probe, sent.ASSESS, messages, place):
                assert allowed(row, described), row


def mangle(chance: random.Random, probe: Probe) -> bytes:
    """An answer of the probe's own recordings most times, cut or changed somewhere."""
    own = OWN.get(probe.name, SAID)
    data = bytearray(chance.choice(own if chance.random() < 0.7 else SAID))
    if data and chance.random() < 0.5:
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
    return bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.2 else data)


def allowed(row: sent.Row, described: list[sent.Variable]) -> bool:
    """Listed for this level or a lower one, or described by a pattern."""
    level = LISTED.get((row.probe, row.transport, row.sent))
    return (level is not None and level <= row.level) or sent.is_variable(row, described)


def test_no_message_writes_anything() -> None:
    for row in GOLDEN:
        if row["probe"] in HARMFUL and "sent" in row:
            assert not re.match(HARMFUL[row["probe"]], row["sent"]), row
