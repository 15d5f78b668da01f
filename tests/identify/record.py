"""Record a dialogue with a real server as TOML on stdout (loopback and own namespaces only):

python tests/identify/record.py 127.0.0.1 110 pop3 "Dovecot 2.3.19.1 (Debian 12), disable_plaintext_auth = no" [--tls]
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

from reconshield.identify.inquiry import Inquiry, Kit
from reconshield.identify.limits import Limits
from reconshield.identify.probe import Ask, Match, Probe, Read, Reconnect, StartTls, Tell
from reconshield.identify.probes import PROBES
from reconshield.identify.tls import make_context
from reconshield.model import Endpoint


def written(key: str, data: bytes) -> Iterator[str]:
    text = all(32 <= byte < 127 or byte in b"\r\n\t" for byte in data)
    if text:
        yield f"{key} = {json.dumps(data.decode('ascii'))}"
    else:
        lines = (data[at : at + 32].hex(" ") for at in range(0, len(data), 32))
        yield f'{key}_hex = """\n' + "\n".join(lines) + '"""'


def lines_of(step: Any, answer: Any) -> Iterator[str]:
    if isinstance(step, StartTls):
        yield f"\n[[turn]]\nstarttls = {toml(shorten(answer)) if answer else 'false'}"
    elif isinstance(step, Reconnect):
        yield f"\n[[turn]]\nreconnect = {json.dumps(answer)}"
    elif isinstance(step, Read | Ask | Tell):
        yield "\n[[turn]]"
        if not isinstance(step, Read):
            yield from written("sent", step.data)
        if not isinstance(step, Tell):
            yield from written("received", answer)


def shorten(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key in {"version", "cipher"}}


def bare(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{bare(key)} = {toml(v)}" for key, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def match_lines(match: Match | None) -> Iterator[str]:
    if match is None:
        return
    yield "\n[match]"
    for key in ("service", "product", "version"):
        if getattr(match, key) is not None:
            yield f"{key} = {toml(getattr(match, key))}"
    if match.cpe:
        yield f"cpe = {toml(match.cpe)}"
    if not match.sure:
        yield "sure = false"
    yield "\n[match.facts]"
    for key, value in match.facts.items():
        shown = shorten(value) if key == "starttls_tls" else value
        yield f"{key} = {toml(shown)}"


async def record(ip: str, port: int, probe: Probe, tls: bool) -> None:
    inquiry = Inquiry(Endpoint(ip, port, probe.transport), None, Kit(Limits(), PROBES, make_context()))
    conversation = await inquiry.open(tls)
    assert conversation is not None, inquiry.notes
    conversation.patience = 5.0
    out: list[str] = []

    def watched() -> Any:
        dialogue, answer = probe.run(), None
        while True:
            try:
                step = dialogue.send(answer)
            except StopIteration as verdict:
                return verdict.value
            answer = yield step
            out.extend(lines_of(step, answer))
            if isinstance(step, Ask) and not answer and conversation.line is not None and conversation.line.ended:
                out.append("ended = true")

    outcome = await conversation.hold(probe.name, watched())
    if outcome.match is None:
        print("none = true")
    # Documentation's address stands for the real one, also inside what was sent.
    print("\n".join([*out, *match_lines(outcome.match)]).replace(ip, "192.0.2.5"))
    await inquiry.leave()


def main() -> None:
    ip, port, name, source = sys.argv[1:5]
    transport = "udp" if "--udp" in sys.argv else "tcp"
    probe = next(p for p in PROBES if p.name == name and p.transport == transport)
    print(f"source = {json.dumps(source)}\nport = {port}")
    if transport == "udp":
        print('transport = "udp"')
    if "--tls" in sys.argv:
        print("tls = true")
    asyncio.run(record(ip, int(port), probe, "--tls" in sys.argv))


if __name__ == "__main__":
    main()
