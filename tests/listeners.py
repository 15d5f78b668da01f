"""Servers on loopback, real sockets on port 0, for tests that talk: each is a function of its connection, run in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from reconshield.addresses import AddressSet, parse_target
from reconshield.model import Endpoint
from reconshield.scope import Grant, GrantTarget, Request, Targets, authorise

HOST = "127.77.0.3"
"""Loopback, but not 127.0.0.1: other programs on the machine have no business there, so connections can be counted."""

Talk = Callable[[socket.socket], None]


def targets(level: int = 3, address: str = HOST) -> Targets:
    """What a grant for one address gives."""
    grant = Grant("g1", "tests", (GrantTarget(address, AddressSet.of(address)),), (), level, 0.0, 2e9)
    made = authorise(Request((parse_target(address),)), [grant], AddressSet(), {}, 1.0)
    assert isinstance(made, Targets)
    return made


class Listener:
    """A listening socket whose connections each get a thread running `talk`. Counts connections and keeps what was received."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self._socket = socket.create_server((HOST, 0), backlog=64)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(HOST, self._socket.getsockname()[1])

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(made)
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made: socket.socket) -> None:
        with contextlib.suppress(OSError), made:
            made.settimeout(30)
            self.talk(made)

    def stop_listening(self) -> None:
        """From now on connections are refused."""
        with contextlib.suppress(OSError):  # it was stopped before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def close(self) -> None:
        self.stop_listening()
        for made in self._open:
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def listening(talk: Talk) -> Iterator[Listener]:
    made = Listener(talk)
    try:
        yield made
    finally:
        made.close()
