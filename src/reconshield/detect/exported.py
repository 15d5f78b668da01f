"""The values of an exported record, as one or two directions of a flow.

Times come in eight ways: seconds, milliseconds, NTP's 64 bits, microseconds before the export, or milliseconds since the
exporter started; the last are counted in 32 bits that begin again after 49.7 days, so they are taken as the nearest to the
export. A record with counts of both directions (RFC 5103, or initiator and responder) becomes two halves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.detect.flows import NOT_KNOWN
from reconshield.detect.pairing import Half, role_of
from reconshield.detect.templates import Values

NTP_EPOCH = 2_208_988_800
NOT_A_TIME = float("nan")
TCP = 6
ECHO = {(1, 8): 1, (58, 128): 1, (1, 0): -1, (58, 129): -1}
PORTLESS = (1, 58)
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

    def since_start(self, value: int) -> float:
        """Unix seconds of a moment in milliseconds since the exporter started."""
        if self.uptime is None:
            return NOT_A_TIME
        ago = (self.uptime - value) & 0xFFFF_FFFF
        return self.at - (ago if ago < 2**31 else ago - 2**32) / 1000


def halves_of(values: Values, export: Export) -> Iterator[Half]:
    """One half, or two where the record tells both directions; none where it has no addresses or no protocol."""
    src, dst = address_of(values, "src"), address_of(values, "dst")
    if src is None or dst is None or "proto" not in values:
        return
    transport = number(values, "proto") & 0xFF
    sport, dport = (0, 0) if transport in PORTLESS else (number(values, "sport", 0), number(values, "dport", 0))
    begin, end = times_of(values, export, "")
    denied = values.get("firewall") == DENIED or (number(values, "forwarding", 0) & 0xFF) >> 6 == DROPPED
    both = any(name in values for name in ("back_packets", "back_octets", "back_all_packets", "back_all_octets"))
    flags, octets, packets = counts_of(values, "", transport)
    role = BIFLOW.get(number(values, "biflow"), 0) if both else role_by(values, transport, flags, packets)
    view = number(values, "direction")
    yield Half(export.number, begin, end, src, dst, sport, dport, transport, flags, octets, packets, role, denied, view, both)
    if not both:
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
    if transport not in PORTLESS:
        return 0
    kind = number(values, "icmp_type")
    packed = number(values, "icmp", number(values, "dport"))
    return ECHO.get((transport, kind if kind >= 0 else packed >> 8), 0)


def counts_of(values: Values, way: str, transport: int) -> tuple[int, int, int]:
    """Flags, octets and packets of a direction."""
    flags = number(values, f"{way}flags") & 0xFF if transport == TCP and f"{way}flags" in values else -1
    octets = number(values, f"{way}octets", number(values, f"{way}all_octets"))
    return flags, octets, number(values, f"{way}packets", number(values, f"{way}all_packets"))


def number(values: Values, name: str, unknown: int = NOT_KNOWN) -> int:
    found = values.get(name)
    return min(found, 2**63 - 1) if isinstance(found, int) else unknown


def address_of(values: Values, side: str) -> bytes | None:
    """The address as it is packed. Of two, one of zeros stands for none."""
    four, six = values.get(f"{side}4"), values.get(f"{side}6")
    found = six if isinstance(six, bytes) and (not isinstance(four, bytes) or not any(four)) else four
    return found if isinstance(found, bytes) else None


def times_of(values: Values, export: Export, way: str) -> tuple[float, float]:
    """First and last moment of a direction, Unix seconds; NaN where the record does not say."""
    first, last = moment(values, export, f"{way}first"), moment(values, export, f"{way}last")
    lasted = number(values, f"{way}lasted_ms") / 1000 if f"{way}lasted_ms" in values else NOT_A_TIME
    if f"{way}lasted_us" in values:
        lasted = number(values, f"{way}lasted_us") / 1e6
    if first != first and last != last and not way:  # noqa: PLR0124 - NaN
        first = number(values, "observed_ms") / 1000 if number(values, "observed_ms") > 0 else NOT_A_TIME
    if last != last:  # noqa: PLR0124 - NaN
        last = first + lasted if lasted == lasted else first  # noqa: PLR0124 - NaN
    return first if first == first else last - (lasted if lasted == lasted else 0), last  # noqa: PLR0124 - NaN


def moment(values: Values, export: Export, name: str) -> float:
    if (found := number(values, f"{name}_ms")) > 0:
        return found / 1000
    if isinstance(ntp := values.get(f"{name}_ntp"), int) and ntp:
        return (ntp >> 32) - NTP_EPOCH + (ntp & 0xFFFF_FFFF) / 2**32
    if (found := number(values, f"{name}_s")) > 0:
        return float(found)
    if (found := number(values, f"{name}_up")) >= 0:
        return export.since_start(found)
    if (found := number(values, f"{name}_ago")) >= 0:
        return export.at - found / 1e6
    return NOT_A_TIME
