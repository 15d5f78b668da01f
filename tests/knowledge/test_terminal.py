"""The port page on a terminal: the answer in 24 lines, nothing wider than the screen, every form from the same facts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reconshield.knowledge.index import load_index
from reconshield.knowledge.profile import Profile, profile, profile_by_name
from reconshield.knowledge.render import markdown, profile_data
from reconshield.knowledge.terminal import FIRST_SCREEN, Page, data_line, first_screen, profile_lines
from reconshield.text import width_of

ASCII = str.maketrans({"█": "#", "–": "-", "·": "-", "→": "->", "…": "..."})


def to_ascii(text: str) -> str:
    return text.translate(ASCII).encode("ascii", "replace").decode()


def documented() -> list[Profile]:
    return [row for service in load_index().services for row in profile_by_name(service)]


def test_the_answer_for_110() -> None:
    """Renew by hand, and look at it: this is the picture that the design draws."""
    assert "\n".join(first_screen(profile(110)[0], Page())) + "\n" == Path(__file__).with_name("port_110.txt").read_text()


@pytest.mark.parametrize("width", [80, 60, 40])
@pytest.mark.parametrize("spell", [str, to_ascii], ids=["utf-8", "ascii"])
def test_no_line_is_wider_than_the_screen(width: int, spell: type[str]) -> None:
    page = Page(width, spell=spell)
    for port in (*sorted({row.port for row in documented()})[:: 1 if width == 80 else 12], 0, 5, 40001, 65535):
        for line in profile_lines(profile(port), page):
            commands_may = width < 80 and "HOST" in line
            assert width_of(line) <= width or commands_may, line


def test_the_answer_is_in_the_first_screen() -> None:
    """24 lines hold it; where sentences wrap, at most two lines more."""
    sizes = {f"{row.port}/{row.transport}": len(first_screen(row, Page())) for row in documented()}
    over = {name: size for name, size in sizes.items() if size > FIRST_SCREEN}
    assert max(sizes.values()) <= FIRST_SCREEN + 2, over
    assert len(over) <= len(sizes) // 10, over


def test_ascii_has_no_other_letters() -> None:
    for row in documented():
        assert "\n".join(profile_lines([row], Page(spell=to_ascii))).isascii()


def test_colour_changes_no_letter() -> None:
    marked = Page(paint=lambda text, colour: f"<{colour}>{text}</>")
    for number in (110, 53, 6379, 40001):
        plain, coloured = (profile_lines(profile(number), page) for page in (Page(), marked))
        colours = ("critical", "high", "medium", "low", "bold", "dim", "command")
        for colour in colours:
            coloured = [line.replace(f"<{colour}>", "") for line in coloured]
        assert [line.replace("</>", "") for line in coloured] == plain


def test_a_port_without_an_entry_is_one_screen() -> None:
    for number in (40001, 5, 65535, 0, 4242):
        lines = profile_lines(profile(number), Page())
        assert len(lines) <= 40
        assert not {"Understand", "Abuse", "Defend", "FAQ"} & set(lines)


def test_yours_stands_in_the_answer() -> None:
    assert any(
        line.startswith("Yours not measured; this does not mean closed.") for line in first_screen(profile(110)[0], Page())
    )
    assert any(
        line.startswith("Yours open on 10.77.0.2") for line in first_screen(profile(110)[0], Page(), "open on 10.77.0.2")
    )


def test_the_udp_command_says_udp() -> None:
    assert "reconshield scan HOST -p U:161" in "\n".join(profile_lines(profile(161), Page()))


def test_data_line_says_ages() -> None:
    assert data_line(date(2026, 11, 23)) == "data  IANA 2026-02-13 · KEV 2025-08-25 (455 days old) · ATT&CK 18.1"


def test_no_section_is_empty_and_every_source_is_listed() -> None:
    for row in documented():
        data = profile_data(row)
        assert all(data["sections"].values())
        listed = {source["id"] for source in data["sections"]["sources"]}
        used = {factor["source"] for factor in data["risk"]["factors"]} | {
            step["source"] for step in data["sections"].get("do", ())
        }
        assert used <= listed


def test_markdown_has_every_claim() -> None:
    text, data = markdown(profile(110)[0]), profile_data(profile(110)[0])
    assert text.startswith("# 110/tcp POP3\n")
    for name in ("understand", "abuse", "implications", "faq"):
        for claim in data["sections"][name]:
            assert claim["text"] in text
    for rows in data["sections"]["defence"].values():
        assert all((row.get("setting") or row["text"]) in text for row in rows)


def test_a_role_is_named_once() -> None:
    for port, role in ((110, "  role        mixed: public at some"), (6000, "  role        never; use SSH forwarding")):
        assert any(line.startswith(role) for line in profile_lines(profile(port), Page(80)))
