"""What HTTP servers say of themselves: product, version, and whether a proxy serves strangers."""

from __future__ import annotations

import pytest

from reconshield.identify.applications import read_page
from reconshield.identify.probes.http import judge_proxy, read_server, split_package

STATED = [
    # header, product, version
    ("nginx/1.22.1", "nginx", "1.22.1"),
    ("Apache/2.4.66 (Debian)", "Apache httpd", "2.4.66"),
    ("webfs/1.21", "webfs", "1.21"),
    ("lwan/0.4", "lwan", "0.4"),
    ("Some Server/v2.0 (Unix)", "Some Server", "2.0"),
    ("Debian DLNADOC/1.50 UPnP/1.0 MiniDLNA/1.3.0", "MiniDLNA", "1.3.0"),
    ("Linux/5.10 UPnP/1.1, Zoo Media/2.1", "Zoo Media", "2.1"),
    ("Transmission", "Transmission", None),
]
SILENT = ["", "Server", "web", "httpd", "1.2.3", "a b c d", "x" * 100 + "/1", "-/-", "\x1b[31mred/1.0"]


@pytest.mark.parametrize(("header", "product", "version"), STATED)
def test_server_says_what_it_is(header: str, product: str, version: str | None) -> None:
    found = read_server(header)
    assert found is not None
    assert (found.product, found.version) == (product, version)


@pytest.mark.parametrize("header", SILENT)
def test_server_that_says_nothing_names_nothing(header: str) -> None:
    assert read_server(header) is None


@pytest.mark.parametrize(
    ("stated", "upstream", "package"),
    [
        ("2.42.0+ds", "2.42.0", "2.42.0+ds"),
        ("1.5.1-2+b5", "1.5.1-2+b5", None),
        ("20.10.24+dfsg1", "20.10.24", "20.10.24+dfsg1"),
        ("3.4.0-0ubuntu1", "3.4.0", "3.4.0-0ubuntu1"),
        ("1.2.3", "1.2.3", None),
        (None, None, None),
    ],
)
def test_version_of_a_distribution_is_split(stated: str | None, upstream: str | None, package: str | None) -> None:
    assert split_package(stated) == (upstream, package)


@pytest.mark.parametrize(
    ("answer", "open_proxy"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", True),
        (b"HTTP/1.1 502 Bad Gateway\r\nX-Squid-Error: ERR_READ_ERROR 0\r\n\r\n", True),
        (b"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n", False),
        (b"HTTP/1.1 404 No such domain\r\n\r\n<title>404 - No such domain</title>", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\nno such page", False),
        (b"HTTP/1.1 500 Unable to connect\r\n\r\nTinyproxy was unable to connect to the remote web server.", True),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", None),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\nwelcome", None),
        (b"", None),
    ],
)
def test_whether_a_proxy_served_a_stranger(answer: bytes, open_proxy: bool | None) -> None:
    assert judge_proxy(read_page("http://reconshield.invalid/", answer)).get("open_proxy") is open_proxy
