"""Does the service obey without any login? Only a harmless question was asked, and it was answered."""

from __future__ import annotations

from reconshield.checks.check import Check, fact_check
from reconshield.model import Severity


def _no_auth(
    service: str, title: str, severity: Severity, seen: str, remedy: str, attack: tuple[str, ...] = ("T1190",)
) -> Check:
    return fact_check(
        f"{service}-no-auth",
        title,
        severity,
        service=service,
        fact=("auth", "none"),
        seen=seen,
        remedy=remedy,
        refuted="the same question is answered with a demand for a login",
        attack=attack,
    )


CHECKS = (
    _no_auth(
        "redis",
        "Redis answers without a password",
        Severity.CRITICAL,
        "PING got +PONG before any AUTH",
        "redis.conf: `bind 127.0.0.1 -::1` and a user with a password (ACL or `requirepass`), then restart",
        ("T1190", "T1496.001"),
    ),
    _no_auth(
        "memcached",
        "Memcached answers without a login",
        Severity.HIGH,
        "`version` was answered before any login",
        "start memcached with `-l 127.0.0.1 -U 0`; for other hosts allow listed addresses only",
    ),
    _no_auth(
        "vnc",
        "VNC gives the screen without a password",
        Severity.CRITICAL,
        "the server offers security type None",
        "set a password and listen on 127.0.0.1; reach it through SSH or a VPN",
        ("T1021.005", "T1133"),
    ),
    _no_auth(
        "mongodb",
        "MongoDB answers without a login",
        Severity.CRITICAL,
        "a command that needs a login was answered without one",
        "mongod.conf: `security.authorization: enabled`, `net.bindIp: 127.0.0.1`",
        ("T1190", "T1213.006"),
    ),
    _no_auth(
        "zookeeper",
        "ZooKeeper answers without a login",
        Severity.HIGH,
        "a four-letter command was answered",
        "zoo.cfg: `clientPortAddress=127.0.0.1` or a private network, and `4lw.commands.whitelist=`",
    ),
    _no_auth(
        "nats",
        "NATS accepts clients without a login",
        Severity.HIGH,
        "INFO does not ask for authentication",
        "nats-server.conf: an `authorization` block and `tls`; listen on a private address",
    ),
    _no_auth(
        "rsync",
        "rsync lists its modules without a login",
        Severity.MEDIUM,
        "the list of modules was given to nobody in particular",
        "rsyncd.conf: `auth users`, `secrets file` and `list = no` for each module; `hosts allow`",
    ),
    _no_auth(
        "x11",
        "X11 gives the display without a login",
        Severity.CRITICAL,
        "the display server accepted a connection without authorisation",
        "start the display server with `-nolisten tcp`; use X forwarding in SSH",
        ("T1133",),
    ),
    _no_auth(
        "socks",
        "The SOCKS proxy accepts clients without a login",
        Severity.HIGH,
        "the proxy chose the method 'no authentication'",
        "require a user name, or allow listed networks only",
        ("T1090",),
    ),
    _no_auth(
        "distcc",
        "distcc compiles for anybody",
        Severity.CRITICAL,
        "the daemon answered without a login",
        "start distccd with `--allow` for listed hosts and `--listen` on a private address",
    ),
    _no_auth(
        "postgresql",
        "PostgreSQL lets clients in without a password",
        Severity.CRITICAL,
        "the server asked for no password",
        "pg_hba.conf: replace `trust` by `scram-sha-256`, then reload",
        ("T1190", "T1213.006"),
    ),
    _no_auth(
        "mysql",
        "MySQL lets clients in without a password",
        Severity.CRITICAL,
        "the server asked for no password",
        "give every account a password; `bind-address = 127.0.0.1`",
        ("T1190", "T1213.006"),
    ),
    _no_auth(
        "beanstalkd",
        "beanstalkd serves its queues without a login",
        Severity.MEDIUM,
        "a status command was answered",
        "start beanstalkd with `-l 127.0.0.1`",
    ),
    _no_auth(
        "gearman",
        "Gearman serves its queues without a login",
        Severity.MEDIUM,
        "a status command was answered",
        "start gearmand with `--listen=127.0.0.1`",
    ),
)
