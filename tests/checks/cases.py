"""The rows of the table: a name, the facts of one service, and all findings they must give. Read by test_rules.

`both` makes two rows of a check that one fact decides: with the value that counts, and with one that does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from reconshield.model import Confidence, Endpoint, Service, Tls, Turn

NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
NOBODYS_PORT = 31000


class Row(NamedTuple):
    """What is judged, and the names of all findings, in order."""

    name: str
    subject: Service
    expected: list[str]


def service(kind: str, *, tls: Tls = Tls.NONE, port: int = NOBODYS_PORT, transport: str = "tcp", **more: Any) -> Service:
    fields: dict[str, Any] = {"confidence": Confidence.CONFIRMED, "at": NOW, "tls": tls, **more}
    return Service(endpoint=Endpoint("10.77.0.2", port, transport), service=kind, **fields)


def row(name: str, subject: Service, expected: str = "") -> Row:
    return Row(name, subject, expected.split())


def both(kind: str, key: str, bad: Any, good: Any, finding: str, always: str = "") -> Iterator[Row]:
    """A fact that makes a finding, the same fact with a value that does not, and no fact at all. `always` is found thrice."""
    yield row(f"{finding}: {key} = {bad}", service(kind, facts={key: bad}), f"{finding} {always}")
    yield row(f"no {finding}: {key} = {good}", service(kind, facts={key: good}), always)
    yield row(f"no {finding}: {key} not learned", service(kind), always)


CLEAR = {"login_clear": "offered", "mechanisms_clear": ["PLAIN"]}
GOOD = {
    "subject": "CN=mail.example",
    "names": ["mail.example", "*.web.example"],
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-06-01T00:00:00Z",
    "self_signed": False,
    "key_type": "RSA",
    "key_bits": 2048,
    "signature": "sha256WithRSAEncryption",
}


def with_certificate(name: str = "mail.example", **changes: Any) -> Service:
    return service("https", tls=Tls.IMPLICIT, facts={"tls": {"version": "TLSv1.3", "certificate": GOOD | changes}}, name=name)


def with_tls(**tls: Any) -> Service:
    return service("https", tls=Tls.IMPLICIT, facts={"tls": {"version": "TLSv1.2"} | tls})


def web(
    application: str | None = None, *, kind: str = "http", tls: Tls = Tls.NONE, product: str | None = None, **facts: Any
) -> Service:
    named = {"application": application} if application else {}
    return service(kind, tls=tls, product=product, facts={"status": 200, "headers": {}} | named | facts)


def udp(kind: str, asked: int, answered: int, **facts: Any) -> Service:
    return service(kind, transport="udp", facts={"request_bytes": asked, "answer_bytes": answered} | facts)


def ssh(**facts: Any) -> Service:
    return service("ssh", facts=facts)


def shown(kind: str, product: str, version: str, **facts: Any) -> Service:
    return service(kind, product=product, version=version, facts=facts)


EXPOSED = (  # always found, whatever the login
    "adb rdp vnc winrm x11 xdmcp spice rlogin rsh rexec smart-install ipmi docker kubernetes kubelet etcd consul vault nomad "
    "erlang-distribution jmx-rmi ajp bgp nat-pmp msrpc nfs iscsi nbd ndmp mdns ssdp ws-discovery slp netbios-ns cldap "
    "mssql-browser modbus s7 telnet echo chargen qotd daytime time finger ident gopher"
)
NO_LOGIN = (  # by the protocol's own question
    "redis memcached mongodb nats rsync socks distcc postgresql mysql beanstalkd gearman cassandra kafka tarantool "
    "jdwp varnish-cli tor-control clamd imap ipp coap rpcbind epmd tftp nrpe zabbix-agent munin-node upsd spamd gpsd mpd nntp "
    "lirc iperf3 milter"
)
NO_LOGIN_WEB = (  # by a page
    "docker-registry portainer elasticsearch opensearch kibana couchdb influxdb clickhouse solr neo4j yarn hdfs spark flink "
    "airflow jupyter jenkins sonarqube minio prometheus alertmanager grafana rabbitmq-management activemq-console "
    "mongo-express redis-commander phpmyadmin node-red"
)
CLEAR_TEXT = (
    "pop3 imap smtp ftp ldap postgresql mysql http redis nntp xmpp mqtt amqp irc mssql nats afp managesieve "
    "asterisk-manager freeswitch-event http-proxy"
)
AMPLIFIERS = "chargen cldap coap dns mdns memcached mssql-browser netbios-ns ntp qotd rpcbind slp snmp ssdp tftp ws-discovery"


def exposed_rows() -> Iterator[Row]:
    for kind in EXPOSED.split():
        yield row(f"{kind} answered", service(kind), f"{kind}-exposed")
        yield row(f"{kind} guessed from the port", service(kind, confidence=Confidence.GUESS))


def login_rows() -> Iterator[Row]:
    for kind in NO_LOGIN.split():
        yield from both(kind, "auth", "none", "unknown", f"{kind}-no-auth")
    for kind in ("docker", "kubernetes", "kubelet", "etcd", "consul", "nomad", "x11", "vnc", "adb", "iscsi", "nbd"):
        yield from both(kind, "auth", "none", "required", f"{kind}-no-auth", always=f"{kind}-exposed")
    yield from both("zookeeper", "four_letter_words", "allowed", "refused", "zookeeper-no-auth")
    for kind in NO_LOGIN_WEB.split():
        yield row(f"{kind} behind HTTP is open", web(kind, auth="none"), f"{kind}-no-auth")
        yield row(f"{kind} behind HTTP wants a login", web(kind, auth="required"))
        yield row(f"{kind} as a service of its own is open", web(kind, kind=kind, auth="none"), f"{kind}-no-auth")
    yield row("an application without a row of its own", web("harbor", auth="none"), "http-application-no-auth")
    yield row("the same with a login", web("harbor", auth="required"))
    yield row("a page that nobody recognised", web(auth="none"))


def clear_rows() -> Iterator[Row]:
    for kind in CLEAR_TEXT.split():
        yield row(f"{kind} offers login without TLS", service(kind, facts=CLEAR), f"{kind}-cleartext-login")
        yield row(f"{kind} offers it beside TLS", service(kind, tls=Tls.STARTTLS, facts=CLEAR), f"{kind}-cleartext-login")
        yield row(f"{kind} refuses it", service(kind, facts={"login_clear": "refused"}))
        yield row(f"{kind} does not offer it", service(kind, facts={"login_clear": "not offered"}))
        yield row(f"{kind} tells nothing", service(kind, facts={"login_clear": "unknown"}))
        yield row(f"{kind} inside TLS", service(kind, tls=Tls.IMPLICIT, facts=CLEAR))
    yield from both("telnet", "login_clear", "offered", "unknown", "telnet-cleartext-login", always="telnet-exposed")
    password = "org.apache.cassandra.auth.PasswordAuthenticator"
    yield from both("cassandra", "authenticator", password, "com.example.KerberosAuthenticator", "cassandra-cleartext-login")
    yield from both("mpd", "auth", "required", "unknown", "mpd-cleartext-login")
    yield from both("mqtt", "auth", "required", "unknown", "mqtt-cleartext-login")
    yield from both("memcached", "auth", "required", "unknown", "memcached-cleartext-login")
    yield from both("socks", "method", "password", "other", "socks-cleartext-login")
    yield from both("tor-control", "mechanisms_clear", ["HASHEDPASSWORD"], ["COOKIE"], "tor-control-cleartext-login")
    yield row("mqtt wants a password inside TLS", service("mqtt", tls=Tls.IMPLICIT, facts={"auth": "required"}))
    yield row("no password travels where none is asked for", service("nats", facts=CLEAR | {"auth": "none"}), "nats-no-auth")
    yield row("a page with a password field", web(login_clear="offered", login_form=True), "http-cleartext-login")
    yield row(
        "the same of an application with a name of its own",
        web("grafana", kind="grafana", login_clear="offered", login_form=True),
        "http-cleartext-login",
    )


def anonymous_rows() -> Iterator[Row]:
    named = {"ftp": "login", "ldap": "bind", "mqtt": "login", "amqp": "login", "svn": "read", "smb": ""}
    for kind, problem in named.items():
        finding = f"{kind}-anonymous-{problem}" if problem else "smb-null-session"
        yield from both(kind, "anonymous", True, False, finding)
    yield from both("afp", "anonymous", True, False, "afp-guest-login")
    yield from both("irc", "anonymous", True, False, "irc-open-registration")
    for kind in ("xmpp", "imap", "pop3", "smtp", "amqp", "ldap"):
        yield from both(kind, "mechanisms_tls", ["ANONYMOUS"], ["PLAIN"], f"{kind}-anonymous-offered")
    yield row("ANONYMOUS was tried and refused", service("amqp", facts={"anonymous": False, "mechanisms_clear": ["ANONYMOUS"]}))
    yield row("smb session without a share", service("smb", facts={"null_session": True, "anonymous": False}))
    yield from both("git", "error", "access denied", "", "git-no-auth")
    yield from both("rsync", "modules", ["backup"], [], "rsync-lists-modules")


def udp_rows() -> Iterator[Row]:
    for kind in AMPLIFIERS.split():
        also = f" {kind}-exposed" if kind in EXPOSED.split() else ""
        yield row(f"{kind} answers with more", udp(kind, 20, 400), f"{kind}-amplifier{also}")
        yield row(f"{kind} answers with as much", udp(kind, 48, 48), also)
        yield row(f"{kind} was not measured", service(kind, transport="udp"), also)
    turns = (Turn("dns", b"?" * 17, b"!" * 500), Turn("dns", b"?" * 17, b""))
    yield row("sizes of the recorded turns", service("dns", transport="udp", evidence=turns), "dns-amplifier")
    yield row("the same over tcp", service("dns", evidence=turns))
    yield from both("dns", "recursion", True, False, "dns-open-recursion")


def management_rows() -> Iterator[Row]:
    community = "snmp-default-community snmp-cleartext-login"
    yield row("snmp public", service("snmp", facts={"community_public": True}), community)
    yield row("snmp not public", service("snmp", facts={"community_public": False}))
    yield row("snmp not asked", service("snmp"))
    yield row("ldap takes binds in clear", service("ldap", facts={"bind_clear": "accepted"}), "ldap-cleartext-login")
    yield row("ldap wants TLS first", service("ldap", facts={"login_clear": "refused", "starttls": "required"}))
    yield from both("ntp", "control", True, False, "ntp-control-queries")
    yield from both("rdp", "nla_required", False, True, "rdp-no-nla", always="rdp-exposed")
    yield from both("rdp", "standard_security", True, False, "rdp-standard-security", always="rdp-exposed")
    yield from both("rdp", "security", "rdp", "nla", "rdp-standard-security", always="rdp-exposed")
    yield from both("vnc", "security_types", [1, 2], [2, 19], "vnc-no-encryption", always="vnc-exposed")
    yield row("vnc in TLS", service("vnc", tls=Tls.IMPLICIT, facts={"security_types": [2]}), "vnc-exposed")
    yield from both("smb", "signing", "enabled", "required", "smb-signing-not-required")
    yield from both("smb", "smb1", True, False, "smb-v1")
    for key, finding in (("anonymous_login", "anonymous-login"), ("null_users", "null-user"), ("default_key", "default-key")):
        yield from both("ipmi", key, True, False, f"ipmi-{finding}", always="ipmi-exposed")
    yield from both("ipmi", "auth_types", ["none", "md5"], ["md5"], "ipmi-weak-login", always="ipmi-exposed")
    yield from both("ipmi", "protocol", "IPMI 1.5", "IPMI 2.0", "ipmi-old-version", always="ipmi-exposed")
    yield from both("ike", "protocol", "IKEv1", "IKEv2", "ike-old-version")
    yield from both("l2tp", "accepted", True, False, "l2tp-no-ipsec")
    yield from both("pptp", "protocol", "PPTP 1.0", "", "pptp-weak-vpn")
    yield from both("nfs", "versions", [3, 4], [4], "nfs-weak-version", always="nfs-exposed")


def web_rows() -> Iterator[Row]:
    yield row("a list of files", web(directory_listing=True), "http-directory-listing")
    yield row("a page of its own", web(directory_listing=False))
    yield row("a console", web("kibana", admin_panel=True), "http-admin-panel")
    yield row("an application without a console", web("ghost"))
    yield row("metrics", web("haproxy-stats", metrics=True), "http-exposed-metrics")
    yield row(
        "metrics of an application without a login", web("nats-monitoring", metrics=True, auth="none"), "http-exposed-metrics"
    )
    yield row("metrics refused", web("haproxy-stats", metrics=False))
    headers = ["content-security-policy", "x-content-type-options"]
    yield row("a login without headers", web(login_form=True, security_headers=[]), "http-missing-security-headers")
    yield row("a login with headers", web(login_form=True, security_headers=headers))
    yield row("a page without a login needs none", web(security_headers=[]))
    yield row("headers not looked at", web(login_form=True))
    yield row(
        "within TLS HSTS is one of them",
        web(tls=Tls.IMPLICIT, login_form=True, security_headers=headers),
        "http-missing-security-headers",
    )
    yield row(
        "a cookie for everybody", web(tls=Tls.IMPLICIT, headers={"set-cookie": "sid=1; HttpOnly"}), "http-insecure-cookie"
    )
    yield row("a cookie for TLS only", web(tls=Tls.IMPLICIT, headers={"set-cookie": "sid=1; Path=/; Secure"}))
    yield row("a cookie without TLS says nothing", web(headers={"set-cookie": "sid=1"}))
    yield row("made for development", web(product="Werkzeug httpd"), "http-development-server")
    yield row("made for service", web(product="nginx"))
    yield from both("http-proxy", "open_proxy", True, False, "http-proxy-open")


def ssh_rows() -> Iterator[Row]:
    strict = "kex-strict-s-v00@openssh.com"
    yield row("ssh 1", ssh(protocol="SSH-1.99"), "ssh-protocol-1")
    yield row("ssh 2", ssh(protocol="SSH-2.0"))
    yield row("old key exchange", ssh(kex=["curve25519-sha256", "diffie-hellman-group1-sha1"]), "ssh-weak-key-exchange")
    yield row("old key exchange of GSS", ssh(kex=["gss-gex-sha1-toWM5Slw5Ew8Mqkay+al2g=="]), "ssh-weak-key-exchange")
    yield row("group 14 may stay", ssh(kex=["diffie-hellman-group14-sha1", strict]))
    yield row("rsa with sha-1", ssh(host_keys=["rsa-sha2-512", "ssh-rsa"]), "ssh-weak-host-key")
    yield row("rsa with sha-2", ssh(host_keys=["rsa-sha2-512", "ssh-ed25519"]))
    yield row("triple des", ssh(ciphers=["aes256-ctr", "3des-cbc"]), "ssh-weak-cipher")
    yield row("aes", ssh(ciphers=["aes256-ctr", "aes128-cbc"]))
    yield row("md5", ssh(macs=["hmac-sha2-256", "hmac-md5"]), "ssh-weak-mac")
    yield row("sha-2", ssh(macs=["hmac-sha2-256", "hmac-sha1"]))
    chacha = ["chacha20-poly1305@openssh.com"]
    etm = ["hmac-sha2-256-etm@openssh.com"]
    yield row("terrapin with chacha", ssh(kex=["curve25519-sha256"], ciphers=chacha), "ssh-terrapin")
    yield row("terrapin with cbc", ssh(kex=["curve25519-sha256"], ciphers=["aes128-cbc"], macs=etm), "ssh-terrapin")
    yield row("strict key exchange", ssh(kex=["curve25519-sha256", strict], ciphers=chacha))
    yield row("neither chacha nor cbc", ssh(kex=["curve25519-sha256"], ciphers=["aes256-gcm@openssh.com"], macs=etm))
    yield row("lists that are no lists", ssh(kex="diffie-hellman-group1-sha1", ciphers=7, macs=None))


def tls_rows() -> Iterator[Row]:
    yield row("a good certificate", with_certificate())
    yield row("expired", with_certificate(not_after="2026-11-01T00:00:00Z"), "tls-expired")
    yield row("ends soon", with_certificate(not_after="2026-12-01T00:00:00Z"), "tls-expires-soon")
    yield row("made a moment ago by a clock ahead of ours", with_certificate(not_before="2026-11-23T00:10:00Z"))
    yield row("not yet valid", with_certificate(not_before="2026-12-01T00:00:00Z"), "tls-not-yet-valid")
    yield row("self-signed", with_certificate(self_signed=True), "tls-self-signed")
    yield row("another name", with_certificate(name="ftp.example"), "tls-name-mismatch")
    yield row("a wildcard covers one label", with_certificate(name="a.web.example"))
    yield row("a wildcard covers no second label", with_certificate(name="a.b.web.example"), "tls-name-mismatch")
    yield row("no name", with_certificate(names=[]), "tls-no-names")
    yield row("short key", with_certificate(key_bits=1024), "tls-weak-key")
    yield row("old hash", with_certificate(signature="sha1WithRSAEncryption"), "tls-weak-signature")
    yield row("old hash on a self-signed one", with_certificate(signature="sha1", self_signed=True), "tls-self-signed")
    yield row("dates that are no dates", with_certificate(not_after="soon", not_before=None))
    yield row("old version in the sweep", with_tls(versions={"TLSv1.0": "accepted"}), "tls-old-version")
    yield row("old version refused", with_tls(versions={"TLSv1.0": "refused"}))
    refused = {"TLSv1.2": "refused", "TLSv1.3": "refused"}
    yield row("old versions only", with_tls(version="TLSv1.0", versions=refused), "tls-old-version tls-no-modern-version")
    silent = {"TLSv1.2": "not shown", "TLSv1.3": "refused"}
    yield row("silence is no refusal", with_tls(version="TLSv1.0", versions=silent), "tls-old-version")
    for cipher in (
        "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
        "ECDHE-RSA-DES-CBC3-SHA",
        "AECDH-AES256-SHA",
        "TLS_DHE_RSA_WITH_DES_CBC_SHA",
    ):
        yield row(f"cipher {cipher}", with_tls(cipher=cipher), "tls-weak-cipher")
    for cipher in ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES256-SHA", "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"):
        yield row(f"cipher {cipher}", with_tls(cipher=cipher), "tls-no-forward-secrecy")
    for good in ("TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", None):
        yield row(f"cipher {good}", with_tls(cipher=good))
    yield row(
        "upgraded connection",
        service("smtp", tls=Tls.STARTTLS, facts={"starttls_tls": {"certificate": GOOD | {"self_signed": True}}}),
        "tls-self-signed",
    )
    failed = {"starttls": "offered", "starttls_failed": True}
    yield row("an upgrade that fails", service("smtp", facts=failed), "tls-upgrade-fails")
    yield row("an upgrade nobody offered", service("smtp", facts={"starttls": "not offered", "starttls_failed": True}))


def port_rows() -> Iterator[Row]:
    yield row("ssh where HTTP is expected", service("ssh", port=443), "ssh-unexpected-port")
    yield row("ftp where Modbus is expected", service("ftp", port=502), "ftp-unexpected-port")
    yield row("http where SQL Server is expected", service("http", port=1433), "http-unexpected-port")
    yield row("pop3 on its own port", service("pop3", port=110))
    yield row("pop3 on nobody's port", service("pop3"))
    yield row("an API on the port of HTTP", service("elasticsearch", port=443, facts={"application": "elasticsearch"}))
    yield row("LMTP on the port of its kin", service("lmtp", port=25))
    yield row("nobody knows what", service("unknown", port=443))
    yield row("the shape of a banner is not enough", service("ssh", port=443, confidence=Confidence.PROBABLE))


def version_rows() -> Iterator[Row]:
    """Versions are shown, too old, or in the range of an advisory; test_software has the states one by one."""
    yield row("ssh shows its version", shown("ssh", "OpenSSH", "9.9p2"), "ssh-version-banner")
    yield row("ssh hides its version", service("ssh", product="OpenSSH"))
    yield row("MySQL 5.5", shown("mysql", "MySQL", "5.5.62"), "mysql-end-of-life mysql-version-banner")
    yield row("MySQL 8.4", shown("mysql", "MySQL", "8.4.2"), "mysql-version-banner")
    yield row(
        "Apache httpd 2.4.49",
        shown("http", "Apache httpd", "2.4.49"),
        "http-known-vulnerability http-version-banner",
    )
    yield row("Apache httpd 2.4.62", shown("http", "Apache httpd", "2.4.62"), "http-version-banner")
    yield row("a guess has no version", service("http", confidence=Confidence.GUESS, product="Apache httpd", version="2.4.49"))


TABLE: tuple[Row, ...] = (
    *exposed_rows(),
    *login_rows(),
    *clear_rows(),
    *anonymous_rows(),
    *udp_rows(),
    *management_rows(),
    *web_rows(),
    *ssh_rows(),
    *tls_rows(),
    *port_rows(),
    *version_rows(),
)
