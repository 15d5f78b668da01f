"""SMB: dialect and signing from the negotiation ([MS-SMB2] §2.2.3, §2.2.4), directly or in a NetBIOS session (RFC 1002 §4.3).

Every message is led by a zero byte and its length in three. At level 3 only the negotiation is sent, which names no user. At
level 4 a second negotiation offers nothing but SMB 1 ([MS-CIFS] §2.2.4.52), and one null session is set up: NTLM with an empty
name, whose challenge also tells the server's names and version ([MS-NLMP] §2.2.1.2). A session alone is granted by nearly every
server; `anonymous` says that nobody in particular may also open IPC$, where questions are asked. None is asked.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, Tell, Where, name_cpe, prefixed

DIALECTS = {0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT = 0, 1, 2, 3
MORE_PROCESSING = 0xC0000016
SIGNING_ENABLED, SIGNING_REQUIRED = 1, 2
SESSION_REQUEST, SESSION_ACCEPTED, SESSION_REFUSED = b"\x81", b"\x82", b"\x83"
NTLM_FLAGS = 0x00000001 | 0x00000004 | 0x00000200 | 0x00008000 | 0x00080000 | 0x00800000 | 0x02000000
"""Unicode, request target, NTLM, always sign, extended session security, target information, version."""
ANONYMOUS = 0x00000800
NAMES = {1: "netbios_name", 2: "netbios_domain", 3: "hostname", 4: "dns_domain"}
"""Target information that is kept ([MS-NLMP] §2.2.2.1)."""

whole_message = prefixed(3, at=1)


class Header(NamedTuple):
    """An SMB 2 answer: status, session, body."""

    status: int
    session: int
    body: bytes


def run() -> Dialogue:
    answer = yield Ask(write_negotiate(), until=whole_message)
    over_netbios = False
    if not answer:
        if (yield Where()).port != 139 or not (yield Reconnect()):
            return None
        answer = yield from _open_netbios()
        over_netbios = True
    header = read_header(answer, NEGOTIATE)
    if header is None:
        refused = over_netbios and answer[:1] == SESSION_REFUSED and len(answer) == 5
        return Match("smb", facts={"netbios_session": True, "refused": "session"}) if refused else None
    facts = _describe(header)
    return _name(Match("smb", facts=facts | ({"netbios_session": True} if over_netbios else {}))) if facts else None


def assess(match: Match) -> Dialogue:
    """Whether SMB 1 is still spoken, and whether nobody in particular may open a session."""
    facts = dict(match.facts)
    netbios = bool(facts.get("netbios_session"))
    if netbios:
        yield Ask(_request_session(), until=whole_message)
    old = yield Ask(_frame(write_smb1_negotiate()), until=whole_message)
    # a server that does not speak it hangs up or keeps silent; dialect 0xffff says "none of these" ([MS-CIFS] §2.2.4.52.2)
    facts["smb1"] = old[4:9] == b"\xffSMBr" and len(old) >= 39 and old[36] >= 1 and old[37:39] != b"\xff\xff"
    if not (yield Reconnect()):
        return replace(match, facts=facts)
    answer = yield from _open_netbios() if netbios else _ask(write_negotiate())
    if read_header(answer, NEGOTIATE) is None:
        return replace(match, facts=facts)
    found: Match = yield from _set_up_null_session(replace(match, facts=facts))
    return found


def _set_up_null_session(match: Match) -> Any:
    """NTLM in SPNEGO: negotiate, hear the challenge, authenticate as nobody, knock at IPC$, leave."""
    facts = dict(match.facts)
    answer = yield from _ask(_frame(write_session_setup(1, 0, _wrap_first(write_ntlm_negotiate()))))
    challenge = read_header(answer, SESSION_SETUP)
    if challenge is None or challenge.status != MORE_PROCESSING:
        return match
    facts |= _read_challenge(challenge.body)
    token = _wrap_next(write_ntlm_anonymous())
    final = read_header((yield from _ask(_frame(write_session_setup(2, challenge.session, token)))), SESSION_SETUP)
    if final is not None:
        facts |= {"null_session": final.status == 0, "anonymous": False}
    if facts.get("null_session"):
        knock = write_tree_connect(3, challenge.session, (yield Where()).host)
        opened = read_header((yield from _ask(_frame(knock))), TREE_CONNECT)
        facts["anonymous"] = opened is not None and opened.status == 0
        yield Tell(_frame(_header(LOGOFF, 4, challenge.session) + struct.pack("<HH", 4, 0)))
    return _name(replace(match, facts=facts))


def _ask(data: bytes) -> Any:
    return (yield Ask(data, until=whole_message))


def _open_netbios() -> Any:
    """A session to the name that every server answers to, then the negotiation; returns the answer to the last one asked."""
    opened = yield Ask(_request_session(), until=whole_message)
    if opened[:1] != SESSION_ACCEPTED:
        return opened
    return (yield Ask(write_negotiate(), until=whole_message))


def _request_session() -> bytes:
    names = b"".join(b"\x20" + _encode_name(name) + b"\0" for name in (b"*SMBSERVER", b"RECONSHIELD"))
    return SESSION_REQUEST + len(names).to_bytes(3, "big") + names


def _encode_name(name: bytes) -> bytes:
    """First-level encoding (RFC 1001 §14.1): 16 bytes, each half a letter from A on."""
    return b"".join(bytes([0x41 + (byte >> 4), 0x41 + (byte & 15)]) for byte in name.ljust(16)[:15] + b"\0")


def _frame(message: bytes) -> bytes:
    return struct.pack("!I", len(message)) + message


def _header(command: int, number: int, session: int = 0) -> bytes:
    """The 64 bytes that lead every SMB 2 message (§2.2.1.2): one credit asked for, no tree, no signature."""
    return struct.pack("<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, 0, command, 1, 0, 0, number, 0xFEFF, 0, session, bytes(16))


def write_negotiate() -> bytes:
    """All dialects; 3.1.1 wants contexts: SHA-512 for integrity, AES-128-GCM and -CCM for encryption. The ids are fixed."""
    integrity = struct.pack("<HHI", 1, 38, 0) + struct.pack("<HHH", 1, 32, 1) + bytes(range(32))
    encryption = struct.pack("<HHI", 2, 6, 0) + struct.pack("<HHH", 2, 2, 1)
    dialects = struct.pack(f"<{len(DIALECTS)}H", *DIALECTS)
    offset = 64 + 36 + len(dialects) + 2
    fixed = struct.pack("<HHHHI16sIHH", 36, len(DIALECTS), SIGNING_ENABLED, 0, 0x7F, b"reconshield-0001", offset, 2, 0)
    return _frame(_header(NEGOTIATE, 0) + fixed + dialects + bytes(2) + integrity + bytes(2) + encryption)


def write_smb1_negotiate() -> bytes:
    """SMB_COM_NEGOTIATE with the one dialect "NT LM 0.12"."""
    dialect = b"\x02NT LM 0.12\0"
    header = struct.pack("<4sBIBHH8sHHHHH", b"\xffSMB", 0x72, 0, 0x18, 0xC801, 0, bytes(8), 0, 0xFFFF, 0xFEFF, 0, 1)
    return header + struct.pack("<BH", 0, len(dialect)) + dialect


def read_header(data: bytes, command: int) -> Header | None:
    """A whole answer to that command, else None."""
    if len(data) < 72 or data[0] != 0 or len(data) != 4 + int.from_bytes(data[1:4], "big"):
        return None
    magic, size, _, status, kind, _, flags = struct.unpack_from("<4sHHIHHI", data, 4)
    if magic != b"\xfeSMB" or size != 64 or kind != command or not flags & 1:
        return None
    return Header(status, int.from_bytes(data[44:52], "little"), data[68:])


def _describe(header: Header) -> dict[str, Any]:
    """Dialect, signing, identity and clock of the negotiate answer (§2.2.4)."""
    if header.status or len(header.body) < 64:
        return {}
    size, mode, dialect, _, guid, abilities = struct.unpack_from("<HHHH16sI", header.body)
    if size != 65 or dialect not in DIALECTS:
        return {}
    signing = "required" if mode & SIGNING_REQUIRED else "enabled" if mode & SIGNING_ENABLED else "none"
    facts: dict[str, Any] = {"dialects": [DIALECTS[dialect]], "protocol": f"SMB {DIALECTS[dialect]}", "signing": signing}
    facts |= {"server_guid": str(UUID(bytes_le=guid)), "dfs": bool(abilities & 1)}
    if re.fullmatch(rb"[A-Za-z0-9_-]{1,15}\0+", guid):
        facts["guid_name"] = guid.rstrip(b"\0").decode("ascii")
    now, booted = struct.unpack_from("<QQ", header.body, 40)
    return facts | {key: text for key, ticks in (("time", now), ("booted", booted)) if (text := _read_time(ticks))}


def _read_time(ticks: int) -> str | None:
    """100 nanoseconds since 1601, as ISO 8601; None for zero and for what no calendar holds."""
    if not 0 < ticks < 2**61:
        return None
    return (datetime(1601, 1, 1, tzinfo=UTC) + timedelta(seconds=ticks // 10_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_session_setup(number: int, session: int, token: bytes) -> bytes:
    fixed = struct.pack("<HBBIIHHQ", 25, 0, SIGNING_ENABLED, 0, 0, 64 + 24, len(token), 0)
    return _header(SESSION_SETUP, number, session) + fixed + token


def write_tree_connect(number: int, session: int, host: str) -> bytes:
    """To the share for questions (§2.2.9): `\\\\host\\IPC$`."""
    path = f"\\\\{host}\\IPC$".encode("utf-16-le", "replace")
    return _header(TREE_CONNECT, number, session) + struct.pack("<HHHH", 9, 0, 64 + 8, len(path)) + path


def write_ntlm_negotiate() -> bytes:
    return struct.pack("<8sII", b"NTLMSSP\0", 1, NTLM_FLAGS) + bytes(16) + bytes([10, 0, 0, 0, 0, 0, 0, 15])


def write_ntlm_anonymous() -> bytes:
    """AUTHENTICATE without name, domain or answer ([MS-NLMP] §3.2.5.1.2): the LM answer is one zero byte."""
    start = 72
    fields = [(1, start), (0, start + 1), (0, start), (0, start), (0, start), (0, start + 1)]
    body = b"".join(struct.pack("<HHI", size, size, at) for size, at in fields)
    version = bytes([10, 0, 0, 0, 0, 0, 0, 15])
    return struct.pack("<8sI", b"NTLMSSP\0", 3) + body + struct.pack("<I", NTLM_FLAGS | ANONYMOUS) + version + b"\0"


def _wrap_first(token: bytes) -> bytes:
    """A negTokenInit (RFC 4178 §4.2.1) that offers NTLM alone."""
    ntlm = b"\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"
    inner = _tlv(0x30, _tlv(0xA0, _tlv(0x30, ntlm)) + _tlv(0xA2, _tlv(0x04, token)))
    return _tlv(0x60, b"\x06\x06\x2b\x06\x01\x05\x05\x02" + _tlv(0xA0, inner))


def _wrap_next(token: bytes) -> bytes:
    return _tlv(0xA1, _tlv(0x30, _tlv(0xA2, _tlv(0x04, token))))


def _tlv(tag: int, body: bytes) -> bytes:
    length = bytes([len(body)]) if len(body) < 0x80 else bytes([0x81, len(body)])
    return bytes([tag]) + length + body


def _read_challenge(body: bytes) -> dict[str, Any]:
    """Names and version from the CHALLENGE message inside the answer, wherever the wrapping puts it."""
    start = body.find(b"NTLMSSP\0\x02\0\0\0")
    message = body[start:] if start >= 0 else b""
    if len(message) < 56:
        return {}
    size, _, offset = struct.unpack_from("<HHI", message, 40)
    major, minor, build = struct.unpack_from("<BBH", message, 48)
    facts: dict[str, Any] = {"ntlm_version": f"{major}.{minor}.{build}"}
    info = message[offset : offset + size]
    while len(info) >= 4:
        kind, length = struct.unpack_from("<HH", info)
        if kind in NAMES and length:
            facts[NAMES[kind]] = info[4 : 4 + length].decode("utf-16-le", "replace")
        info = info[4 + length :] if kind else b""
    return facts


def _name(match: Match) -> Match:
    """Samba puts its NetBIOS name where others have a random GUID, and build 0 into the challenge; Windows its real build."""
    version = match.facts.get("ntlm_version", "")
    if "guid_name" in match.facts or version == "6.1.0":
        basis = "its GUID is a name" if "guid_name" in match.facts else "it calls itself NTLM 6.1, build 0"
        facts = {**match.facts, "product_basis": basis}
        return replace(match, product="Samba smbd", facts=facts, cpe=(name_cpe("samba", "samba"),))
    if version.count(".") == 2 and int(version.rsplit(".", 1)[1]) >= 2600:
        return replace(match, product="Microsoft Windows SMB", version=version)
    return match


PROBE = Probe("smb", ports=(445, 139), run=run, assess=assess)
