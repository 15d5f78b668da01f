"""Listeners inside a namespace that keep what they hear: how much did the scanner really send?"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from system.netns import Namespace

Talk = Callable[[socket.socket], None]


class Listener:
    """Accepts in a thread of its own, one more thread per connection; `talk` may be None: then nothing is said."""

    def __init__(self, listening: socket.socket, talk: Talk | None) -> None:
        self._listening, self._talk = listening, talk
        self._open: list[socket.socket] = []
        self.connections = 0
        self.received = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                made, _ = self._listening.accept()
                self.connections += 1
                self._open.append(made)
                threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made: socket.socket) -> None:
        with contextlib.suppress(OSError), made:
            made.settimeout(30)
            if self._talk:
                self._talk(made)
            while data := made.recv(65536):
                self.received += data

    def close(self) -> None:
        for sock in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@contextmanager
def listening(where: Namespace, address: str, port: int, talk: Talk | None = None) -> Iterator[Listener]:
    """A listener inside `where` for as long as the block lasts."""

    def bind() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(128)
        return made

    listener = Listener(where.inside(bind), talk)
    try:
        yield listener
    finally:
        listener.close()
