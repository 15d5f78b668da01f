"""What may be written after `scan`: addresses, ranges, networks, names and ports, and the algebra of the sets they mean.

Text comes in from arguments, files and the policy; frozen sets go out. Nothing is ever listed: a /8 is one range. Everything
lives in the 128-bit space of IPv6, with IPv4 at `::ffff:a.b.c.d`, so that two spellings of one address are one number and no
spelling gets round a grant. Names stay symbolic here; `jobs` resolves them. Pure: no socket is imported.
"""

from reconshield.addresses.ports import PortRequest, PortSet, parse_ports
from reconshield.addresses.sets import AddressSet, parse_address, text_of
from reconshield.addresses.targets import LOOPBACK, NEVER, Target, parse_target, parse_targets_file

__all__ = [
    "LOOPBACK",
    "NEVER",
    "AddressSet",
    "PortRequest",
    "PortSet",
    "Target",
    "parse_address",
    "parse_ports",
    "parse_target",
    "parse_targets_file",
    "text_of",
]
