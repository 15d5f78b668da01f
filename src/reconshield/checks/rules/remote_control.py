"""Does a protocol that controls the whole machine answer here? Judged only when the protocol itself was confirmed.

CISA's BOD 23-02 names these among the interfaces that must not face an untrusted network.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Confidence, Service, Severity

NAMES = {
    "telnet": "Telnet",
    "rdp": "Remote Desktop",
    "vnc": "VNC",
    "winrm": "Windows Remote Management",
    "x11": "X11",
    "rlogin": "rlogin",
    "rsh": "rsh",
    "rexec": "rexec",
    "adb": "Android debugging",
    "smart-install": "Cisco Smart Install",
}


def _applies(name: str) -> Callable[[Service], bool]:
    return lambda service: service.service == name and service.confidence is Confidence.CONFIRMED


def _judge(title: str) -> Callable[[Service, Context], Judgement]:
    def judge(service: Service, context: Context) -> Judgement:
        del context
        product = f" ({service.product})" if service.product else ""
        return Judgement(f"{title}{product} answered in its own protocol", {"service": service.service})

    return judge


CHECKS = tuple(
    Check(
        id=f"{name}-exposed",
        title=f"{title} can be reached from here",
        severity=Severity.MEDIUM,
        applies=_applies(name),
        judge=_judge(title),
        remedy="allow it from a management network or a VPN only, in IPv4 and IPv6",
        refuted="the endpoint does not answer from this vantage",
        attack=("T1133",),
        references=("cisa-bod-23-02",),
    )
    for name, title in NAMES.items()
)
