"""HTTP/1.1 (RFC 9110, 9112): a GET of the front page under our own name, uncompressed, and what serves it.

`identify.applications` knows applications by their pages. Where it wants more, a few further GETs follow: the local page that
a redirect leads to, the well-known path of an API whose front page says nothing, the one that tells the version, the icon.
Nothing but GET is sent (and one OPTIONS where a print server may turn to TLS). At level 4 one GET shows whether an API wants a
login, and a proxy is asked for a name that cannot exist (RFC 2606).

The same probe runs inside TLS. A server that answers a plain request with "speak TLS here" says so in `tls_expected`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from reconshield.identify.applications import (
    Application,
    Page,
    further_paths,
    question_for,
    read_answer,
    read_front,
    read_page,
    recognise,
)
from reconshield.identify.probe import (
    Ask,
    Dialogue,
    Match,
    Place,
    Probe,
    Reconnect,
    StartTls,
    Turn,
    Where,
    at_least,
    name_cpe,
)

ENOUGH = 48 * 1024
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

OWN_WORDS = re.compile(r"([A-Za-z][A-Za-z0-9 _.-]{1,40})/v?(\d[\w.]{0,30})(?: \([^()]{1,60}\))?")
"""`Server: name/version` of a server that the table does not know: it says so itself (RFC 9110 §10.2.4)."""
ONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{2,30}")
DULL = frozenset(
    {
        "server",
        "http",
        "https",
        "httpd",
        "http-server",
        "httpserver",
        "web",
        "webserver",
        "web-server",
        "www",
        "none",
        "unknown",
    }
)
"""Names that name nothing."""
IN_UPNP = re.compile(r"[^/]{1,40}(?:/\S{1,30})? (?:\S{1,30} )?UPnP/\d\.\d,? ([A-Za-z][\w .-]{0,40})/v?(\d[\w.]{0,30})")
"""System, UPnP and product, in this order (UPnP Device Architecture 1.1 §1.2.2)."""

SECURITY_HEADERS = (
    "strict-transport-security",
    "content-security-policy",
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
)
LISTING = re.compile(r"^(?:Index of /|Directory listing for /|Directory: /)", re.IGNORECASE)
PASSWORD_FIELD = re.compile(r"<input\b[^>]{0,300}\btype=[\"']?password", re.IGNORECASE)
ICON = re.compile(r"<link\b[^>]{0,200}\brel=[\"']?(?:shortcut )?icon\b[^>]{0,200}>", re.IGNORECASE)
PROXY_PORTS = (3128, 8118, 8888)
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What every client says first, and settings without a change."""
SETTINGS = re.compile(rb"\x00\x00[\x00-\x7f]\x04\x00\x00\x00\x00\x00", re.DOTALL)
NOWHERE = "http://reconshield.invalid/"
TRIED = re.compile(r"ERR_(?:DNS_FAIL|CONNECT_FAIL|READ_ERROR|READ_TIMEOUT|CANNOT_FORWARD|ZERO_SIZE_OBJECT)\b")
"""Squid's errors that come after it has decided to serve us."""
OWN_FAILURES = {404: "No such domain", 500: "unable to connect to the remote web server"}
"""The same from Privoxy and Tinyproxy, which use other states for it."""

Asking = Generator[Turn, Any, Page]


def run() -> Dialogue:
    place = yield Where()
    page = read_page("/", (yield Ask(write_get(place), until=read_enough)))
    if not page.status and (yield from speaks_http2(page.raw, place)):
        return Match("http", facts={"protocol": "HTTP/2"})
    if not page.status:
        shape = re.match(r"\s{0,8}<(?:!doctype html|html|head|title)", page.body, re.IGNORECASE)
        return Match("http", facts={"protocol": "HTTP/0.9"}, sure=False) if shape else None
    facts = describe(page, place)
    if facts.get("tls_expected"):
        return name_product(page, None, facts)
    page, application = yield from find_application(page, place, facts)
    if application is not None:
        application, more = yield from question_application(application, page, place)
        facts |= {"application": application.name} | more
    if application is not None and application.name == "cups" and not place.tls:
        facts |= yield from try_upgrade(place)
    return name_product(page, application, facts)


def speaks_http2(answer: bytes, place: Place) -> Generator[Turn, Any, bool]:
    """Whether a server knows HTTP/2 alone, as gRPC and DNS over HTTPS do: it sends its settings first (RFC 9113 §3.4, §6.5)."""
    if not answer and place.tls and (yield Reconnect()):
        answer = yield Ask(HTTP2_PREFACE, until=at_least(9))
    return SETTINGS.match(answer) is not None


