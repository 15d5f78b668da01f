"""Renewing feeds: over a real HTTPS listener on loopback, from files, and back again. Whatever breaks, the old table stays."""

from __future__ import annotations

import datetime as dt
import gzip
import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from knowledge.test_feeds import epss_bytes
from reconshield.errors import UserError
from reconshield.jobs import intel
from reconshield.jobs.fetch import Reply, fetch
from reconshield.knowledge import kev, tables
from reconshield.knowledge.feeds import FEEDS

NOW = 1_795_000_000.0
KEV = FEEDS["kev"]


@dataclass
class Publisher:
    """A server on loopback that stands for the feed's host, and the opener that leads to it."""

    port: int
    trusted: ssl.SSLContext
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str], seconds: float) -> Iterator[Reply]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=seconds, context=self.trusted)
        with closing(connection):
            connection.request("GET", urlsplit(url).path, headers=dict(headers))
            yield connection.getresponse()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(hours=1))
    built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.sign(key, hashes.SHA256()).public_bytes(pem))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *private))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def publisher(certificate: tuple[Path, Path]) -> Iterator[Publisher]:
    cert, key = certificate
    found: list[Publisher] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server = found[0]
            server.asked.append((self.path, dict(self.headers)))
            status, headers = server.status, server.headers
            if server.status == 200 and headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
                status = 304
            if self.path == "/moved":
                status, headers = 200, {}
            self.send_response(status)
            body = server.body if status == 200 else b""
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *values: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.append(Publisher(server.server_port, ssl.create_default_context(cafile=str(cert))))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield found[0]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def package_tables() -> Iterator[None]:
    yield
    tables.choose(None)


def test_a_feed_is_fetched_used_and_asked_for_only_when_it_changed(
    publisher: Publisher, tmp_path: Path, grow: Callable[..., bytes]
) -> None:
    publisher.body, publisher.headers = grow("2026.11.01", 1), {"ETag": '"a"'}
    rows = [intel.update(tmp_path, ["kev"], now=NOW, opener=publisher.open)[0] for _ in range(2)]
    assert [(row.state, row.version) for row in rows] == [("new", "2026.11.01"), ("unchanged", "2026.11.01")]
    assert tables.version_of(tables.choose(tmp_path).kev) == "2026.11.01"
    assert [headers.get("If-None-Match") for _, headers in publisher.asked] == [None, '"a"']
    assert {path for path, _ in publisher.asked} == {urlsplit(KEV.url).path}


def test_the_hosts_are_fixed_and_https() -> None:
    assert {urlsplit(feed.url).netloc for feed in FEEDS.values()} == {
        "www.cisa.gov",
        "epss.empiricalsecurity.com",
        "www.iana.org",
    }
    assert {urlsplit(feed.url).scheme for feed in FEEDS.values()} == {"https"}


BAD_REPLIES = [
    # status, headers, body, what is said
    (404, {}, b"", "the server answers 404"),
    (200, {}, b"x" * 2000, "larger than 1,000 bytes"),
    (200, {"Content-Length": "900000"}, b"x", "larger than 1,000 bytes"),
    (200, {"Content-Length": "500"}, b"x" * 20, "20 of 500 bytes came|cannot be fetched"),
    (302, {"Location": "https://elsewhere.example/feed"}, b"", "redirected away from publisher.example"),
    (302, {"Location": "http://publisher.example/feed"}, b"", "redirected away from publisher.example"),
    (302, {"Location": "https://publisher.example:8443/feed"}, b"", "redirected away from publisher.example"),
    (302, {"Location": "//publisher.example@elsewhere.example/"}, b"", "redirected away from publisher.example"),
    (302, {}, b"", "redirected away from publisher.example"),
    (302, {"Location": "/again"}, b"", "redirected too often"),
]


@pytest.mark.parametrize(("status", "headers", "body", "message"), BAD_REPLIES)
def test_a_bad_reply_is_refused(publisher: Publisher, status: int, headers: dict[str, str], body: bytes, message: str) -> None:
    publisher.status, publisher.headers, publisher.body = status, headers, body
    with pytest.raises(UserError, match=message):
        fetch("https://publisher.example/feed", most=1000, opener=publisher.open, seconds=5)


def test_another_path_on_the_same_host_is_followed(publisher: Publisher) -> None:
    publisher.status, publisher.headers, publisher.body = 302, {"Location": "/moved"}, b"here"
    assert fetch("https://publisher.example/feed", most=1000, opener=publisher.open).data == b"here"


def test_a_certificate_that_nobody_vouches_for_is_refused(publisher: Publisher) -> None:
    publisher.trusted = ssl.create_default_context()
    with pytest.raises(UserError, match="certificate verify failed"):
        fetch("https://publisher.example/feed", most=1000, opener=publisher.open)


PACKED = [
    (gzip.compress(b"row\n" * 100, mtime=0), None),
    (gzip.compress(b"\0" * 100_000, mtime=0), "larger than"),  # a bomb: a hundred bytes become a hundred thousand
    (gzip.compress(b"row\n" * 100, mtime=0)[:-6], "not a whole gzip file"),
    (b"no gzip at all", "not a whole gzip file"),
]


