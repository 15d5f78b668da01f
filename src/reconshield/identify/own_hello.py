"""TLS by a hello of our own: for servers that the local OpenSSL cannot talk to, and to ask for one version by itself.

    say_hello(line, version) ──▸ the server's first flight, as far as it is in clear ──▸ tls_hello.Answer

No session comes of it, and none is wanted: version, cipher and, up to TLS 1.2, the chain stand in what the server sends first.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from reconshield.identify.tls import describe_answer, name_for_sni
from reconshield.identify.tls_hello import FLIGHT, Answer, client_hello, looks_like_tls, read_answer
from reconshield.identify.wire import Line, Wire

FALLBACK = (0x0303, 0x0300, 0x0301, 0x0304)
FIRST_BYTES = 2.5


async def read_with_own_hello(
    connect: Callable[[], Awaitable[Wire | None]], name: str | None, deadline: float
) -> dict[str, Any] | None:
    """TLS facts of a server that the local OpenSSL cannot talk to; None when no connection can be had any more."""
    for version in FALLBACK:
        wire = await connect()
        if wire is None:
            return None
        answer = await say_hello(wire, version, name, deadline)
        wire.close()
        if answer.version is not None:
            return describe_answer(answer)
    return {}


async def say_hello(line: Line, version: int, name: str | None, deadline: float, alpn: Sequence[str] = ()) -> Answer:
    """Send our hello over a connection and read the server's first flight, as far as it is in clear."""
    loop = asyncio.get_running_loop()
    by = min(loop.time() + FIRST_BYTES, deadline)
    try:
        hello = client_hello(version, name_for_sni(name), os.urandom(64), alpn)
    except UnicodeError:  # a name that SNI cannot carry
        hello = client_hello(version, None, os.urandom(64), alpn)
    heard = b""
    if not await line.send(hello, by):
        return Answer()
    while len(heard) < FLIGHT:
        piece = await line.receive(by)
        if not piece:
            break
        heard += piece
        if (len(heard) >= 6 and not looks_like_tls(heard)) or read_answer(heard).done:
            break
    return read_answer(heard)
