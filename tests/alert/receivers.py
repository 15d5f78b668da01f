"""Real receivers on loopback: a web server that remembers what it was told, sockets for syslog, certificates."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.77.0.9"
"""Loopback, where nobody else on the machine has business."""


@dataclass
class Posts:
    """What a web server was told, and what it answers."""

    url: str = ""
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes, str]] = field(default_factory=list)
    admit: Callable[[], bool] = lambda: True


@contextmanager
def web_server(context: ssl.SSLContext | None = None, **answer: Any) -> Iterator[Posts]:
    """An HTTP (or HTTPS) server that keeps headers, body and path of every POST."""
    posts = Posts(**answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posts.got.append(({name.lower(): value for name, value in self.headers.items()}, body, self.path))
            self.send_response(posts.status)
            for name, value in posts.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    posts.url = f"{'https' if context else 'http'}://{HOST}:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield posts
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback address that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.test")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("receiver.test"), x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "receiver.pem", folder / "receiver.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def stream_server(context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A TCP (or TLS) server that keeps everything each connection sends until its end."""
    got: list[bytes] = []
    listener = socket.create_server((HOST, 0))
    listener.settimeout(10)

    def serve() -> None:
        plain, _ = listener.accept()
        plain.settimeout(10)
        with context.wrap_socket(plain, server_side=True) if context else plain as connection:
            data = b""
            while part := connection.recv(65536):
                data += part
            got.append(data)
            if isinstance(connection, ssl.SSLSocket):
                connection.unwrap()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], got
        thread.join(10)
    finally:
        listener.close()


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server((HOST, 0)) as taken:
        return int(taken.getsockname()[1])