@pytest.mark.parametrize(("body", "message"), PACKED)
def test_a_packed_feed_is_unpacked_within_limits(publisher: Publisher, body: bytes, message: str | None) -> None:
    publisher.body = body
    if message is None:
        assert fetch("https://publisher.example/feed.gz", most=10_000, opener=publisher.open).data == b"row\n" * 100
        return
    with pytest.raises(UserError, match=message):
        fetch("https://publisher.example/feed.gz", most=10_000, opener=publisher.open)


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.fixture
def grow() -> Callable[..., bytes]:
    """A KEV document that holds every row of the package's own copy and more."""

    def make(version: str, more: int = 0, fewer: int = 0) -> bytes:
        own = list(kev.embedded_exploited().values())[fewer:]
        rows = [
            {
                "cveID": row.cve,
                "vendorProject": row.vendor,
                "product": row.product,
                "dateAdded": row.added,
                "knownRansomwareCampaignUse": "Known" if row.ransomware else "Unknown",
            }
            for row in own
        ]
        rows += [{**rows[0], "cveID": f"CVE-2026-{90000 + number}"} for number in range(more)]
        return json.dumps({"catalogVersion": version, "count": len(rows), "vulnerabilities": rows}).encode()

    return make


def test_update_rollback_and_status(tmp_path: Path, grow: Callable[..., bytes]) -> None:
    home, today = tmp_path / "feeds", dt.date(2026, 11, 20)
    first, second = write(tmp_path, "1.json", grow("2026.10.01", 1)), write(tmp_path, "2.json", grow("2026.11.15", 2))
    (row,) = intel.update(home, ["kev"], now=NOW, from_file=first)
    assert (row.state, row.before, row.version, row.rows) == ("new", "2025.08.25", "2026.10.01", 1405)
    intel.update(home, ["kev"], now=NOW, from_file=second)
    tables.choose(home)
    assert kev.kev_version() == "2026.11.15"
    assert "CVE-2026-90001" in kev.exploited()
    state = {row.feed: row for row in intel.status(home, today)}
    assert (state["kev"].state, state["kev"].days, state["kev"].rows, state["kev"].previous) == ("ok", 5, 1406, "2026.10.01")
    assert state["kev"].source == str(second)
    assert (state["epss"].state, state["ports"].state) == ("missing", "old")
    assert {row.feed: row.state for row in intel.status(home, dt.date(2026, 12, 5))}["kev"] == "aging"
    assert intel.rollback(home)[0].version == "2026.10.01"
    assert tables.choose(home).kev.name.startswith("kev-2026.10.01")
    assert intel.rollback(home, ["kev"])[0].version == "package"
    assert tables.choose(home) == tables.EMBEDDED
    assert list(home.glob("*.tsv")) == []


NOT_TAKEN = [
    (lambda grow: grow("2025.08.01"), "older than 2025.08.25 in use"),
    (lambda grow: grow("2026.11.15", fewer=20), "20 of 1,404 rows are gone"),
    (lambda grow: grow("2026.11.15", more=60, fewer=20), "20 of 1,404 rows are gone"),
    (lambda grow: grow("2026.11.15")[:5000], "perhaps cut off"),
    (lambda grow: gzip.compress(grow("2026.11.15"), mtime=0)[:5000], "not a whole gzip file"),
]


@pytest.mark.parametrize(("make", "message"), NOT_TAKEN)
def test_what_is_refused_leaves_everything_as_it_was(
    tmp_path: Path, grow: Callable[..., bytes], make: Callable[[Callable[..., bytes]], bytes], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        intel.update(tmp_path / "feeds", ["kev"], now=NOW, from_file=write(tmp_path, "feed", make(grow)))
    assert tables.choose(tmp_path / "feeds") == tables.EMBEDDED


def test_a_downgrade_is_taken_when_it_is_allowed(tmp_path: Path, grow: Callable[..., bytes]) -> None:
    home = tmp_path / "feeds"
    intel.update(home, ["kev"], now=NOW, from_file=write(tmp_path, "1", grow("2026.11.15")))
    older = write(tmp_path, "2", grow("2026.10.01"))
    (row,) = intel.update(home, ["kev"], now=NOW, from_file=older, allow_downgrade=True)
    assert (row.state, tables.version_of(tables.choose(home).kev)) == ("downgraded", "2026.10.01")


def test_a_table_that_was_cut_on_the_disk_is_passed_over_and_said(tmp_path: Path, grow: Callable[..., bytes]) -> None:
    home = tmp_path / "feeds"
    intel.update(home, ["kev"], now=NOW, from_file=write(tmp_path, "1", grow("2026.11.15")))
    (path,) = home.glob("kev-*.tsv")
    path.write_bytes(path.read_bytes()[:-100])
    assert tables.choose(home) == tables.EMBEDDED
    assert intel.status(home, dt.date(2026, 11, 20))[0].state == "broken"


def test_epss_keeps_the_cves_of_the_catalogue(tmp_path: Path) -> None:
    wanted = min(intel.wanted_cves())
    data = epss_bytes(tail=f"{wanted},0.9,0.99\n")
    (row,) = intel.update(tmp_path, ["epss"], now=NOW, from_file=write(tmp_path, "epss.csv.gz", gzip.compress(data, mtime=0)))
    assert row.state == "new"
    tables.choose(tmp_path)
    assert kev.scores()[wanted] == kev.Score(0.9, 0.99)


def test_mistakes_are_told(tmp_path: Path) -> None:
    for names, file, message in (
        (["kve"], None, "unknown feed 'kve'"),
        (["kev", "epss"], tmp_path, "a file is one feed"),
        (["kev"], tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(UserError, match=message):
            intel.update(tmp_path, names, now=NOW, from_file=file)
    with pytest.raises(UserError, match="was never fetched"):
        intel.rollback(tmp_path, ["kev"])
