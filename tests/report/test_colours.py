"""The colours of the pages: their contrast recomputed for both themes and for print."""

from __future__ import annotations

import re

import pytest

from reconshield.report.html import style_sheet

# Token, then for light and for dark: the colour and its contrast to --bg, --surface and --raised.
CONTRAST = """
text      #14191f  17.7 16.5 15.3   #e7ebef  15.6 14.5 12.7
muted     #56606b   6.4  6.0  5.5   #9aa6b2   7.5  7.0  6.2
edge      #7b8590   3.8  3.5  3.2   #76828f   4.8  4.4  3.9
accent    #0a6471   6.8  6.4  5.9   #54c3d1   9.0  8.3  7.3
own       #6246a8   7.1  6.6  6.1   #b9a3f5   8.5  7.9  7.0
critical  #b0124a   6.9  6.5  6.0   #ff6f8f   7.0  6.5  5.8
high      #8c3800   7.8  7.3  6.8   #f79a5a   8.6  8.0  7.1
medium    #866700   5.3  5.0  4.6   #f2cf4a  12.3 11.4 10.0
low       #3d5f84   6.6  6.2  5.7   #86abd4   7.8  7.2  6.4
"""
TINTED = ("critical", "high", "medium", "low", "accent", "own")


def tokens(selector: str) -> dict[str, str]:
    """The colours that the first rule with this selector sets."""
    rule = re.search(re.escape(selector) + r" \{(.*?)\}", style_sheet(), re.DOTALL)
    assert rule, selector
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", rule[1]))


LIGHT, DARK = tokens(":root"), tokens(':root:not([data-theme="light"])')


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("row", CONTRAST.strip().splitlines())
def test_contrast_is_as_designed_and_enough(row: str) -> None:
    name, light, *rest = row.split()
    dark = rest.pop(3)
    least = 3.0 if name == "edge" else 4.5
    for theme, colour, figures in ((LIGHT, light, rest[:3]), (DARK, dark, rest[3:])):
        assert theme[name] == colour
        computed = [contrast(colour, theme[ground]) for ground in ("bg", "surface", "raised")]
        assert [f"{ratio:.1f}" for ratio in computed] == figures
        assert min(computed) >= least


@pytest.mark.parametrize("name", TINTED)
def test_tints_and_fills_are_legible(name: str) -> None:
    for theme, own in ((LIGHT, 4.8), (DARK, 6.0)):
        assert contrast(theme[name], theme[f"{name}-tint"]) >= own
        assert contrast(theme["text"], theme[f"{name}-tint"]) >= 12.1
        assert contrast(theme["bg"], theme[name]) >= 5.3


def test_both_ways_to_dark_are_the_same() -> None:
    assert tokens(':root[data-theme="dark"]') == DARK
    assert DARK.keys() == LIGHT.keys()


def test_print_is_black_on_white() -> None:
    printed = style_sheet().split("@media print", 1)[1]
    colours = set(re.findall(r"#[0-9a-f]{6}", printed))
    assert {len({c[1:3], c[3:5], c[5:7]}) for c in colours} == {1}
    assert "details::details-content" in printed
    assert 'content: " <" attr(href) ">"' in printed
