"""All formats that a policy is written in, in the order in which they are listed."""

from reconshield.export.format import Format
from reconshield.export.formats import markdown, nftables, prometheus, sigma, stix, suricata, zeek

FORMATS: tuple[Format, ...] = (
    sigma.FORMAT,
    suricata.FORMAT,
    zeek.FORMAT,
    nftables.FORMAT,
    stix.FORMAT,
    prometheus.FORMAT,
    markdown.FORMAT,
)
