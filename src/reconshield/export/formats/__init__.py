"""All formats that a policy is written in, in the order in which they are listed."""

from reconshield.export.format import Format
from reconshield.export.formats import markdown, nftables, sigma, suricata

FORMATS: tuple[Format, ...] = (sigma.FORMAT, suricata.FORMAT, nftables.FORMAT, markdown.FORMAT)
