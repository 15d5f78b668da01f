"""The site's pages: valid HTML, every mark and every link leads somewhere, small pages say what is true and no more."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import html5lib
import jsonschema
import pytest

from reconshield.errors import UserError
from reconshield.jobs.site import both, build_site
from reconshield.knowledge.catalog import load_catalog
from reconshield.knowledge.export import COLUMNS, catalogue_csv, catalogue_document, catalogue_schema
from reconshield.knowledge.profile import profile, profile_by_name
from reconshield.report.site import crawl
from reconshield.report.site.page import page_html

Element = ET.Element
NOW = 1_795_000_000.0
SECTIONS = (
    "risk",
    "do",
    "understanding",
    "abuse",
    "implications",
    "defence",
    "scan",
    "intelligence",
    "faq",
    "related",
    "sources",
)


def read(text: str) -> Element:
    """The document, by a parser that refuses every error of HTML5."""
    found: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return found


def ids_and_links(document: Element) -> tuple[list[str], list[str]]:
    nodes = list(document.iter())
    ids = [str(node.get("id")) for node in nodes if node.get("id")]
    return ids, [str(node.get(key)) for node in nodes for key in ("href", "src") if node.get(key)]


def check_outline(document: Element) -> None:
    """One h1, no heading level left out, every id once, every label leads to an id, a main and a language."""
    ids, links = ids_and_links(document)
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    labels = [name for node in document.iter() for name in str(node.get("aria-labelledby") or "").split()]
    assert set(labels) <= set(ids)
    levels = [int(node.tag[1]) for node in document.iter() if str(node.tag) in {"h1", "h2", "h3", "h4", "h5"}]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert document.get("lang") == "en"
    assert len(list(document.iter("main"))) == 1
    for table in document.iter("table"):
        assert table.find("caption") is not None
        assert all(cell.get("scope") for cell in table.iter("th"))


@pytest.mark.parametrize("name", ["pop3", "dns", "redis", "modbus", "rdp", "kubernetes", "memcached", "snmp"])
def test_a_page_on_its_own(name: str) -> None:
    profiles = profile_by_name(name)
    text = page_html(profiles)
    document = read(text)
    check_outline(document)
    assert {str(node.tag) for node in document.iter()}.isdisjoint({"script", "img", "link", "iframe"})
    _, links = ids_and_links(document)
    assert all(link.startswith(("#", "https://", "http://")) for link in links)
    shown = "".join(document.itertext()).replace("`", "")
    assert profiles[0].entry is not None
    for claim in (*profiles[0].entry.understand, *profiles[0].entry.firewall, *profiles[0].entry.faq):
        assert claim.text.replace("`", "") in shown


def test_the_sections_of_110_stand_in_their_order() -> None:
    ids, _ = ids_and_links(read(page_html(profile(110))))
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    assert {"defence-dovecot", "defence-firewall", "defence-vpn", "defence-replacement", "defence-monitoring"} <= set(ids)


def test_two_services_on_one_number_have_anchors_of_their_own() -> None:
    ids, _ = ids_and_links(read(page_html(profile(389))))
    assert {"risk", "service-389-udp", "risk-389-udp"} <= set(ids)


def test_a_port_without_an_entry_has_a_short_page() -> None:
    text = page_html(profile(40001))
    check_outline(read(text))
    body = text.partition("</head>")[2]
    assert "6 + 8 + 5 + 0 + 8 = 27" in body
    assert 'id="understanding"' not in body
    assert len(body) < 4500


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with the first 1,024 numbers."""
    folder = tmp_path_factory.mktemp("site")
    built = build_site(folder, url="https://ports.example/", now=NOW, workers=1, blocks=range(1))
    assert built.files == sum(1 for path in folder.rglob("*") if path.is_file())
    return folder


