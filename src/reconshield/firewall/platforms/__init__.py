"""All firewalls that rules are made for, in the order in which they are listed."""

from reconshield.firewall.platform import Platform
from reconshield.firewall.platforms import firewalld, iptables, nftables, ufw

PLATFORMS: tuple[Platform, ...] = (
    nftables.PLATFORM,
    iptables.PLATFORM,
    ufw.PLATFORM,
    firewalld.PLATFORM,
)
