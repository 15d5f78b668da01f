"""A generator of flow logs of clouds with known answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

VPC_DEFAULT = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
VPC_FIVE = (*VPC_DEFAULT, "vpc-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "flow-direction", "traffic-path")


def vpc_row(at: int, src: str, dst: str, port: int, **more: object) -> dict[str, object]:
    row: dict[str, object] = {"version": 2, "account-id": 123456789012, "interface-id": "eni-1", "srcaddr": src, "dstaddr": dst}
    row |= {"srcport": 40_000, "dstport": port, "protocol": 6, "packets": 5, "bytes": 300, "start": at, "end": at + 60}
    row |= {"action": "ACCEPT", "log-status": "OK"}
    return row | {name.replace("_", "-"): value for name, value in more.items()}


def vpc_answer(row: dict[str, object], **more: object) -> dict[str, object]:
    """The other direction of a record."""
    other = row | {"srcaddr": row["dstaddr"], "dstaddr": row["srcaddr"], "srcport": row["dstport"], "dstport": row["srcport"]}
    return other | {name.replace("_", "-"): value for name, value in more.items()}


def vpc(
    rows: Iterable[dict[str, object]], fields: Sequence[str] = VPC_DEFAULT, *, header: bool = True, sep: str = " "
) -> bytes:
    """A VPC flow log with these rows; what a row does not say is `-`."""
    lines = [sep.join(fields)] if header else []
    lines += [sep.join(str(row.get(name, "-")) for name in fields) for row in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def nsg(*groups: Sequence[str], mac: str = "000D3AF87856", resource: str = "/NSG1") -> list[dict[str, object]]:
    """Records of an NSG flow log: a group of tuples each."""
    flows = [{"rule": "R", "flows": [{"mac": mac, "flowTuples": list(group)}]} for group in groups]
    head = {"time": "2025-10-09T08:53:20.0Z", "category": "NetworkSecurityGroupFlowEvent", "resourceId": resource}
    return [head | {"properties": {"Version": 2, "flows": [flow]}} for flow in flows]


def vnet(*groups: Sequence[str], mac: str = "112233445566") -> list[dict[str, object]]:
    """Records of a VNet flow log: a group of tuples each."""
    head = {"time": "2025-10-09T08:53:20.0Z", "flowLogVersion": 4, "macAddress": mac, "flowLogResourceID": "/VNET1"}
    flows = [{"aclID": "a", "flowGroups": [{"rule": "R", "flowTuples": list(group)}]} for group in groups]
    return [head | {"flowRecords": {"flows": [flow]}} for flow in flows]


def document(records: Sequence[object], indent: int | None = None) -> bytes:
    return json.dumps({"records": records}, indent=indent).encode()


def json_lines(records: Iterable[object]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def gcp(
    at: int, src: str, dst: str, port: int, *, back: bool = False, reporter: str = "SRC", **more: object
) -> dict[str, object]:
    """An entry of VPC Flow Logs, `at` seconds after a whole hour; `back` is the direction of the answer."""
    ends: dict[str, object] = {"src_ip": src, "src_port": 40_000, "dest_ip": dst, "dest_port": port, "protocol": 6}
    if back:
        ends |= {"src_ip": dst, "src_port": port, "dest_ip": src, "dest_port": 40_000}
    clock = f"2025-10-09T08:{at // 60:02}:{at % 60:02}"
    payload = {"connection": ends, "bytes_sent": "300", "packets_sent": "5", "reporter": reporter}
    payload |= {"start_time": f"{clock}.500000000Z", "end_time": f"{clock}.900000000Z"}
    return {"insertId": "x", "jsonPayload": payload | more, "logName": "projects/p/logs/compute.googleapis.com%2Fvpc_flows"}


def gcp_rule(at: int, src: str, dst: str, port: int, decided: str) -> dict[str, object]:
    """An entry of the firewall log."""
    entry = gcp(at, src, dst, port)
    payload = entry["jsonPayload"]
    assert isinstance(payload, dict)
    rule = {"disposition": decided, "rule_details": {"direction": "EGRESS"}, "connection": payload["connection"]}
    return entry | {"jsonPayload": rule, "timestamp": payload["start_time"], "logName": "projects/p/logs/x%2Ffirewall"}