def test_every_page_is_valid_and_every_link_leads_somewhere(site: Path) -> None:
    anchors: dict[Path, set[str]] = {}
    wanted: list[tuple[Path, Path, str]] = []
    numbers = [path for path in site.glob("port/*.html") if int(path.stem) % 64 in {14, 46}]  # 110 among them
    services = sorted(site.glob("service/*.html"))[::4]
    for path in [*site.glob("*.html"), *services, *site.glob("cluster/*.html"), *numbers]:
        document = read(path.read_text(encoding="utf-8"))
        check_outline(document)
        ids, links = ids_and_links(document)
        anchors[path] = set(ids)
        for link in links:
            place, _, anchor = link.partition("#")
            if place and "://" not in place:
                wanted.append((path, (path.parent / place).resolve(), anchor))
    for path, target, anchor in wanted:
        if target.parent.name in {"port", "numbers"} and int(target.stem) > (1023 if target.parent.name == "port" else 0):
            continue  # this small site has the first block only
        assert target.is_file(), f"{path.name} leads to {target}"
        assert not anchor or target not in anchors or anchor in anchors[target], f"{path.name} leads to {target.name}#{anchor}"


def test_all_numbers_of_the_block_have_a_page_that_is_theirs(site: Path) -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in site.glob("port/*.html")}
    assert set(pages) == {str(number) for number in range(1024)}
    assert len(set(pages.values())) == 1024
    for number in (0, 110, 1000, 1023):
        assert f"{number}/tcp" in pages[str(number)]
        assert f"{number}/udp" in pages[str(number)]


def test_sitemap_and_feed_name_real_pages(site: Path) -> None:
    space = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "a": "http://www.w3.org/2005/Atom"}
    index = ET.parse(site / "sitemap.xml")
    parts = [str(node.text).rsplit("/", 1)[1] for node in index.iterfind(".//s:loc", space)]
    pages = [str(node.text) for part in parts for node in ET.parse(site / part).iterfind(".//s:loc", space)]
    assert all((site / page.removeprefix("https://ports.example/")).is_file() for page in pages)
    assert len(pages) == len(set(pages)) == sum(1 for _ in site.rglob("*.html"))
    feed = ET.parse(site / "changes.atom")
    assert [node.text for node in feed.iterfind(".//a:entry/a:title", space)] == [
        f"First published here, with {len(load_catalog().services)} services"
    ]


def test_the_search_index_has_every_endpoint(site: Path) -> None:
    data = json.loads((site / "search.json").read_text(encoding="utf-8"))
    assert len(data["documented"]) == len(load_catalog().endpoints)
    assert len(data["registered"]) > 6000


def test_a_second_build_says_what_changed(site: Path) -> None:
    services = dict(load_catalog().services)
    before = crawl.read_history((site / crawl.STATE).read_text(encoding="utf-8"))
    assert crawl.next_history(before, services, "2026-12-01T00:00:00Z").changes == before.changes
    gone, kept = services.pop("pop3"), services["imap"]
    services["imap"] = type(kept)(**{name: getattr(kept, name) for name in kept.__slots__} | {"aliases": ("other",)})
    after = crawl.next_history(before, services | {"new": gone}, "2026-12-01T00:00:00Z")
    assert [change.text for change in after.changes[:3]] == ["IMAP: changed", "POP3: new", "pop3: removed"]
    assert crawl.read_history(crawl.history_text(after)) == after
    assert crawl.read_history("{broken") == crawl.History({}, ())


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        build_site(tmp_path, now=NOW, workers=1, blocks=range(0))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UserError, match="address of the site"):
        build_site(tmp_path / "site", url="ports.example", now=NOW, workers=1, blocks=range(0))


def test_the_export_fits_its_published_schema() -> None:
    catalog = load_catalog()
    document = catalogue_document(catalog)
    jsonschema.Draft202012Validator(catalogue_schema()).validate(document)
    (pop3,) = (row for row in document["services"] if row["id"] == "pop3")
    assert [(row["port"], row["score"], row["rating"]) for row in pop3["endpoint"]] == [(110, 44, "medium"), (995, 28, "low")]
    lines = catalogue_csv(catalog).splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert len(lines) == len(catalog.endpoints) + 1


def test_both_transports_of_a_number_without_an_entry() -> None:
    assert [(found.port, found.transport) for found in both(40001)] == [(40001, "tcp"), (40001, "udp")]
    assert [found.transport for found in both(53)] == ["udp", "tcp"]
