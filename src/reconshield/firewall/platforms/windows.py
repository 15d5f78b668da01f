"""Windows Defender Firewall, by PowerShell.

A block rule wins over every allow rule there (MS-FASP 2.2.34), so "allow these, block the rest" cannot be written as two rules:
it would cut off the allowed too. Inbound traffic is blocked by default where no rule allows it; so the broad allowances of the
port are narrowed to the wanted networks. Source: Microsoft, New-NetFirewallRule; MS-FASP.
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

GROUP = "ReconShield"
DISABLED = "reconshield-disabled.txt"


def render(intent: Intent) -> Advice:
    return Advice(
        platform="windows",
        files=(File("apply.ps1", script(intent)), File("undo.ps1", undo_script())),
        apply="powershell -ExecutionPolicy Bypass -File apply.ps1   (as administrator)",
        undo="powershell -ExecutionPolicy Bypass -File undo.ps1",
        check=f"Get-NetFirewallRule -Group {GROUP} | Get-NetFirewallAddressFilter",
        notes=(
            "no block rule is made: it would win over the allowances and cut the allowed networks off too",
            "rules of a domain policy are not changed by this; look at Get-NetFirewallRule -PolicyStore ActiveStore",
        ),
    )


def script(intent: Intent) -> str:
    lines = [
        f"# {intent.comment}",
        "$ErrorActionPreference = 'Stop'",
        "Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block",
    ]
    for transport in intent.transports:
        lines += narrow(transport.upper(), intent.numbers(transport))
        nets = ["Any"] if intent.public else [*intent.allow_v4, *intent.allow_v6]
        if nets:
            remote = ",".join(f"'{net}'" for net in nets)
            lines += [
                f"New-NetFirewallRule -DisplayName '{intent.comment}' -Group {GROUP} -Direction Inbound -Action Allow `",
                f"  -Protocol {transport.upper()} -LocalPort $ports -RemoteAddress {remote} | Out-Null",
            ]
    return "\n".join(lines) + "\n"


def narrow(protocol: str, numbers: tuple[int, ...]) -> list[str]:
    """Switch off the broad allowances of these ports, noted for the way back."""
    ports = ",".join(f"'{port}'" for port in numbers)
    return [
        f"$ports = @({ports})",
        "Get-NetFirewallRule -Direction Inbound -Action Allow -Enabled True | ForEach-Object {",
        "  $filter = $_ | Get-NetFirewallPortFilter",
        "  $named = @($filter.LocalPort | Where-Object { $ports -contains $_ }).Count",
        f"  if ($filter.Protocol -eq '{protocol}' -and $named -and $_.Group -ne '{GROUP}') {{",
        f"    $_.Name | Add-Content '{DISABLED}'; $_ | Disable-NetFirewallRule",
        "  }",
        "}",
    ]


def undo_script() -> str:
    return (
        f"Remove-NetFirewallRule -Group {GROUP} -ErrorAction SilentlyContinue\n"
        f"if (Test-Path '{DISABLED}') {{\n"
        f"  Get-Content '{DISABLED}' | ForEach-Object {{ Enable-NetFirewallRule -Name $_ }}\n"
        f"  Remove-Item '{DISABLED}'\n"
        "}\n"
    )


PLATFORM = Platform("windows", "Windows Defender Firewall (PowerShell)", render, "none")
