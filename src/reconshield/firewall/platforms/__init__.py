"""All firewalls that rules are made for, in the order in which they are listed."""

from reconshield.firewall.platform import Platform
from reconshield.firewall.platforms import (
    aws,
    azure,
    cisco_asa,
    cisco_ios,
    docker,
    firewalld,
    fortigate,
    gcp,
    iptables,
    juniper,
    kubernetes,
    mikrotik,
    nftables,
    paloalto,
    pf,
    ufw,
    windows,
)

PLATFORMS: tuple[Platform, ...] = (
    nftables.PLATFORM,
    iptables.PLATFORM,
    ufw.PLATFORM,
    firewalld.PLATFORM,
    docker.PLATFORM,
    windows.PLATFORM,
    pf.PLATFORM,
    kubernetes.PLATFORM,
    aws.PLATFORM,
    azure.PLATFORM,
    gcp.PLATFORM,
    cisco_ios.PLATFORM,
    cisco_asa.PLATFORM,
    juniper.PLATFORM,
    paloalto.PLATFORM,
    fortigate.PLATFORM,
    mikrotik.PLATFORM,
)
