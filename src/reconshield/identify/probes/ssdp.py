"""SSDP (UPnP Device Architecture 2.0 §1.3.2): a search for root devices, sent to one address. No description is fetched."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Place, Probe, Where

PRODUCTS: tuple[tuple[str, str], ...] = (
    (r"MiniUPnPd/(\d[\w.-]*)", "MiniUPnPd"),
    (r"MiniDLNA/(\d[\w.-]*)", "MiniDLNA"),
    (r"Portable SDK for UPnP devices/(\d[\w.-]*)", "Portable SDK for UPnP devices"),
    (r"Microsoft-Windows/(\d[\w.]*)", "Microsoft Windows UPnP host"),
)


def run() -> Dialogue:
    place = yield Where()
    question = write_search(place)
    answer = yield Ask(question)
    if not re.match(rb"HTTP/1\.[01] 200 ?", answer):
        return None
    headers = _read_headers(answer)
    if "st" not in headers and "usn" not in headers:
        return None
    facts: dict[str, Any] = {key: headers[key] for key in ("server", "location", "usn", "st") if key in headers}
    facts |= {"auth": "none", "request_bytes": len(question), "answer_bytes": len(answer)}
    for pattern, product in PRODUCTS:
        found = re.search(pattern, headers.get("server", ""))
        if found:
            return Match("ssdp", product, found[1], facts)
    return Match("ssdp", facts=facts)


def write_search(place: Place) -> bytes:
    host = f"[{place.host}]" if ":" in place.host else place.host
    lines = ["M-SEARCH * HTTP/1.1", f"HOST: {host}:{place.port}", 'MAN: "ssdp:discover"', "MX: 1", "ST: upnp:rootdevice"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _read_headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in data[:4096].decode("latin-1").splitlines()[1:40]:
        name, colon, value = text.partition(":")
        if colon:
            found.setdefault(name.strip().lower()[:40], value.strip()[:300])
    return found


PROBE = Probe("ssdp", ports=(1900,), run=run, transport="udp")
