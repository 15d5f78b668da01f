"""Slots, windows and blackouts, told as a calendar. Cron is held to what the `croniter` library says of the same text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from croniter import croniter  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from reconshield.errors import UserError
from reconshield.schedule import Blackout, Every, open_until, parse_cron, parse_period, parse_rhythm, parse_window


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def told(at: float | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%a %d %b %H:%M}"


NOON = moment("2026-11-27 12:00")  # a Friday


@pytest.mark.parametrize(
    ("text", "latest", "following"),
    [
        ("0 2 * * *", "Fri 27 Nov 02:00", "Sat 28 Nov 02:00"),
        ("*/20 * * * *", "Fri 27 Nov 12:00", "Fri 27 Nov 12:20"),
        ("30 22 * * mon-fri", "Thu 26 Nov 22:30", "Fri 27 Nov 22:30"),
        ("0 4 1 * *", "Sun 01 Nov 04:00", "Tue 01 Dec 04:00"),
        ("0 4 13 * fri", "Fri 27 Nov 04:00", "Fri 04 Dec 04:00"),  # the 13th or a Friday, as cron has it
        ("0 0 29 feb *", "Thu 29 Feb 00:00", "Tue 29 Feb 00:00"),
        ("@weekly", "Sun 22 Nov 00:00", "Sun 29 Nov 00:00"),
        ("0 3 * * 7", "Sun 22 Nov 03:00", "Sun 29 Nov 03:00"),
        ("0 2 * * * Europe/Berlin", "Fri 27 Nov 01:00", "Sat 28 Nov 01:00"),
    ],
)
def test_a_cron_rhythm(text: str, latest: str, following: str) -> None:
    rhythm = parse_cron(text, "schedule nightly")
    assert (told(rhythm.latest(NOON)), told(rhythm.following(NOON))) == (latest, following)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(st.integers(low, high - 1), st.just(high)).map(lambda pair: f"{pair[0]}-{pair[1]}")
    return st.one_of(st.just("*"), number.map(str), span, st.integers(1, high).map(lambda n: f"*/{n}"))


@given(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(1, 5), st.integers(0, 2_000_000_000))
def test_cron_means_what_others_mean(minute: str, hour: str, day: str, month: str, weekday: str, at: int) -> None:
    text = f"{minute} {hour} {day} {month} {weekday}"
    if "*/" in day + weekday:  # whether a step restricts the day is where crons differ
        return
    wanted = croniter(text, at, ret_type=float).get_next(float)
    assert parse_cron(text, "x").following(at) == wanted


def test_clocks_that_change() -> None:
    rhythm = parse_cron("30 2 * * * Europe/Berlin", "x")
    spring, autumn = moment("2026-03-28 12:00"), moment("2026-10-24 12:00")
    assert told(rhythm.following(spring)) == "Sun 29 Mar 01:30"  # 02:30 does not exist: 03:30 summer time
    first = rhythm.following(autumn)
    assert first is not None
    assert told(first) == "Sun 25 Oct 00:30"  # 02:30 comes twice: the first
    assert told(rhythm.following(first)) == "Mon 26 Oct 01:30"


def test_every_gives_the_same_slots_to_everybody() -> None:
    rhythm = Every(86400.0, shift=3600.0)
    assert told(rhythm.latest(NOON)) == "Fri 27 Nov 01:00"
    assert rhythm.latest(NOON + 3600) == rhythm.latest(NOON)
    assert told(rhythm.following(NOON)) == "Sat 28 Nov 01:00"


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("0 2 * *", "a cron rhythm has five fields, this has 4"),
        ("61 2 * * *", "the minute cannot be '61' (0 to 59)"),
        ("0 2 * * moo", "the weekday cannot be 'moo' (0 to 7)"),
        ("0 5-2 * * *", "the hour cannot be '5-2' (0 to 23)"),
        ("*/0 2 * * *", "the minute cannot be '*/0' (0 to 59)"),
        ("0 0 31 feb *", "this rhythm never comes"),
        ("0 2 * * * Mars/Olympus", "this time zone is not known"),
        ("0 2 * * * ../../etc/passwd", "this time zone is not known"),
        ("", "a cron rhythm has five fields, this has 0"),
    ],
)
def test_a_cron_typo_is_named(cron: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_rhythm(cron=cron, where="schedule nightly")
    assert caught.value.message == message
    assert caught.value.where is not None
    assert "schedule nightly" in caught.value.where


@pytest.mark.parametrize("text", ["", "22-05", "25:00-26:00", "22:00-22:00", "22:00-05:00 UTC UTC", "foo 22:00-05:00"])
def test_a_window_that_is_none(text: str) -> None:
    with pytest.raises(UserError):
        parse_window(text, "schedule nightly")


def test_a_rhythm_is_one_of_two() -> None:
    for every, cron in ((None, None), ("24h", "0 2 * * *")):
        with pytest.raises(UserError, match="either every or cron"):
            parse_rhythm(every=every, cron=cron, where="schedule nightly")
    with pytest.raises(UserError, match="more than once a minute"):
        parse_rhythm(every="10s", where="schedule nightly")
    assert [parse_period(text, "x") for text in ("90s", "15min", "24h", "2d", "1w")] == [90, 900, 86400, 172800, 604800]


CALENDAR = [
    # window, blackout, now -> may it run, until when, why not
    (None, None, "2026-11-27 12:00", (True, None, None)),
    ("22:00-05:00 UTC", None, "2026-11-27 12:00", (False, "Fri 27 Nov 22:00", "window 22:00-05:00 UTC")),
    ("22:00-05:00 UTC", None, "2026-11-27 23:00", (True, "Sat 28 Nov 05:00", None)),
    ("22:00-05:00 UTC", None, "2026-11-28 04:59", (True, "Sat 28 Nov 05:00", None)),
    ("22:00-05:00 UTC", None, "2026-11-28 05:00", (False, "Sat 28 Nov 22:00", "window 22:00-05:00 UTC")),
    ("sat,sun 00:00-24:00", None, "2026-11-27 12:00", (False, "Sat 28 Nov 00:00", "window sat,sun 00:00-24:00")),
    ("sat 22:00-05:00", None, "2026-11-29 04:00", (True, "Sun 29 Nov 05:00", None)),
    (None, ("2026-11-27 10:00", "2026-11-27 13:00"), "2026-11-27 12:00", (False, "Fri 27 Nov 13:00", "blackout release")),
    (None, ("2026-11-27 14:00", "2026-11-27 15:00"), "2026-11-27 12:00", (True, "Fri 27 Nov 14:00", None)),
    ("10:00-18:00", ("2026-11-27 14:00", "2026-11-27 15:00"), "2026-11-27 12:00", (True, "Fri 27 Nov 14:00", None)),
]


@pytest.mark.parametrize(("window", "dark", "now", "wanted"), CALENDAR)
def test_windows_and_blackouts(
    window: str | None, dark: tuple[str, str] | None, now: str, wanted: tuple[bool, str | None, str | None]
) -> None:
    windows = [parse_window(window, "x")] if window else []
    blackouts = [Blackout("release", moment(dark[0]), moment(dark[1]))] if dark else []
    found = open_until(windows, blackouts, moment(now))
    assert (found.may_run, told(found.until), found.why) == wanted


def test_a_weekly_blackout() -> None:
    quiet = Blackout("backup", window=parse_window("fri 11:00-13:00", "x"))
    assert open_until([], [quiet], NOON).why == "blackout backup"
    assert open_until([], [quiet], NOON + 86400).may_run
