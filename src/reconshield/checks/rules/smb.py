"""Is SMB 1 still spoken? Asked at level 4 by a negotiation that offers nothing else."""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Service, Severity


def _judge(service: Service, context: Context) -> Judgement | None:
    del context
    if service.facts.get("smb1") is not True:
        return None
    return Judgement("the server agreed to the dialect NT LM 0.12, which is SMB 1", {"smb1": True})


CHECKS = (
    Check(
        id="smb-v1",
        title="SMB 1 is still spoken",
        severity=Severity.HIGH,
        applies=lambda service: service.service == "smb",
        judge=_judge,
        remedy="Samba: `server min protocol = SMB2_02`; Windows: `Set-SmbServerConfiguration -EnableSMB1Protocol $false`",
        refuted="a negotiation that offers SMB 1 alone is refused",
        attack=("T1210",),
        references=("ms-smb1",),
    ),
)