def find_application(page: Page, place: Place, facts: dict[str, Any]) -> Generator[Turn, Any, tuple[Page, Application | None]]:
    """By the front page, by where it leads on this server, by the well-known path of a silent API, by its icon."""
    application = recognise(page)
    onward = local_path(page, place)
    if application is None and onward:
        front, page = page, (yield from get(place, onward))
        application = recognise(page)
        facts |= {key: value for key, value in (("redirect", onward), ("title", page.title)) if value}
        facts |= describe_page(page, place)
        page = page if page.status else front
    for path in further_paths(page, place.port) if application is None else ():
        answer = yield from get(place, path)
        application = recognise(answer)
        if application is not None:
            return answer, application
    if application is None and page.is_page and ICON.search(page.body):
        icon = yield from get(place, "/favicon.ico")
        if icon.status == 200 and icon.raw:
            facts["favicon_sha256"] = sha256(icon.raw).hexdigest()
    return page, application


def question_application(
    application: Application, page: Page, place: Place
) -> Generator[Turn, Any, tuple[Application, dict[str, Any]]]:
    """Its version and whether it wants a login, from the page that showed it and one more where that says more."""
    facts = read_front(application, page)
    question = question_for(application.name, level=3)
    if question is not None:
        answer = page if page.path == question.path else (yield from get(place, question.path))
        application, more = read_answer(question, answer, application)
        facts |= more
    if application.kind in {"admin", "device"} and page.status in {200, 301, 302, 303, 307, 308, 401, 403}:
        facts["admin_panel"] = True
    if application.kind == "metrics":
        facts["metrics"] = True
    return application, facts | ({"application_version": application.version} if application.version else {})


def assess(match: Match) -> Dialogue:
    """One GET whose answer a login should guard, or a proxy's for nowhere."""
    place = yield Where()
    facts = dict(match.facts)
    question = question_for(str(facts.get("application", "")), level=4)
    if question is not None and facts.get("auth") != "none":
        known = Application(question.application, match.product or "", match.version)
        answer = read_page(question.path, (yield Ask(write_get(place, question.path), until=read_enough)))
        application, more = read_answer(question, answer, known)
        if more or application.version != match.version:
            return replace(match, version=application.version, facts=facts | more)
    if match.service == "http-proxy" or place.port in PROXY_PORTS:
        answer = read_page(NOWHERE, (yield Ask(write_get(place, NOWHERE), until=read_enough)))
        return replace(match, facts=facts | judge_proxy(answer))
    return match


def judge_proxy(page: Page) -> dict[str, Any]:
    """A proxy that tried to look up a name that cannot exist serves us; one that wants a login or refuses says so."""
    if page.status == 407:
        return {"auth": "required", "open_proxy": False}
    tried = page.status in {502, 503, 504} and TRIED.match(page.headers.get("x-squid-error", "ERR_DNS_FAIL")) is not None
    if tried or OWN_FAILURES.get(page.status, "\0") in page.body:
        return {"auth": "none", "open_proxy": True}
    return {"open_proxy": False} if page.status in {400, 403, 404, 405} else {}


