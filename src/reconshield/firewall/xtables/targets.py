"""What the target of an iptables rule does."""

from __future__ import annotations

from collections.abc import Callable

from reconshield.addresses.intervals import Ranges
from reconshield.firewall.ruleset import UNTRACK, Action, Change, Field, Kind
from reconshield.firewall.values import Faulty, read_network, read_number, read_ports

VERDICTS = {
    "ACCEPT": Kind.ACCEPT,
    "DROP": Kind.DROP,
    "REJECT": Kind.REJECT,
    "RETURN": Kind.RETURN,
    "MASQUERADE": Kind.TRANSLATE,
    "SNAT": Kind.TRANSLATE,
}
HARMLESS = frozenset(
    {
        *("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "TCPMSS", "TCPOPTSTRIP", "CHECKSUM", "TOS", "DSCP", "TTL", "HL", "ECN"),
        *("CLASSIFY", "SET", "TEE", "SECMARK", "CONNSECMARK", "RATEEST", "IDLETIMER", "LED", "ACCOUNT"),
    }
)
"""Targets that neither decide nor change what later rules look at."""
MARKS = {"MARK": Field.MARK, "CONNMARK": Field.CONNECTION_MARK}
ALL_BITS = (1 << 32) - 1


def read_target(name: str, options: dict[str, str]) -> Action | None:
    """The action of a built-in target with its options; None for one that does nothing here.

    Raises `Faulty` for a target that is not supported.
    """
    if name in HARMLESS or (name == "CT" and "--notrack" not in options):
        return None
    if name in VERDICTS:
        return Action(VERDICTS[name])
    if name in MARKS:
        return set_mark(name, options)
    if name in {"NOTRACK", "CT"}:
        return Action(Kind.CONTINUE, sets=(UNTRACK,))
    return translation(name, options)


def translation(name: str, options: dict[str, str]) -> Action:
    """DNAT and REDIRECT."""
    if name == "DNAT" and "--to-destination" in options:
        address, port = read_destination(options["--to-destination"])
        return Action(Kind.TRANSLATE, address=address, port=port)
    if name == "REDIRECT":
        ports = options.get("--to-ports")
        return Action(Kind.TRANSLATE, port=read_ports(ports, "-") if ports else (), local=True)
    raise Faulty(f"the target {name[:40]} is not supported")


def set_mark(name: str, options: dict[str, str]) -> Action:
    """MARK and CONNMARK: to a number, some bits of it, or to the other of the two."""
    field = MARKS[name]
    if "--save-mark" in options or "--restore-mark" in options:
        pair = (Field.CONNECTION_MARK, Field.MARK)
        own, source = pair if "--save-mark" in options else pair[::-1]
        masked = any("mask" in option for option in options)
        return change(Change(own, None) if masked else Change(own, 0, ALL_BITS, source))
    for option, make in CHANGES.items():
        if option in options:
            number, slash, mask = options[option].partition("/")
            value, bits = read_number(number, ALL_BITS), read_number(mask, ALL_BITS) if slash else ALL_BITS
            return change(make(field, value, bits))
    return change(Change(field, None))


def change(one: Change) -> Action:
    return Action(Kind.CONTINUE, sets=(one,))


CHANGES: dict[str, Callable[[Field, int, int], Change]] = {
    "--set-mark": lambda field, value, bits: Change(field, value, ALL_BITS & ~(bits | value)),
    "--set-xmark": lambda field, value, bits: Change(field, value, ALL_BITS & ~bits),
    "--or-mark": lambda field, value, _: Change(field, value, ALL_BITS & ~value),
    "--and-mark": lambda field, value, _: Change(field, 0, value),
    "--xor-mark": lambda field, value, _: Change(field, value, ALL_BITS),
}
"""What the options of MARK do, by iptables-extensions(8)."""


def read_destination(text: str) -> tuple[Ranges, Ranges]:
    """`10.0.0.5`, `10.0.0.5:80`, `:80`, `10.0.0.5-10.0.0.9:1-3`, `[2001:db8::5]:80`."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    return read_network(address) if address else (), read_ports(port.partition("/")[0], "-") if port else ()
