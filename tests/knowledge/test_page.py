"""The HTML page: well-formed, self-contained, every mark leads to a source."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from reconshield.knowledge.page import page_html
from reconshield.knowledge.profile import profile, profile_by_name
from reconshield.knowledge.render import profile_data

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """Gathers ids and links, and refuses tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found["href"])] if "href" in found else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["pop3", "dns", "redis", "modbus", "rdp", "kubernetes"])
def test_page(name: str) -> None:
    reader, profiles = Reader(), profile_by_name(name)
    text = page_html(profiles)
    reader.feed(text)
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert not reader.tags & {"script", "img", "link", "iframe"}
    assert {"main", "h1", "table"} <= reader.tags
    for claim in profile_data(profiles[0])["sections"]["understand"]:
        assert claim["text"].split("`")[0].split("'")[0].split('"')[0].split("&")[0].split("<")[0] in text


def test_a_port_without_an_entry_has_a_short_page() -> None:
    text = page_html(profile(40001))
    assert "Low 27 of 100" in text
    assert 'id="understand"' not in text
    assert len(text) < 8000
