"""LIRC, the daemon of infrared remote controls: the command VERSION, which presses no key (lircd(8)).

An answer is a frame of lines: BEGIN, the command, SUCCESS or ERROR, DATA with a count of lines, END.
"""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe


def run() -> Dialogue:
    answer = yield Ask(b"VERSION\n", until=lambda data: data.endswith(b"\nEND\n"))
    frame = re.match(rb"BEGIN\nVERSION\n(SUCCESS\nDATA\n1\n(\d[\w.]{1,20})|ERROR)\n", answer)
    if not frame:
        return None
    version = frame[2].decode("ascii") if frame[2] else None
    return Match("lirc", "LIRC", version, {"auth": "none"}, (name_cpe("lirc", "lirc", version),))


PROBE = Probe("lirc", ports=(8765,), run=run)
