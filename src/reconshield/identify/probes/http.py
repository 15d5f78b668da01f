"""HTTP/1.1 (RFC 9110, 9112): one GET of the front page, under our own name, uncompressed; redirects are noted, not followed.

The same probe runs inside TLS. A server that answers a plain request with "speak TLS here" says so in `tls_expected`.
"""

from __future__ import annotations

import html
import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Place, Probe, Where, name_cpe

ENOUGH = 32 * 1024
HEADERS = (
    "server",
    "x-powered-by",
    "x-generator",
    "x-aspnet-version",
    "x-jenkins",
    "x-influxdb-version",
    "x-couch-request-id",
    "x-redirect-by",
    "docker-distribution-api-version",
    "via",
    "www-authenticate",
    "location",
    "content-type",
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "content-security-policy",
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
)
"""Headers that say what a server is or how it protects its users; the others are left where they are."""

WANTS_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|speaking plain HTTP to an SSL|requires TLS"
)

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"nginx(?:/(\d[\w.]*))?", "nginx", ("f5", "nginx")),
    (r"Apache-Coyote/|Apache Tomcat", "Apache Tomcat", ("apache", "tomcat")),
    (r"Apache(?:/(\d[\w.]*))?(?:\s|$)", "Apache httpd", ("apache", "http_server")),
    (r"lighttpd(?:/(\d[\w.]*))?", "lighttpd", ("lighttpd", "lighttpd")),
    (r"Microsoft-IIS/(\d[\w.]*)", "Microsoft IIS httpd", ("microsoft", "internet_information_services")),
    (r"Microsoft-HTTPAPI/(\d[\w.]*)", "Microsoft HTTPAPI httpd", None),
    (r"Caddy", "Caddy httpd", ("caddyserver", "caddy")),
    (r"openresty(?:/(\d[\w.]*))?", "OpenResty web app server", ("openresty", "openresty")),
    (r"LiteSpeed", "LiteSpeed httpd", ("litespeedtech", "litespeed_web_server")),
    (r"Jetty\((\d[\w.]*)\)", "Jetty", ("eclipse", "jetty")),
    (r"gunicorn(?:/(\d[\w.]*))?", "Gunicorn", ("gunicorn", "gunicorn")),
    (r"uvicorn", "Uvicorn", ("encode", "uvicorn")),
    (r"hypercorn", "Hypercorn", None),
    (r"Werkzeug/(\d[\w.]*)", "Werkzeug httpd", ("palletsprojects", "werkzeug")),
    (r"TornadoServer/(\d[\w.]*)", "Tornado httpd", ("tornadoweb", "tornado")),
    (r"Python/\d[\w.]* aiohttp/(\d[\w.]*)", "aiohttp", ("aiohttp", "aiohttp")),
    (r"SimpleHTTP/[\d.]+ Python/(\d[\w.]*)", "Python http.server", ("python", "python")),
    (r"BaseHTTP/[\d.]+ Python/(\d[\w.]*)", "Python http.server", ("python", "python")),
    (r"WSGIServer/[\d.]+ (?:C?Python)/(\d[\w.]*)", "WSGIServer", None),
    (r"CherryPy/(\d[\w.]*)", "CherryPy wsgiserver", ("cherrypy", "cherrypy")),
    (r"Cheroot/(\d[\w.]*)", "Cheroot", ("cherrypy", "cheroot")),
    (r"Kestrel", "Microsoft Kestrel httpd", ("microsoft", "asp.net_core")),
    (r"squid(?:/(\d[\w.]*))?", "Squid http proxy", ("squid-cache", "squid")),
    (r"Varnish", "Varnish", ("varnish-software", "varnish_cache")),
    (r"envoy", "Envoy", ("envoyproxy", "envoy")),
    (r"CUPS/(\d[\w.]*)", "CUPS", ("openprinting", "cups")),
    (r"thttpd/(\d[\w.]*)", "thttpd", ("acme", "thttpd")),
    (r"mini_httpd/(\d[\w.]*)", "mini_httpd", ("acme", "mini-httpd")),
    (r"GoAhead-(?:Webs|http)", "GoAhead WebServer", ("embedthis", "goahead")),
    (r"Boa/(\d[\w.]*)", "Boa httpd", ("boa", "boa")),
    (r"RomPager/(\d[\w.]*)", "Allegro RomPager", ("allegrosoft", "rompager")),
    (r"Cowboy", "Cowboy httpd", ("ninenines", "cowboy")),
    (r"MiniServ/(\d[\w.]*)", "Webmin MiniServ", ("webmin", "webmin")),
    (r"Docker/(\d[\w.-]*)", "Docker", ("docker", "docker")),
    (r"Monkey/(\d[\w.]*)", "Monkey httpd", ("monkey-project", "monkey")),
    (r"AmazonS3|MinIO", "MinIO", ("minio", "minio")),
)

