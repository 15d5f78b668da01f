"""All formats of flow logs and captures, in the order in which a file is tried."""

from reconshield.detect.flows import Reader
from reconshield.detect.readers import (
    argus,
    aws_vpc,
    azure_flow,
    eve,
    gcp_flow,
    ipfix,
    lsof,
    netfilter,
    netflow,
    netstat,
    pcap,
    pcapng,
    proc_net,
    ss,
    windows_firewall,
    zeek_conn,
    zeek_json,
    zeek_names,
)

READERS: tuple[Reader, ...] = (
    pcap.READER,
    pcapng.READER,
    zeek_conn.READER,
    zeek_json.READER,
    zeek_names.READER,
    eve.READER,
    aws_vpc.READER,
    azure_flow.READER,
    gcp_flow.READER,
    windows_firewall.READER,
    netfilter.READER,
    ss.READER,
    proc_net.READER,
    netstat.READER,
    lsof.READER,
    netflow.READER,
    ipfix.READER,
    argus.READER,
)


def recognise(head: bytes) -> Reader | None:
    """The format of a file by its first bytes (64 KiB are enough); None for one that nobody knows."""
    return next((reader for reader in READERS if reader.recognises(head)), None)
