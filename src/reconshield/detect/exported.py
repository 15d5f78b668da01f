"""The values of an exported record, as one or two directions of a flow.

Times come in eight ways: seconds, milliseconds, NTP's 64 bits, microseconds before the export, or milliseconds since the
exporter started; the last are counted in 32 bits that begin again after 49.7 days, so they are taken as the nearest to the
export. A record with counts of both directions (RFC 5103, or initiator and responder) becomes two halves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.detect.discovery import message
from reconshield.detect.flows import NOT_KNOWN, PORTLESS
from reconshield.detect.pairing import Half, role_of
from reconshield.detect.templates import Values

NTP_EPOCH = 2_208_988_800
NOT_A_TIME = float("nan")
TCP = 6
ECHO = {(1, 8): 1, (58, 128): 1, (1, 0): -1, (58, 129): -1}
WAYS = ("", "back_")
COUNTS = {way: (f"{way}flags", f"{way}octets", f"{way}all_octets", f"{way}packets", f"{way}all_packets") for way in WAYS}
TIMES = {
    way: (
        (f"{way}first_ms", f"{way}first_ntp", f"{way}first_s", f"{way}first_up", f"{way}first_ago"),
        (f"{way}last_ms", f"{way}last_ntp", f"{way}last_s", f"{way}last_up", f"{way}last_ago"),
        ((f"{way}lasted_ms", 1e-3), (f"{way}lasted_us", 1e-6)),
    )
    for way in WAYS
}
"""For each direction the names of its fields; see `templates`."""
BACK = frozenset(("back_packets", "back_octets", "back_all_packets", "back_all_octets"))
BIFLOW = {NOT_KNOWN: 1, 1: 1, 2: -1}
"""biflowDirection -> who began: the source unless it says otherwise (RFC 5103, section 6.3); 0 and 3 do not tell."""
DENIED, DROPPED = 3, 2


@dataclass(frozen=True, slots=True)
class Export:
    """The packet that a record came in: its number, when it was sent (Unix seconds), and the milliseconds since the exporter
    started, None where nobody says.
    """

    number: int
    at: float
    uptime: int | None

    def since(self, booted: int) -> Export:
        """The same where somebody says that the exporter started then (milliseconds since 1970)."""
        return Export(self.number, self.at, (int(self.at) * 1000 - booted) & 0xFFFF_FFFF)

    def since_start(self, value: int) -> float:
        """Unix seconds of a moment in milliseconds since the exporter started."""
        if self.uptime is None:
            return NOT_A_TIME
        ago = (self.uptime - value) & 0xFFFF_FFFF
        return self.at - (ago if ago < 2**31 else ago - 2**32) / 1000


def halves_of(values: Values, export: Export, *, biflows: bool) -> Iterator[Half]:
    """One half, or two where the record tells both directions; none where it has no addresses or no protocol. An exporter of
    `biflows` uses a shorter record where nobody answered.
    """
    src, dst = address_of(values, "src"), address_of(values, "dst")
    if src is None or dst is None or "proto" not in values:
        return
    transport = number(values, "proto") & 0xFF
    sport, dport = number(values, "sport", 0), number(values, "dport", 0)
    if transport in PORTLESS:
        sport, dport = message(transport, message_type(values)), 0
    begin, end = times_of(values, export, "")
    denied = values.get("firewall") == DENIED or ("forwarding" in values and number(values, "forwarding") >> 6 & 3 == DROPPED)
    two = not BACK.isdisjoint(values)
    both = biflows or two
    flags, octets, packets = counts_of(values, "", transport)
    role = BIFLOW.get(number(values, "biflow"), 0) if both else role_by(values, transport, flags, packets)
    view = number(values, "direction")
    yield Half(export.number, begin, end, src, dst, sport, dport, transport, flags, octets, packets, role, denied, view, both)
    if not two:
        return
    flags, octets, packets = counts_of(values, "back_", transport)
    if packets > 0 or (packets < 0 and octets > 0):
        first, last = times_of(values, export, "back_")
        first = begin if first != first else first  # noqa: PLR0124 - NaN
        last = end if last != last else last  # noqa: PLR0124 - NaN
        yield Half(
            export.number, first, last, dst, src, dport, sport, transport, flags, octets, packets, -role, denied, view, both
        )


def role_by(values: Values, transport: int, flags: int, packets: int) -> int:
    """Who began, by the flags of TCP or the type of an ICMP message (NetFlow has it in the place of the port)."""
    if transport == TCP:
        return role_of(flags, packets)
    return ECHO.get((transport, message_type(values)), 0) if transport in PORTLESS else 0


def message_type(values: Values) -> int:
    """The type of an ICMP message."""
    kind = number(values, "icmp_type")
    return kind if kind >= 0 else number(values, "icmp", number(values, "dport")) >> 8


def counts_of(values: Values, way: str, transport: int) -> tuple[int, int, int]:
    """Flags, octets and packets of a direction."""
    flags, octets, all_octets, packets, all_packets = COUNTS[way]
    said = number(values, flags) if transport == TCP else -1
    sent = number(values, octets)
    count = number(values, packets)
    return (
        said & 0xFF if said >= 0 else -1,
        sent if sent >= 0 else number(values, all_octets),
        count if count >= 0 else number(values, all_packets),
    )


def number(values: Values, name: str, unknown: int = NOT_KNOWN) -> int:
    found = values.get(name)
    return found if isinstance(found, int) else unknown


def address_of(values: Values, side: str) -> bytes | None:
    """The address as it is packed. Of two, one of zeros stands for none."""
    four, six = values.get(f"{side}4"), values.get(f"{side}6")
    found = six if isinstance(six, bytes) and (not isinstance(four, bytes) or not any(four)) else four
    return found if isinstance(found, bytes) else None


def times_of(values: Values, export: Export, way: str) -> tuple[float, float]:
    """First and last moment of a direction, Unix seconds; NaN where the record does not say."""
    names = TIMES[way]
    first = moment(values, export, names[0])
    last = moment(values, export, names[1])
    if first == first and last == last:  # noqa: PLR0124 - NaN
        return first, last
    lasted = NOT_A_TIME
    for name, unit in names[2]:
        if name in values:
            lasted = number(values, name) * unit
    if first != first and last != last and not way and (seen := number(values, "observed_ms")) > 0:  # noqa: PLR0124 - NaN
        first = seen / 1000
    if last != last:  # noqa: PLR0124 - NaN
        last = first + lasted if lasted == lasted else first  # noqa: PLR0124 - NaN
    return first if first == first else last - (lasted if lasted == lasted else 0), last  # noqa: PLR0124 - NaN


def moment(values: Values, export: Export, names: tuple[str, ...]) -> float:
    """The moment that the first of these fields tells; 0 tells none, but where it is counted from another moment."""
    milliseconds, ntp, seconds, up, ago = names
    if milliseconds in values and (found := number(values, milliseconds)):
        return found / 1000
    if ntp in values and (found := number(values, ntp)):
        return (found >> 32) - NTP_EPOCH + (found & 0xFFFF_FFFF) / 2**32
    if seconds in values and (found := number(values, seconds)):
        return float(found)
    if up in values:
        return export.since_start(number(values, up))
    if ago in values:
        return export.at - number(values, ago) / 1e6
    return NOT_A_TIME
