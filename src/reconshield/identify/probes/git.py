"""The git daemon: a request for a repository that does not exist is refused in git's own framing (git's protocol-common)."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Where

PATH = b"/reconshield-does-not-exist.git"


def run() -> Dialogue:
    place = yield Where()
    request = b"git-upload-pack " + PATH + b"\0host=" + place.host.encode("ascii", "replace") + b"\0"
    answer = yield Ask(b"%04x" % (len(request) + 4) + request, until=_whole)
    refused = re.fullmatch(rb"[0-9a-f]{4}ERR ([^\n]*)\n?", answer)
    if not refused or int(answer[:4], 16) != len(answer):
        return None
    return Match("git", facts={"error": refused[1].decode("latin-1")})


def _whole(data: bytes) -> bool:
    """A pkt-line: its length in four hexadecimal digits counts itself."""
    return len(data) >= 4 and (not re.match(rb"[0-9a-f]{4}", data) or len(data) >= int(data[:4], 16))


PROBE = Probe("git", ports=(9418,), run=run)
