"""The server around the app: its socket, its limits, its end.

The socket listens before anything heavy is loaded: whoever starts the app can connect at once, and waits in the queue.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconshield.errors import UserError

if TYPE_CHECKING:
    import uvicorn

    from reconshield.web.call import Site

LOOPBACK_PORT = 8110
NEXT_PORTS = 20
"""So many ports after the wanted one are tried when it is taken."""
BACKLOG = 128
MOST_CONNECTIONS = 1000
KEEP_ALIVE, HEAD_PATIENCE, END_PATIENCE = 15, 20.0, 5


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain and key, as files in PEM."""

    certificate: Path
    key: Path


def listen(host: str, port: int, *, next_free: bool) -> socket.socket:
    """A listening socket. When the port is taken and `next_free`, one of the next ones. Raises UserError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last: OSError | None = None
    for number in range(port, port + (NEXT_PORTS if next_free and port else 1)):
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends at once only what says so
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, number))
            made.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            made.close()
            last = error if isinstance(error, OSError) else OSError(str(error))
            continue
        return made
    reason = (last.strerror or str(last)).lower() if last else "no port"
    raise UserError(f"the app cannot listen there: {reason}", where=f"{host} port {port}", hint="reconshield serve --port 8111")


def check_tls(tls: Tls) -> None:
    """Refuse a certificate that cannot be used before the app says that it is there."""
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "give a certificate chain and its key in PEM, readable by this user"
        raise UserError(f"the certificate cannot be used: {reason.lower()}", where=str(tls.certificate), hint=hint) from error


def run(site: Site, listening: socket.socket, tls: Tls | None) -> None:
    """Serve until a signal ends it."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    make_server(site, tls).run(sockets=[listening])


def make_server(site: Site, tls: Tls | None = None) -> uvicorn.Server:
    """The server with all its limits, ready to run."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from reconshield.web.app import make_app

    class Patient(H11Protocol):
        """Closes a connection whose request line and headers do not arrive in time."""

        watch: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.watch = self.loop.call_later(HEAD_PATIENCE, self.look)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.watch is not None:
                self.watch.cancel()
            super().connection_lost(exc)

        @property
        def served(self) -> bool:
            """Whether a request has come at all; only then there is a cycle."""
            return getattr(self, "cycle", None) is not None

        def look(self) -> None:
            """Every so often: is a request under way? If not and something was begun, or nothing ever came, it is over."""
            under_way = self.served and not self.cycle.response_complete
            waits_for_more = not self.served or bool(self.conn.trailing_data[0])
            if not under_way and waits_for_more:
                self.transport.close()
            else:
                self.watch = self.loop.call_later(HEAD_PATIENCE, self.look)

    config = uvicorn.Config(
        make_app(site),
        http=Patient,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=END_PATIENCE,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return uvicorn.Server(config)
