"""The `Server` header: which product and version it states, also of servers that no table knows."""

from __future__ import annotations

import pytest

from reconshield.identify.probes.http import read_server, split_package

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