def try_upgrade(place: Place) -> Generator[Turn, Any, dict[str, Any]]:
    """The upgrade of a plain connection to TLS (RFC 2817 §3.2), which print servers offer."""
    if not (yield Reconnect()):
        return {}
    lines = ["OPTIONS * HTTP/1.1", f"Host: {host_of(place)}", "User-Agent: ReconShield", "Connection: Upgrade"]
    request = "\r\n".join([*lines, "Upgrade: TLS/1.2", "", ""]).encode("latin-1", "replace")
    answer = yield Ask(request, until=lambda data: b"\r\n\r\n" in data)
    if not re.match(rb"HTTP/1\.1 101 ", answer):
        return {"starttls": "not offered"}
    upgraded = yield StartTls()
    return {"starttls": "offered"} | ({"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded})


def get(place: Place, path: str) -> Asking:
    """One more GET, on a connection of its own; an empty page when there is none left."""
    if not (yield Reconnect()):
        return Page(path)
    return read_page(path, (yield Ask(write_get(place, path), until=read_enough)))


def host_of(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port == (443 if place.tls else 80) else f"{host}:{place.port}"


def write_get(place: Place, path: str = "/") -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host_of(place)}", "User-Agent: ReconShield", "Accept: */*"]
    return "\r\n".join([*lines, "Accept-Encoding: identity", "Connection: close", "", ""]).encode("latin-1", "replace")


def local_path(page: Page, place: Place) -> str:
    """Where a redirect leads, if that is another path of this very endpoint."""
    location = page.headers.get("location", "")
    if page.status not in {301, 302, 303, 307, 308}:
        return ""
    scheme = "https" if place.tls else "http"
    for start in (f"{scheme}://{host_of(place)}", f"{scheme}://{host_of(place)}:{place.port}"):
        location = location.removeprefix(start) if location.startswith(start + "/") else location
    path = location.split("#", 1)[0]
    if path and not re.match(r"[a-z]{1,10}:|//", path, re.IGNORECASE):
        path = "/" + path.lstrip("/")
    return path if re.fullmatch(r"/[\x21-\x7e]{1,300}", path) and not path.startswith("//") else ""


def read_enough(data: bytes) -> bool:
    """The head, and as much of the body as its length says, up to what is looked at."""
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
    if data.endswith(b"\r\n0\r\n\r\n") or re.match(rb"HTTP/\d\.\d (?:1|204|304)", data) is not None:
        return True
    return b"</html>" in data[-64:].lower()


def describe(page: Page, place: Place) -> dict[str, Any]:
    """The facts of the front page."""
    headers = page.headers
    facts: dict[str, Any] = {"protocol": page.protocol, "status": page.status}
    facts |= {key: headers[key] for key in ("server", "location") if key in headers}
    facts["headers"] = {key: headers[key] for key in HEADERS if key in headers}
    facts |= {key: value for key, value in (("title", page.title), ("generator", page.generator)) if value}
    if page.status == 401:
        facts["auth"] = "required"
    if not place.tls and page.status in {400, 403, 426, 497} and WANTS_TLS.search(page.raw):
        facts["tls_expected"] = True
    return facts | describe_page(page, place)


def describe_page(page: Page, place: Place) -> dict[str, Any]:
    """What a page lets strangers do, and how it protects those who use it."""
    facts: dict[str, Any] = {}
    if page.status == 200 and LISTING.match(page.title):
        facts["directory_listing"] = True
    form = PASSWORD_FIELD.search(page.body) is not None
    if form:
        facts["login_form"] = True
    basic = re.search(r"\bBasic\b", page.headers.get("www-authenticate", ""), re.IGNORECASE) is not None
    if not place.tls and (form or basic):
        facts["login_clear"] = "offered"
        facts |= {"mechanisms_clear": ["Basic"]} if basic else {}  # RFC 7617 §4: no secrecy of its own
    if page.is_page:
        facts["security_headers"] = [name for name in SECURITY_HEADERS if name in page.headers]
    return facts


def name_product(page: Page, application: Application | None, facts: dict[str, Any]) -> Match:
    """The application where it is the service itself, else the server that the `Server` header names."""
    server = str(facts.get("server", page.headers.get("server", "")))
    distribution = re.search(
        r"\((Debian|Ubuntu|Red Hat[^)]{0,40}|CentOS[^)]{0,20}|Fedora|Rocky Linux|AlmaLinux|Win(?:32|64))\)", server
    )
    if distribution:
        facts["os"] = distribution[1]
    found = read_server(server)
    if application is None:
        return Match("http", facts=facts) if found is None else replace(found, facts=facts)
    if found is not None and application.kind == "app" and found.product != application.product:
        return replace(found, facts=facts)
    version, package = split_package(application.version)
    facts |= {"package": package} if package else {}
    if version is None and found is not None and found.product == application.product:
        version = found.version
    cpe = (name_cpe(*application.vendor, version),) if application.vendor else ()
    return Match(application.service, application.product, version, facts, cpe)


def split_package(version: str | None) -> tuple[str | None, str | None]:
    """The upstream part of a version that a distribution made, and the whole of it."""
    made = re.fullmatch(
        r"(\d[\w.]*?)(?:[+~](?:ds|dfsg|repack)[\w.+~-]*|[-+]\d{0,3}[\w.]*?(?:\+deb|~deb|deb|ubuntu)[\w.+~]*)", version or ""
    )
    return (made[1], version) if made else (version, None)


def read_server(server: str) -> Match | None:
    for pattern, product, vendor in PRODUCTS:
        found = re.match(pattern, server, re.IGNORECASE)
        if found:
            version = found[1] if found.re.groups else None
            return Match("http", product, version, cpe=(name_cpe(*vendor, version),) if vendor else ())
    stated = OWN_WORDS.fullmatch(server) or IN_UPNP.fullmatch(server)
    if stated:
        return Match("http", stated[1], stated[2])
    return Match("http", server) if ONE_NAME.fullmatch(server) and server.lower() not in DULL else None


PORTS = (
    *(80, 443, 591, 631, 1880, 2080, 2375, 2376, 2379, 2380, 3000, 3128, 4001, 4040, 4243, 5000, 5601, 5800, 5984, 5985, 5986),
    *(6443, 7474, 8000, 8001, 8006, 8008, 8080, 8081, 8083, 8086, 8088, 8089, 8118, 8123, 8161, 8200, 8222, 8404, 8443, 8500),
    *(8787, 8880, 8888, 8983, 9000, 9090, 9091, 9093, 9115, 9121, 9187, 9200, 9443, 9870, 10250, 10255, 10256, 15672, 50070),
)
"""Ports where HTTP, or an API over it, is usual."""

PROBE = Probe("http", ports=PORTS, run=run, assess=assess)
