"""A generator of flow logs of clouds with known answers."""

from __future__ import annotations

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
