"""Is SMB 1 still spoken? Asked at level 4 by a negotiation that offers nothing else. Signing is judged in `management`."""

from __future__ import annotations

from reconshield.checks.check import fact_check
from reconshield.model import Severity

CHECKS = (
    fact_check(
        "smb-v1",
        "SMB 1 is still spoken",
        Severity.HIGH,
        service="smb",
        fact=("smb1", True),
        seen="the server agreed to the dialect NT LM 0.12, which is SMB 1",
        remedy="Samba: `server min protocol = SMB2_02`; Windows: `Set-SmbServerConfiguration -EnableSMB1Protocol $false`",
        refuted="a negotiation that offers SMB 1 alone is refused",
        attack=("T1210",),
        references=("ms-smb1",),
    ),
)
