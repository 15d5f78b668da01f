"""Does the service obey without any login? Only a harmless question was asked, and it was answered."""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement, fact_check
from reconshield.model import Service, Severity


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


def _judge_git(service: Service, context: Context) -> Judgement | None:
    """The git protocol has no login at all: a daemon that answers serves whatever it exports."""
    del context
    answer = service.facts.get("error")
    return Judgement("the daemon answered a request; its protocol has no login", {"error": answer}) if answer else None


def _judge_modules(service: Service, context: Context) -> Judgement | None:
    del context
    modules = service.facts.get("modules")
    if not isinstance(modules, list) or not modules:
        return None
    return Judgement(f"the list names {', '.join(map(str, modules[:8]))}", {"modules": modules})


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
    fact_check(
        "zookeeper-no-auth",
        "ZooKeeper answers without a login",
        Severity.HIGH,
        service="zookeeper",
        fact=("four_letter_words", "allowed"),
        seen="a four-letter command was answered",
        remedy="zoo.cfg: `clientPortAddress=127.0.0.1` or a private network, and `4lw.commands.whitelist=`",
        refuted="the same command is refused",
        attack=("T1190",),
        references=("zookeeper-admin",),
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
        "rsync opens a module without a login",
        Severity.MEDIUM,
        "a module was opened by nobody in particular, then the session was ended",
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
        "lirc",
        "LIRC presses keys for anybody",
        Severity.MEDIUM,
        "a command was answered",
        "start lircd without `--listen`, or with `--listen=127.0.0.1:8765`",
    ),
    _no_auth(
        "iperf3",
        "iperf3 fills the line for anybody",
        Severity.LOW,
        "a measurement was accepted, and left before it began",
        "stop it after the measurement; for one only: `iperf3 -s -1`",
    ),
    _no_auth(
        "milter",
        "The mail filter works for anybody",
        Severity.MEDIUM,
        "the filter agreed on what it does with messages",
        "bind it to 127.0.0.1 or a Unix socket; OpenDKIM: `Socket inet:8891@localhost`",
    ),
    _no_auth(
        "gearman",
        "Gearman serves its queues without a login",
        Severity.MEDIUM,
        "a status command was answered",
        "start gearmand with `--listen=127.0.0.1`",
    ),
    _no_auth(
        "cassandra",
        "Cassandra answers without a login",
        Severity.CRITICAL,
        "a session was started without a login",
        "cassandra.yaml: `authenticator: PasswordAuthenticator`, `authorizer: CassandraAuthorizer`, a private `rpc_address`",
        ("T1190", "T1213.006"),
    ),
    _no_auth(
        "kafka",
        "Kafka answers without a login",
        Severity.HIGH,
        "the list of brokers was given without a login",
        "server.properties: listeners with SASL_SSL, `authorizer.class.name` set, no PLAINTEXT listener outside",
    ),
    _no_auth(
        "tarantool",
        "The Tarantool console obeys without a login",
        Severity.CRITICAL,
        "the Lua console greeted without a login",
        "listen on a Unix socket: `console.listen('unix/:/run/tarantool.control')`",
    ),
    _no_auth(
        "adb",
        "Android debugging obeys without a key",
        Severity.CRITICAL,
        "the device accepted the connection without a key",
        "turn debugging over the network off (`adb usb`), or update to a system that asks for a key",
        ("T1190", "T1496.001"),
    ),
    _no_auth(
        "jdwp",
        "The Java debugger obeys anybody",
        Severity.CRITICAL,
        "the debugger answered a question for its version; it has no login",
        "start Java without `-agentlib:jdwp`, or with `address=127.0.0.1:PORT`, and reach it by SSH",
    ),
    _no_auth(
        "varnish-cli",
        "The Varnish console obeys without a secret",
        Severity.HIGH,
        "the console greeted without a challenge",
        "start varnishd with `-S SECRETFILE` and `-T 127.0.0.1:6082`",
    ),
    _no_auth(
        "tor-control",
        "The Tor control port obeys without a login",
        Severity.HIGH,
        "the method NULL is offered",
        "torrc: `CookieAuthentication 1`, ControlPort on loopback or a Unix socket",
    ),
    _no_auth(
        "clamd",
        "ClamAV takes commands from anybody",
        Severity.HIGH,
        "VERSION was answered; the same port takes SHUTDOWN",
        "clamd.conf: LocalSocket in place of TCPSocket, or `TCPAddr 127.0.0.1`",
        ("T1499",),
    ),
    _no_auth(
        "iscsi",
        "iSCSI serves its targets without a login",
        Severity.HIGH,
        "the target offers the method None",
        "require CHAP and list initiators for each target; serve storage on a network of its own",
        ("T1213.006",),
    ),
    _no_auth(
        "nbd",
        "A block device is served without a login",
        Severity.HIGH,
        "the exports were listed, or the device was opened, without TLS or a login",
        "nbd-server: `listenaddr = 127.0.0.1`, an authfile, or TLS with client certificates",
    ),
    _no_auth(
        "imap",
        "IMAP opens a mailbox without a login",
        Severity.HIGH,
        "the server greeted with PREAUTH",
        "use PREAUTH for local commands only; serve the network with a login inside TLS",
    ),
    _no_auth(
        "ipp",
        "The print server answers without a login",
        Severity.LOW,
        "its printers and jobs were shown without a login",
        "cupsd.conf: `Listen localhost:631`, or `Allow` for listed networks and `Require valid-user`",
    ),
    _no_auth(
        "coap",
        "CoAP shows its resources to anybody",
        Severity.MEDIUM,
        "/.well-known/core was answered without a login",
        "serve CoAP inside DTLS or OSCORE only, and to listed networks",
    ),
    _no_auth(
        "rpcbind",
        "rpcbind lists its programs to anybody",
        Severity.LOW,
        "the list of programs and ports was given",
        "stop rpcbind where nothing needs it (NFSv4 does not); else let the clients' network reach it only",
        ("T1046",),
    ),
    _no_auth(
        "epmd",
        "The Erlang port mapper lists its nodes to anybody",
        Severity.LOW,
        "the list of nodes was given; it has no login",
        "`ERL_EPMD_ADDRESS=127.0.0.1`, or let cluster members reach it only",
        ("T1046",),
    ),
    _no_auth(
        "tftp",
        "TFTP serves files without a login",
        Severity.LOW,
        "a request was answered; the protocol has no login",
        "serve it read only, from a folder of its own, in the network of the devices that boot from it",
        ("T1542.005",),
    ),
    _no_auth(
        "nrpe",
        "NRPE answers anybody",
        Severity.MEDIUM,
        "the agent told its version without a login",
        "nrpe.cfg: `allowed_hosts` with the monitoring server, `dont_blame_nrpe=0`",
    ),
    _no_auth(
        "zabbix-agent",
        "The Zabbix agent answers anybody",
        Severity.LOW,
        "a passive check was answered",
        "zabbix_agentd.conf: `Server=` with the addresses of the Zabbix server alone, and TLS with a pre-shared key",
    ),
    _no_auth(
        "munin-node",
        "The Munin node answers anybody",
        Severity.LOW,
        "the node greeted without a login",
        "munin-node.conf: `allow` or `cidr_allow` with the master alone",
    ),
    _no_auth(
        "upsd",
        "Network UPS Tools answers anybody",
        Severity.LOW,
        "the version was told without a login",
        "upsd.conf: `LISTEN 127.0.0.1`, and clients on a management network",
    ),
    _no_auth(
        "spamd",
        "SpamAssassin filters for anybody",
        Severity.LOW,
        "PING was answered",
        "start spamd with `--listen 127.0.0.1` or `--allowed-ips`",
    ),
    _no_auth(
        "gpsd",
        "gpsd tells its place to anybody",
        Severity.LOW,
        "the daemon greeted without a login",
        "start gpsd without `-G`",
    ),
    _no_auth(
        "mpd",
        "The music player obeys anybody",
        Severity.LOW,
        "a command was answered without a password",
        'mpd.conf: `bind_to_address "127.0.0.1"` and a `password`',
    ),
    _no_auth(
        "nntp",
        "News can be read by anybody",
        Severity.INFO,
        "the server lets readers in without a login",
        "INN: readers.conf with `auth` for all who may read; if it is a public server, declare it in the policy",
    ),
    Check(
        id="git-no-auth",
        title="git serves repositories without a login",
        severity=Severity.LOW,
        applies=lambda service: service.service == "git",
        judge=_judge_git,
        remedy="serve over HTTPS or SSH; else `git daemon` without --export-all and with --listen on a private address",
        refuted="the daemon does not answer any more",
        attack=("T1213.006",),
        references=("git-daemon",),
    ),
    Check(
        id="rsync-lists-modules",
        title="rsync lists its modules to anybody",
        severity=Severity.INFO,
        applies=lambda service: service.service == "rsync",
        judge=_judge_modules,
        remedy="rsyncd.conf: `list = no` for each module, and `hosts allow`",
        refuted="the list is empty or refused",
        attack=("T1135",),
        references=("rsyncd.conf",),
    ),
)
