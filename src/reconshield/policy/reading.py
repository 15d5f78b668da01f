"""The text of a policy file -> `Policy`, or every error in it with file and line.

    text -> toml.parse_toml -> toml.schema.read     types, keys, choices, missing keys
         -> Reader                                  what the texts mean: addresses, ports, services, names of other tables
         -> Policy

A name in `on` is a zone, an asset, `wan`, an address or a network. What is meant by a service or a check, `Known` says.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TypeVar

from reconshield.errors import UserError
from reconshield.policy import records as r
from reconshield.policy.known import Known, suggest
from reconshield.policy.meaning import Meaning, union_of
from reconshield.policy.policy import Policy
from reconshield.policy.problems import Problem
from reconshield.policy.zones import find_overlaps, map_zones
from reconshield.schedule import Blackout, Rhythm, parse_rhythm
from reconshield.toml import schema
from reconshield.toml.faults import FileFault, find_lines, line_of, parse_toml, path_text
from reconshield.toml.schema import Fault, Path

SECRET_KEY = re.compile(r"secret|passw|token|credential|(^|_)key$")
REFERENCE = re.compile(r"(env|file):.+")
USER_INFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@]*:[^/@]*@", re.IGNORECASE)
FRESH_FACTOR = 1.5
"""How long after its time a scan may come when `fresh` is left out."""
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()

Entry = TypeVar("Entry", r.Expectation, r.Closure, r.Acceptance, r.Schedule, r.Blackout)


def read_policy(text: str, file: str, known: Known | None = None) -> tuple[Policy | None, list[Problem]]:
    """The policy, None when it has an error, and its errors by line. Text that is not TOML is a `UserError`."""
    faults: list[Fault] = []
    tables = parse_toml(text, file)
    read: r.Tables | None = schema.read(r.Tables, tables, (), faults)
    lines = find_lines(text)
    reader = Reader(known or Known(), lines, faults)
    policy = reader.understand(file, read) if read is not None else None
    placed = sorted((FileFault(file, line_of(lines, fault.path), fault) for fault in faults), key=lambda item: item.line)
    problems = [problem_of(fault) for fault in placed]
    return (None if problems else policy), problems


def problem_of(placed: FileFault) -> Problem:
    """A fault as people see it; an unknown key gets the nearest of the allowed ones."""
    fault = placed.fault
    hint = f"allowed: {fault.allowed}" if fault.allowed.startswith(("one of", "a ")) else fault.allowed
    if fault.path[-1:] == ("version",) or fault.message == "the key version is missing":
        hint = "the file begins with: version = 1"
    elif fault.message.startswith("unknown key"):
        hint = suggest(str(fault.path[-1]), fault.allowed.removeprefix("one of ").split(), hint)
    elif fault.message.endswith(" is empty") and fault.path[-1] in {"reason", "owner"}:
        hint = "say why, and who answers for it"
    return Problem("error", placed.file, placed.line, path_text(fault.path), fault.message, hint)


def end_of(day: dt.date) -> float:
    """Unix seconds at which a date is over (UTC), or those of a moment; a moment without a zone is UTC."""
    if isinstance(day, dt.datetime):
        return (day if day.tzinfo else day.replace(tzinfo=dt.UTC)).timestamp()
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() + 86_400


def begin_of(day: dt.date) -> float:
    return end_of(day) - (0 if isinstance(day, dt.datetime) else 86_400)


def longest_pause(rhythm: Rhythm, slots: int = 400) -> float:
    """The longest time between two slots, in seconds, among those that follow the beginning of 2026."""
    longest, at = 0.0, rhythm.following(NEW_YEAR)
    for _ in range(slots):
        following = rhythm.following(at) if at is not None else None
        if at is None or following is None:
            break
        longest, at = max(longest, following - at), following
    return longest


class Reader(Meaning):
    """Reads one table after the other, those that others name first."""

    def understand(self, file: str, tables: r.Tables) -> Policy:
        zones = tuple(self.read_zone(zone, number) for number, zone in enumerate(tables.zone))
        self.refuse_overlaps(zones)
        zone_map = map_zones([zone.area for zone in zones])
        zones = tuple(replace(zone, area=zone_map.area_of(number)) for number, zone in enumerate(zones))
        assets = tuple(self.read_asset(asset, number) for number, asset in enumerate(tables.asset))
        self.name_places(zones, assets)
        self.refuse_twice("schedule", [schedule.name for schedule in tables.schedule])
        self.refuse_twice("blackout", [blackout.name for blackout in tables.blackout])
        self.refuse_twice("channel", [channel.name for channel in tables.channel])
        channels = {channel.name for channel in tables.channel}
        return Policy(
            file=file,
            zones=zones,
            assets=assets,
            expects=tuple(self.read_expectation(entry, number) for number, entry in enumerate(tables.expect)),
            closed=tuple(self.read_closure(entry, number) for number, entry in enumerate(tables.closed)),
            accepts=tuple(self.read_acceptance(entry, number) for number, entry in enumerate(tables.accept)),
            traffic=tuple(self.read_traffic(entry, number, zones) for number, entry in enumerate(tables.traffic)),
            suppressions=tuple(self.read_suppression(entry, number, zones) for number, entry in enumerate(tables.suppress)),
            schedules=tuple(self.read_schedule(entry, number, channels) for number, entry in enumerate(tables.schedule)),
            blackouts=tuple(self.read_blackout(entry, number) for number, entry in enumerate(tables.blackout)),
            channels=tuple(self.read_channel(entry, number) for number, entry in enumerate(tables.channel)),
            routes=tuple(self.read_route(entry, number, channels) for number, entry in enumerate(tables.route)),
            zone_map=zone_map,
        )

    def read_zone(self, zone: r.Zone, number: int) -> r.Zone:
        path: Path = ("zone", number, "targets")
        area = union_of(self.read_area(text, path) for text in zone.targets)
        if not zone.targets:
            self.fault(path, "a zone needs at least one target", 'targets = ["192.0.2.0/24"]')
        return replace(zone, area=area, line=self.line("zone", number))

    def read_asset(self, asset: r.Asset, number: int) -> r.Asset:
        path: Path = ("asset", number, "addresses")
        area = union_of(self.read_area(text, path) for text in asset.addresses)
        if not asset.addresses:
            self.fault(path, "an asset needs at least one address", 'addresses = ["192.0.2.5"]')
        return replace(asset, area=area, line=self.line("asset", number))

    def refuse_overlaps(self, zones: tuple[r.Zone, ...]) -> None:
        for first, second, shared in find_overlaps([zone.area for zone in zones]):
            line = self.line("zone", first)
            message = f"the zones {zones[first].name} (line {line}) and {zones[second].name} overlap at {shared.text(1)}"
            hint = "zones may lie inside each other, but not overlap in part or be equal: narrow one of them"
            self.fault(("zone", second, "targets"), message, hint)

    def read_on(self, entry: Entry, path: Path, texts: tuple[str, ...]) -> Entry:
        """The places of an entry; without any it holds everywhere."""
        places = self.read_places(texts, path)
        return replace(entry, places=places, area=union_of(p.area for p in places) if texts else r.EVERYWHERE)

    def read_expectation(self, entry: r.Expectation, number: int) -> r.Expectation:
        path: Path = ("expect", number)
        if not entry.service and entry.ports is None:
            self.fault(path, "an expectation needs service or ports", 'ports = "443", or service = "http"')
        services = self.read_services(entry.service, (*path, "service"))
        return replace(
            self.read_on(entry, (*path, "on"), entry.on),
            port_set=self.read_ports(entry.ports, (*path, "ports")),
            services=services,
            usual=self.usual_ports(services),
            ends=end_of(entry.expires),
            line=self.line(*path),
        )

    def read_closure(self, entry: r.Closure, number: int) -> r.Closure:
        path: Path = ("closed", number)
        if not (entry.on or entry.service or entry.ports):
            self.fault(path, "an assertion needs on, service or ports: this one would forbid everything", 'ports = "110"')
        services = self.read_services(entry.service, (*path, "service"))
        return replace(
            self.read_on(entry, (*path, "on"), entry.on),
            port_set=self.read_ports(entry.ports, (*path, "ports")),
            services=services,
            usual=self.usual_ports(services),
            line=self.line(*path),
        )

    def read_acceptance(self, entry: r.Acceptance, number: int) -> r.Acceptance:
        path: Path = ("accept", number)
        for name in entry.finding:
            if not self.known.is_check(name):
                hint = suggest(name, self.known.checks, "docs/checks.md lists them")
                self.fault((*path, "finding"), f"no check is called {name}", hint)
        return replace(
            self.read_on(entry, (*path, "on"), entry.on),
            port_set=self.read_ports(entry.ports, (*path, "ports")),
            ends=end_of(entry.expires),
            line=self.line(*path),
        )

    def refuse_zone(self, name: str, zones: tuple[r.Zone, ...], path: Path) -> None:
        names = {zone.name for zone in zones} | {r.WAN}
        if name not in names:
            self.fault((*path, "zone"), f"no zone is called {name}", suggest(name, names, "declare it with [[zone]]"))

    def read_suppression(self, entry: r.Suppression, number: int, zones: tuple[r.Zone, ...]) -> r.Suppression:
        path: Path = ("suppress", number)
        if not (entry.zone or entry.src or entry.dst or entry.ports):
            self.fault(path, "a suppression needs zone, from, to or ports: this one would mark everything", 'to = "192.0.2.5"')
        if entry.zone:
            self.refuse_zone(entry.zone, zones, path)
        src, dst = self.read_places(entry.src, (*path, "from")), self.read_places(entry.dst, (*path, "to"))
        return replace(
            entry,
            src_area=union_of(place.area for place in src) if entry.src else r.EVERYWHERE,
            dst_area=union_of(place.area for place in dst) if entry.dst else r.EVERYWHERE,
            port_set=self.read_ports(entry.ports, (*path, "ports")),
            ends=end_of(entry.expires),
            line=self.line(*path),
        )

    def read_traffic(self, entry: r.Traffic, number: int, zones: tuple[r.Zone, ...]) -> r.Traffic:
        path: Path = ("traffic", number)
        self.refuse_zone(entry.zone, zones, path)
        places = self.read_places(entry.peers, (*path, "with"))
        return replace(
            entry,
            places=places,
            area=union_of(place.area for place in places) if entry.peers else r.EVERYWHERE,
            port_set=self.read_ports(entry.ports, (*path, "ports")),
            service_ids=self.read_services(entry.services, (*path, "services")),
            ends=end_of(entry.expires) if entry.expires else None,
            line=self.line(*path),
        )

    def read_schedule(self, entry: r.Schedule, number: int, channels: set[str]) -> r.Schedule:
        path: Path = ("schedule", number)
        if entry.announce:
            self.refuse_channels(entry.announce, channels, (*path, "announce"))
        places = self.read_places(entry.targets, (*path, "targets"), hosts=True)
        left_out = union_of(place.area for place in self.read_places(entry.exclude, (*path, "exclude")))
        if not entry.targets:
            self.fault((*path, "targets"), "a schedule needs a target", 'targets = ["mail-dmz"]')
        rhythm = self.read_rhythm(entry, path)
        fresh, pause = self.read_duration(entry.fresh, (*path, "fresh")), longest_pause(rhythm) if rhythm else 0.0
        return replace(
            entry,
            places=places,
            area=union_of(place.area for place in places) - left_out,
            port_set=self.read_ports(entry.ports, (*path, "ports")),
            rhythm=rhythm,
            pause=pause,
            windows=tuple(w for text in entry.window if (w := self.read_window(text, (*path, "window")))),
            fresh_seconds=fresh or FRESH_FACTOR * pause,
            line=self.line(*path),
        )

    def read_rhythm(self, entry: r.Schedule, path: Path) -> Rhythm | None:
        try:
            return parse_rhythm(every=entry.every, cron=entry.cron, where="")
        except UserError as error:
            if (entry.every is None) == (entry.cron is None):
                self.fault(path, error.message, error.hint or "")
            else:
                key = "cron" if entry.every is None else "every"
                self.refuse((*path, key), entry.every or entry.cron, error)
            return None

    def read_blackout(self, entry: r.Blackout, number: int) -> r.Blackout:
        path: Path = ("blackout", number)
        begins = begin_of(entry.begins) if entry.begins else None
        ends = end_of(entry.ends) if entry.ends else None
        if (begins is None) != (ends is None) or (begins is None) == (entry.window is None):
            hint = 'begins = 2026-12-24 and ends = 2026-12-26, or window = "sat,sun 00:00-24:00 UTC"'
            self.fault(path, "a blackout needs begins and ends, or a window", hint)
        if begins is not None and ends is not None and ends <= begins:
            self.fault((*path, "ends"), "this blackout ends before it begins", "ends is the last day, or the moment it is over")
        window = self.read_window(entry.window, (*path, "window")) if entry.window else None
        time = Blackout(entry.name, begins, ends, window)
        return replace(self.read_on(entry, (*path, "on"), entry.on), time=time, line=self.line(*path))

    def read_channel(self, entry: r.Channel, number: int) -> r.Channel:
        path: Path = ("channel", number)
        if self.known.channel_kinds and entry.kind not in self.known.channel_kinds:
            hint = suggest(entry.kind, self.known.channel_kinds, "")
            self.fault((*path, "kind"), f"there is no channel of the kind {entry.kind}", hint)
        for key, value in entry.settings.items():
            secret = SECRET_KEY.search(key) or (isinstance(value, str) and USER_INFO.match(value))
            if secret and not (isinstance(value, str) and REFERENCE.fullmatch(value)):
                # The value itself is never quoted: it would end up in a log.
                hint = f'{key} = "env:NAME" or "file:PATH"'
                self.fault((*path, key), f"{key} is a secret, and a policy file is kept where others read it", hint)
        return replace(entry, line=self.line(*path))

    def read_route(self, entry: r.Route, number: int, channels: set[str]) -> r.Route:
        path: Path = ("route", number)
        self.refuse_channels(entry.to, channels, (*path, "to"))
        after = None
        if entry.escalate:
            self.refuse_channels(entry.escalate.to, channels, (*path, "escalate", "to"))
            after = self.read_duration(entry.escalate.after, (*path, "escalate", "after"))
        quiet = None if entry.quiet.strip().lower() == "none" else self.read_window(entry.quiet, (*path, "quiet"))
        on = entry.when.on if entry.when else ()
        places = self.read_places(on, (*path, "when", "on"))
        area = union_of(place.area for place in places) if on else r.EVERYWHERE
        return replace(entry, area=area, window=quiet, escalate_seconds=after, line=self.line(*path))

    def refuse_channels(self, names: tuple[str, ...], channels: set[str], path: Path) -> None:
        for name in names:
            if name not in channels:
                self.fault(path, f"no channel is called {name}", suggest(name, channels, "declare it with [[channel]]"))
        if not names:
            self.fault(path, "a route leads to at least one channel", 'to = ["soc"]')