PAGES: tuple[tuple[bytes, str, tuple[str, str]], ...] = (
    (rb"<title>Statistics Report for HAProxy</title>", "HAProxy", ("haproxy", "haproxy")),
    (rb"</h1>\nNo server is available to handle this request\.\n", "HAProxy", ("haproxy", "haproxy")),
    (rb'href="https://nats\.io/favicon\.ico"', "NATS", ("linuxfoundation", "nats-server")),
)
"""Pages that a server makes itself, where it sends no `Server` header."""


def run() -> Dialogue:
    place = yield Where()
    answer = yield Ask(request(place), until=read_enough)
    status = re.match(rb"HTTP/(\d(?:\.\d)?) (\d{3})", answer)
    if not status:
        shape = re.match(rb"\s{0,8}<(?:!doctype html|html|head|title)", answer, re.IGNORECASE)
        return Match("http", facts=page_facts(answer) | {"protocol": "HTTP/0.9"}, sure=False) if shape else None
    head, _, body = answer.partition(b"\r\n\r\n") if b"\r\n\r\n" in answer else answer.partition(b"\n\n")
    headers = read_headers(head)
    facts: dict[str, Any] = {"protocol": f"HTTP/{status[1].decode()}", "status": int(status[2])}
    facts |= {key: headers[key] for key in ("server", "location") if key in headers}
    facts["headers"] = {key: headers[key] for key in HEADERS if key in headers}
    facts |= page_facts(body)
    if facts["status"] == 401:
        facts["auth"] = "required"
        if not place.tls and headers.get("www-authenticate", "").lower().startswith("basic"):
            facts |= {"login_clear": "offered", "mechanisms_clear": ["Basic"]}  # RFC 7617 §4: no secrecy of its own
    if not place.tls and facts["status"] in {400, 403, 426, 497} and WANTS_TLS.search(body):
        facts["tls_expected"] = True
    return name_product(headers.get("server", ""), body, facts)


def request(place: Place) -> bytes:
    host = f"[{place.host}]" if ":" in place.host else place.host
    usual = 443 if place.tls else 80
    name = host if place.port == usual else f"{host}:{place.port}"
    lines = ["GET / HTTP/1.1", f"Host: {name}", "User-Agent: ReconShield", "Accept: */*", "Accept-Encoding: identity"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace")


def read_enough(data: bytes) -> bool:
    """The head, and as much of the body as its length says; for a page the part that holds its title will do."""
    if not data.startswith(b"HTTP/"):
        return b"\n" in data or len(data) > 1024
    if len(data) >= ENOUGH:
        return True
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = re.search(rb"\ncontent-length:[ \t]{0,8}(\d{1,9})", data[: end + 2], re.IGNORECASE)
    if length:
        return len(data) - end - 4 >= min(int(length[1]), ENOUGH)
    return (
        data[-7:].endswith(b"0\r\n\r\n")
        or b"</head>" in data[end:]
        or re.match(rb"HTTP/\d\.\d (?:1|204|304)", data) is not None
    )


def read_headers(head: bytes) -> dict[str, str]:
    """Header lines by lower-case name; the first of a kind counts, and only so much of it."""
    found: dict[str, str] = {}
    for text in head.decode("latin-1").splitlines()[1:200]:
        name, colon, value = text.partition(":")
        if colon and re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
            found.setdefault(name.lower(), value.strip()[:512])
    return found


def page_facts(body: bytes) -> dict[str, Any]:
    """The title of a page, and what it says it was made with."""
    facts: dict[str, Any] = {}
    text = body[:ENOUGH].decode("utf-8", "replace")
    lower = text.lower()
    start = lower.find("<title")
    opened = lower.find(">", start, start + 200) if start >= 0 else -1
    if opened >= 0:
        closed = lower.find("</title", opened, opened + 1000)
        raw = text[opened + 1 : closed if closed >= 0 else opened + 200]
        facts["title"] = " ".join(html.unescape(raw).split())[:200]
    at = lower.find('name="generator"')
    made = re.search(r'content="([^"]{1,120})"', text[max(0, at - 150) : at + 200]) if at >= 0 else None
    if made:
        facts["generator"] = made[1]
    return facts


def name_product(server: str, body: bytes, facts: dict[str, Any]) -> Match:
    """From the `Server` header; without one from a page that only one server makes."""
    distribution = re.search(
        r"\((Debian|Ubuntu|Red Hat[^)]{0,40}|CentOS[^)]{0,20}|Fedora|Rocky Linux|AlmaLinux|Win(?:32|64))\)", server
    )
    if distribution:
        facts["os"] = distribution[1]
    for pattern, product, vendor in PRODUCTS:
        found = re.match(pattern, server, re.IGNORECASE)
        if found:
            version = found[1] if found.re.groups else None
            return Match("http", product, version, facts, (name_cpe(*vendor, version),) if vendor else ())
    for page, product, vendor in () if server else PAGES:
        if re.search(page, body[:ENOUGH]):
            return Match("http", product, None, facts, (name_cpe(*vendor),))
    return Match("http", facts=facts)


PROBE = Probe(
    "http", ports=(80, 443, 591, 2080, 3000, 5000, 5601, 8000, 8008, 8080, 8081, 8088, 8443, 8888, 9000, 9090, 9443), run=run
)
