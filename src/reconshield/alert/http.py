"""One POST over HTTP or HTTPS, to the address that was admitted, with no redirect followed and no proxy asked.

With the standard library: `http.client` never follows anything on its own, and its connection takes an address of our choice
while the certificate is still checked against the name.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urlsplit

from reconshield.alert.channel import PATIENCE, Order, Outcome
from reconshield.errors import UserError

SHOWN = 200
LONGEST_WAIT = 3600.0
BUSY = frozenset({429, 503})
REJECTED = frozenset({400, 409, 413, 415, 422})
"""Answers about this one request; any other failure is one of the receiver, or of the way to it."""


def read_url(text: str, where: str) -> SplitResult:
    """A URL that can be posted to. The URL may hold a secret, so errors do not quote it."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        url, port = None, None
    if url is None or url.scheme not in {"http", "https"} or not url.hostname or port == 0 or not text.isprintable():
        raise UserError("the url of a channel is no http or https address", where=where, hint='url = "https://host/path"')
    return url


def post_json(order: Order, url_text: str, value: object, headers: Mapping[str, str] | None = None) -> Outcome:
    """Post a JSON value; 2xx is accepted."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return post(order, url_text, body, headers or {})


def post(order: Order, url_text: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    url = read_url(url_text, f"channel {order.notice.channel}")
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    if order.admit is not None and url.scheme != "https":
        raise UserError("a channel entered in the web app must be https", where=host, hint="https://…")
    path = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
    sent = {"content-type": "application/json", "user-agent": f"reconshield/{order.version}", **headers}
    connection = connect(order.admit, url.scheme, host, port, order.settings.get("ca"))
    try:
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        told = answer.read(SHOWN).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return Outcome(False, describe(error))
    finally:
        connection.close()
    if 200 <= answer.status < 300:
        return Outcome(True, f"HTTP {answer.status}")
    wait = answer.getheader("retry-after", "") if answer.status in BUSY else ""
    seconds = min(float(wait), LONGEST_WAIT) if wait.isdecimal() else None
    rejects = answer.status in REJECTED
    return Outcome(False, f"HTTP {answer.status} {answer.reason}: {told}".strip(": "), seconds, rejects)


def connect(
    admit: Callable[[str, int], list[str]] | None, scheme: str, host: str, port: int, ca: str | None
) -> http.client.HTTPConnection:
    """A connection that will be opened to an admitted address, or to wherever the resolver says."""
    if scheme == "https":
        made: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=tls_context(ca))
    else:
        made = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    if admit is not None:
        addresses = admit(host, port)
        made._create_connection = lambda _, *rest: open_first(addresses, port, *rest)  # type: ignore[attr-defined]
    return made


def open_first(addresses: list[str], port: int, timeout: float, source: tuple[str, int] | None = None) -> socket.socket:
    """A connection to the first of these addresses that takes one."""
    failure: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout, source)
        except OSError as error:
            failure = error
    raise failure


def tls_context(ca: str | None) -> ssl.SSLContext:
    """Certificates are always checked: against the system's authorities, or those in the file `ca`."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise UserError(
            f"the certificates cannot be read: {error.strerror or error}", where=f"ca = {ca}", hint="ca = FILE"
        ) from error


def describe(error: Exception) -> str:
    """A failure of the network in a few words."""
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:SHOWN].lower()
