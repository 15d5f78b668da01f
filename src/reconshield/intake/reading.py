"""What a file of another tool says, and the contract of a reader.

A reader is a value in one file under `formats/`: `recognises` looks at the first bytes, `read` turns pieces of the file into
items as they come and never needs the whole. A record that cannot be understood is a `Bad` item that says where it stands; a
file that ends too early yields what is whole, then `Cut`. Nothing is claimed that the file does not say.

    chunks of bytes -> read -> Origin, Reading, Spread, Whole, Bad, Cut
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from reconshield.addresses import PortSet, text_of
from reconshield.model import Endpoint, Observation, Reason, State


@dataclass(frozen=True, slots=True)
class Origin:
    """What the file says of itself: the tool, its arguments, when it began (Unix seconds, 0 = not said), and `ports`, those
    that the tool was told to measure on every host (None = not said).
    """

    tool: str
    version: str = ""
    arguments: str = ""
    started: float = 0.0
    ports: PortSet | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What the tool says speaks on an endpoint, in its own words. `probed` is False when it only looked up the port number."""

    name: str
    probed: bool
    product: str | None = None
    version: str | None = None
    cpe: tuple[str, ...] = ()
    tls: bool = False
    banner: bytes = b""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One endpoint as the tool saw it. `at` is 0 where the file has no time; `observation.name` is the name it was given by."""

    observation: Observation
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Many ports of one address and transport in one state, which the file names as ranges."""

    ip: str
    transport: str
    ports: tuple[tuple[int, int], ...]
    state: State
    reason: Reason
    at: float


@dataclass(frozen=True, slots=True)
class Whole:
    """Every port of `Origin.ports` was measured on this address: those without a reading were silent."""

    ip: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that could not be used: where it stands, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The file ends before its end."""

    why: str


Item = Origin | Reading | Spread | Whole | Bad | Cut
Chunks = Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Intake:
    """One format: its name on the command line, the tool that writes it, and how it is recognised and read.

    `recognises` gets the first 64 KiB of a file; `read` gets the file from its beginning in pieces of any size.
    """

    name: str
    tool: str
    recognises: Callable[[bytes], bool]
    read: Callable[[Chunks], Iterator[Item]]


class Faulty(Exception):
    """A record does not say what it should; the text becomes `Bad.why`."""


STATES: dict[str, State] = {state.label: state for state in State}
REASONS: dict[str, Reason] = {reason.label: reason for reason in Reason}
SPELLINGS = {"rst": Reason.RESET, "rst-ack": Reason.RESET, "none": Reason.NO_RESPONSE}


def read_endpoint(ip: object, port: object, transport: object) -> Endpoint:
    """An endpoint from the values of a record; raises `Faulty` for anything that is none."""
    try:
        address = ip_address(str(ip))
    except ValueError as error:
        raise Faulty(f"{str(ip)[:60]!r} is no address") from error
    if isinstance(address, IPv6Address) and address.scope_id:
        raise Faulty("an address with a scope id means another host on every machine")
    text = str(port)
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise Faulty(f"{text[:20]!r} is no port")
    if transport not in {"tcp", "udp"}:
        raise Faulty(f"only tcp and udp are kept, not {str(transport)[:20]!r}")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    number = int(address) if isinstance(address, IPv6Address) else 0xFFFF_0000_0000 | int(address)
    return Endpoint(str(mapped) if mapped else text_of(number), int(text), str(transport))


def read_state(label: object) -> State:
    """A state by its name; raises `Faulty` for one that says neither open nor closed."""
    state = STATES.get(str(label))
    if state is None:
        raise Faulty(f"the state {str(label)[:30]!r} says neither open nor closed")
    return state


def read_reason(label: object) -> Reason:
    """A reason by its name, also in the plural that old versions of nmap write; `imported` for one that we do not know."""
    text = str(label or "")
    for spelling in (text, text.removesuffix("s"), text.removesuffix("es")):
        if found := REASONS.get(spelling) or SPELLINGS.get(spelling):
            return found
    return Reason.IMPORTED


def read_time(value: object) -> float:
    """Unix seconds from a number or its text; 0 for anything else."""
    try:
        seconds = float(str(value))
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < 1e11 else 0.0


def read_moment(text: object) -> float:
    """Unix seconds of an RFC 3339 time, whose fraction may have nine digits; 0 when there is none."""
    try:
        return read_time(datetime.fromisoformat(text).timestamp()) if isinstance(text, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
