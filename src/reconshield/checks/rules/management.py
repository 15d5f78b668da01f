"""Are the interfaces that rule machines and networks set up carelessly: SNMP, IPMI, RDP, VNC, VPNs, NTP, file shares?

Each check rests on one fact that the protocol itself told: a community that was answered, a security type that was offered.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement, fact_check
from reconshield.model import Service, Severity, Tls

CLEAR_VNC = (1, 2, 16)
"""Security types without any encryption of the session: None, VNC authentication, Tight (IANA's RFB registry)."""
OLD_NFS = (2, 3)


def _check(
    check_id: str,
    title: str,
    severity: Severity,
    judge: Callable[[Service], Judgement | None],
    remedy: str,
    refuted: str,
    attack: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
    *,
    service: str,
) -> Check:
    def decide(found: Service, context: Context) -> Judgement | None:
        del context
        return judge(found)

    return Check(check_id, title, severity, lambda s: s.service == service, decide, remedy, refuted, attack, references)


def _clear_screen(service: Service) -> Judgement | None:
    types = service.facts.get("security_types")
    if not isinstance(types, list) or not types or service.tls is not Tls.NONE or any(kind not in CLEAR_VNC for kind in types):
        return None
    return Judgement("every security type on offer leaves screen and keys in clear", {"security_types": types})


def _old_rdp(service: Service) -> Judgement | None:
    facts = service.facts
    if facts.get("standard_security") is not True and facts.get("security") != "rdp":
        return None
    return Judgement("the old security of RDP itself is accepted: no TLS, no proof of who the server is", {"security": "rdp"})


def _old_ike(service: Service) -> Judgement | None:
    stated = service.facts.get("protocol")
    return Judgement("the gateway answers in IKEv1", {"protocol": stated}) if stated == "IKEv1" else None


def _plain_l2tp(service: Service) -> Judgement | None:
    if service.facts.get("accepted") is not True:
        return None
    return Judgement("a tunnel was accepted outside IPsec", {"accepted": True})


def _pptp(service: Service) -> Judgement | None:
    stated = service.facts.get("protocol")
    return Judgement("PPTP answered in its own protocol", {"protocol": stated}) if stated else None


def _old_nfs(service: Service) -> Judgement | None:
    versions = service.facts.get("versions")
    old = [number for number in versions if number in OLD_NFS] if isinstance(versions, list) else []
    if not old:
        return None
    named = ", ".join(map(str, old))
    return Judgement(f"NFS version {named} is served, which believes the client's user ids", {"versions": versions})


def _ipmi_types(service: Service) -> Judgement | None:
    types = service.facts.get("auth_types")
    weak = [name for name in types if name in ("none", "md2", "password")] if isinstance(types, list) else []
    return Judgement(f"the controller offers logins by {', '.join(weak)}", {"auth_types": types}) if weak else None


def _ipmi_old(service: Service) -> Judgement | None:
    stated = service.facts.get("protocol")
    told = "the controller speaks IPMI 1.5 only, without encryption"
    return Judgement(told, {"protocol": stated}) if stated == "IPMI 1.5" else None


def _signing(service: Service) -> Judgement | None:
    signing = service.facts.get("signing")
    if signing not in ("enabled", "none"):
        return None
    told = "not offered" if signing == "none" else "offered, not required"
    return Judgement(f"message signing is {told}", {"signing": signing})


INSIDE = "let only a management network or a VPN reach it, in IPv4 and IPv6"

CHECKS = (
    fact_check(
        "snmp-default-community",
        "SNMP answers the community `public`",
        Severity.HIGH,
        service="snmp",
        fact=("community_public", True),
        seen="one value was read with the community `public`",
        remedy="remove the community and use SNMPv3 with authPriv; net-snmp: no `rocommunity public` in snmpd.conf",
        refuted="the same question gets no answer",
        attack=("T1078.001", "T1602.001"),
        references=("net-snmp-snmpd",),
    ),
    fact_check(
        "snmp-cleartext-login",
        "The SNMP community travels in clear text",
        Severity.MEDIUM,
        service="snmp",
        fact=("community_public", True),
        seen="version 2c was answered: its community is a password in every packet",
        remedy="turn versions 1 and 2c off and use SNMPv3 with authPriv",
        refuted="only SNMPv3 is answered",
        attack=("T1040",),
        references=("rfc3410",),
    ),
    fact_check(
        "ntp-control-queries",
        "NTP answers control questions of strangers",
        Severity.LOW,
        service="ntp",
        fact=("control", True),
        seen="a mode 6 question for variables was answered",
        remedy="ntpd: `restrict default noquery nomodify notrap limited kod`, in IPv4 and IPv6",
        refuted="the same question gets no answer",
        attack=("T1498.002",),
        references=("rfc8633", "ntp-access"),
    ),
    fact_check(
        "rdp-no-nla",
        "RDP shows its login screen to everybody",
        Severity.MEDIUM,
        service="rdp",
        fact=("nla_required", False),
        seen="a connection without network level authentication is taken",
        remedy="Windows: require Network Level Authentication (UserAuthentication = 1); xrdp has none: reach it by a VPN",
        refuted="the server answers that NLA is required",
        attack=("T1021.001", "T1133"),
        references=("ms-rdp-nla",),
    ),
    _check(
        "rdp-standard-security",
        "RDP without TLS is accepted",
        Severity.MEDIUM,
        _old_rdp,
        "Windows: SecurityLayer = 2 (TLS); xrdp: `security_layer=tls`",
        "the server refuses the old security and asks for TLS or NLA",
        ("T1557",),
        ("ms-rdpbcgr",),
        service="rdp",
    ),
    _check(
        "vnc-no-encryption",
        "VNC shows screen and keys to the network",
        Severity.MEDIUM,
        _clear_screen,
        "offer VeNCrypt with TLS only (TigerVNC: `SecurityTypes=TLSVnc,X509Vnc`), or reach it through SSH or a VPN",
        "only security types with encryption are offered",
        ("T1040", "T1021.005"),
        ("rfc6143", "tigervnc-xvnc"),
        service="vnc",
    ),
    _check(
        "smb-signing-not-required",
        "SMB does not require signed messages",
        Severity.MEDIUM,
        _signing,
        "Windows: `Set-SmbServerConfiguration -RequireSecuritySignature $true`; Samba: `server signing = mandatory`",
        "the negotiation says that signing is required",
        ("T1557.001",),
        ("ms-smb-signing",),
        service="smb",
    ),
    fact_check(
        "ipmi-anonymous-login",
        "The management controller has an anonymous login",
        Severity.CRITICAL,
        service="ipmi",
        fact=("anonymous_login", True),
        seen="the controller states that the user without name and password is enabled",
        remedy=f"disable the null user (`ipmitool user disable 1`), and {INSIDE}",
        refuted="the controller states that anonymous login is off",
        attack=("T1078.001",),
        references=("ipmi-spec",),
    ),
    fact_check(
        "ipmi-null-user",
        "The management controller has a user without a name",
        Severity.MEDIUM,
        service="ipmi",
        fact=("null_users", True),
        seen="the controller states that a user with an empty name is enabled",
        remedy="give every user a name and disable user 1",
        refuted="the controller states that there is none",
        attack=("T1078.001",),
        references=("ipmi-spec",),
    ),
    fact_check(
        "ipmi-default-key",
        "The management controller uses the default key",
        Severity.LOW,
        service="ipmi",
        fact=("default_key", True),
        seen="the controller states that its key K_G is all zero",
        remedy="set a key of your own (K_G), and keep the controller on a management network",
        refuted="the controller states that a key is set",
        references=("ipmi-spec",),
    ),
    _check(
        "ipmi-weak-login",
        "The management controller offers a weak login",
        Severity.MEDIUM,
        _ipmi_types,
        "allow RMCP+ with HMAC-SHA256 only and turn the types none, MD2 and straight password off",
        "only MD5 or RMCP+ logins are offered",
        ("T1110",),
        ("ipmi-spec",),
        service="ipmi",
    ),
    _check(
        "ipmi-old-version",
        "The management controller speaks IPMI 1.5 only",
        Severity.MEDIUM,
        _ipmi_old,
        f"update or retire the controller; {INSIDE}",
        "the controller offers IPMI 2.0",
        ("T1040",),
        ("ipmi-spec",),
        service="ipmi",
    ),
    _check(
        "ike-old-version",
        "The VPN gateway speaks IKEv1",
        Severity.LOW,
        _old_ike,
        "move the peers to IKEv2 and turn IKEv1 off; never aggressive mode with a shared key",
        "the gateway answers in IKEv2 only",
        references=("rfc9395",),
        service="ike",
    ),
    _check(
        "l2tp-no-ipsec",
        "L2TP answers outside IPsec",
        Severity.MEDIUM,
        _plain_l2tp,
        "let 1701/udp in only through IPsec (policy match), or move to IKEv2 or WireGuard",
        "the same question outside IPsec gets no answer",
        ("T1040", "T1133"),
        ("rfc3193",),
        service="l2tp",
    ),
    _check(
        "pptp-weak-vpn",
        "PPTP is offered as a VPN",
        Severity.MEDIUM,
        _pptp,
        "replace PPTP (MS-CHAPv2, RC4) by IKEv2, WireGuard or OpenVPN",
        "the endpoint does not answer in PPTP",
        ("T1557", "T1133"),
        ("rfc2637",),
        service="pptp",
    ),
    _check(
        "nfs-weak-version",
        "NFS believes what clients say of themselves",
        Severity.MEDIUM,
        _old_nfs,
        "serve NFSv4 with `sec=krb5p` only (`vers2=n`, `vers3=n` in nfs.conf), and export to listed hosts",
        "only version 4 is served",
        ("T1135",),
        ("rfc1813", "rfc8881"),
        service="nfs",
    ),
)
