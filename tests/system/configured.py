"""The servers of the service test and how they are configured: two hosts, one careless (LAX) and one careful (STRICT).

Both live in one world and differ by address, so each server stands on its own port twice: once as it should not be, once as the
remedy of a finding says.
"""

from __future__ import annotations

from system.servers import Server

LAX, LAX6, STRICT, STRICT6 = "10.93.0.2", "fd93::2", "10.93.0.3", "fd93::3"
WORDS = {"LAX": LAX, "LAX6": LAX6, "STRICT": STRICT, "STRICT6": STRICT6}

DOVECOT = Server(
    "dovecot",
    ("dovecot",),
    ("0.0.0.0:110", "0.0.0.0:143", "0.0.0.0:993", "0.0.0.0:995", "0.0.0.0:31110", "[::]:110", "127.0.0.1:12345"),
    ("dovecot -F -c @D@/conf",),
    {
        "passwd": "somebody:{PLAIN}secret::::::\n",
        "conf": """
base_dir = /run/dovecot
protocols = imap pop3
listen = *, ::
log_path = /dev/stderr
mail_location = maildir:@D@/mail
auth_mechanisms = plain login
disable_plaintext_auth = no
ssl = yes
ssl_cert = <@TLS@/good.pem
ssl_key = <@TLS@/good.key
passdb {
  driver = passwd-file
  args = @D@/passwd
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=@D@
}
service pop3-login {
  inet_listener pop3 {
    port = 110
  }
  inet_listener elsewhere {
    port = 31110
  }
}
service auth {
  inet_listener sasl {
    address = 127.0.0.1
    port = 12345
  }
}
local @LAX@ {
  protocol pop3 {
    ssl_cert = <@TLS@/expired.pem
    ssl_key = <@TLS@/expired.key
  }
}
local @STRICT@ {
  ssl = required
  disable_plaintext_auth = yes
}
local @STRICT6@ {
  ssl = required
  disable_plaintext_auth = yes
}
""",
    },
)

POSTFIX = Server(
    "postfix",
    ("postfix", "postconf"),
    ("@LAX@:25", "[@LAX6@]:25", "@LAX@:465", "@LAX@:587", "@LAX@:2525", "@STRICT@:25", "@STRICT@:587"),
    ("postfix start-fg",),
    {
        "main": """
compatibility_level = 3.6
myhostname = mail.world.test
mydestination = world.test
mynetworks = 127.0.0.0/8
inet_protocols = all
alias_maps =
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_cert_file = @TLS@/good.pem
smtpd_tls_key_file = @TLS@/good.key
smtpd_tls_security_level = may
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:12345
maillog_file = /dev/stdout
""",
        "services": """
@LAX@:25     inet n - n - - smtpd
[@LAX6@]:25  inet n - n - - smtpd
@LAX@:465    inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
@LAX@:587    inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=no
@LAX@:2525   inet n - n - - smtpd
  -o smtpd_tls_security_level=none
@STRICT@:25  inet n - n - - smtpd
@STRICT@:587 inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes
""",
    },
    setup="""
sed '/^smtp  *inet/d' /usr/share/postfix/master.cf.dist > /etc/postfix/master.cf
cat services >> /etc/postfix/master.cf
cp main /etc/postfix/main.cf
postconf -F '*/*/chroot=n'
""",
)

VSFTPD = Server(
    "vsftpd",
    ("vsftpd",),
    ("@LAX@:21", "[@LAX6@]:21", "@LAX@:2100", "@STRICT@:21"),
    (
        "vsftpd @D@/lax -olisten=YES -olisten_address=@LAX@",
        "vsftpd @D@/lax -olisten=YES -olisten_address=@LAX@ -olisten_port=2100 -oanonymous_enable=NO",
        "vsftpd @D@/lax -olisten_ipv6=YES -olisten_address6=@LAX6@",
        "vsftpd @D@/strict -olisten=YES -olisten_address=@STRICT@",
    ),
    {
        "lax": "background=NO\nanonymous_enable=YES\nanon_root=@D@/pub\nlocal_enable=YES\nsecure_chroot_dir=@D@/empty\n",
        "strict": "background=NO\nanonymous_enable=NO\nlocal_enable=YES\nsecure_chroot_dir=@D@/empty\nssl_enable=YES\n"
        "force_local_logins_ssl=YES\nrsa_cert_file=@TLS@/good.pem\nrsa_private_key_file=@TLS@/good.key\n",
    },
    setup="mkdir -p empty pub",
)

OPENSSH = Server(
    "openssh",
    ("sshd", "ssh-keygen"),
    ("@LAX@:22", "[@LAX6@]:22", "@LAX@:8443"),
    ("/usr/sbin/sshd -D -e -f @D@/conf",),
    {"conf": "ListenAddress @LAX@:22\nListenAddress [@LAX6@]:22\nListenAddress @LAX@:8443\nHostKey @D@/key\n"},
    setup="mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f key",
)

NGINX = Server(
    "nginx",
    ("nginx",),
    (
        "@LAX@:80",
        "[@LAX6@]:80",
        "@LAX@:443",
        "@LAX@:8080",
        "@LAX@:1521",
        "@STRICT@:443",
        "@STRICT@:8444",
        "@STRICT@:8445",
        "@STRICT@:3306",
    ),
    ("nginx -c @D@/conf -e stderr",),
    {
        "conf": """
daemon off;
worker_processes 1;
pid @D@/pid;
events {}
http {
  access_log off;
  client_body_temp_path @D@/t1; proxy_temp_path @D@/t2; fastcgi_temp_path @D@/t3; uwsgi_temp_path @D@/t4;
  scgi_temp_path @D@/t5;
  server {
    listen @LAX@:80; listen [@LAX6@]:80;
    location / { return 200 "<title>careless</title>"; }
  }
  server {
    listen @LAX@:8080;
    auth_basic "staff"; auth_basic_user_file @D@/users;
  }
  server {
    listen @LAX@:443 ssl;
    ssl_certificate @TLS@/good.pem; ssl_certificate_key @TLS@/good.key;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;
  }
  server {
    listen @LAX@:1521 ssl;
    ssl_certificate @TLS@/expired.pem; ssl_certificate_key @TLS@/expired.key; ssl_protocols TLSv1.3;
  }
  server {
    listen @STRICT@:443 ssl; listen @STRICT@:3306; server_tokens off;
    ssl_certificate @TLS@/issued.pem; ssl_certificate_key @TLS@/issued.key; ssl_protocols TLSv1.2 TLSv1.3;
  }
  server {
    listen @STRICT@:8444 ssl; server_tokens off;
    ssl_certificate @TLS@/ending.pem; ssl_certificate_key @TLS@/ending.key; ssl_protocols TLSv1.2 TLSv1.3;
  }
  server {
    listen @STRICT@:8445 ssl; server_tokens off;
    ssl_certificate @TLS@/future.pem; ssl_certificate_key @TLS@/future.key; ssl_protocols TLSv1.2 TLSv1.3;
  }
}
"""
    },
)

REDIS_OPTIONS = '--save "" --dir /tmp --port'
REDIS_KEYS = (
    "--tls-auth-clients no --tls-cert-file @TLS@/good.pem --tls-key-file @TLS@/good.key --tls-ca-cert-file @TLS@/good.pem"
)
REDIS = Server(
    "redis",
    ("redis-server",),
    ("@LAX@:6379", "[@LAX6@]:6379", "@LAX@:4443", "@LAX@:7777", "@STRICT@:6379"),
    (
        f"redis-server {REDIS_OPTIONS} 6379 --bind @LAX@ @LAX6@ --protected-mode no",
        f"redis-server {REDIS_OPTIONS} 0 --bind @LAX@ --protected-mode no --tls-port 4443 {REDIS_KEYS}",
        f"redis-server {REDIS_OPTIONS} 7777 --bind @LAX@ --protected-mode yes",
        f"redis-server {REDIS_OPTIONS} 6379 --bind @STRICT@ --requirepass secret",
    ),
)

MEMCACHED = Server(
    "memcached",
    ("memcached",),
    ("@LAX@:11211", "[@LAX6@]:11211", "@LAX@:27017"),
    (
        "memcached -u nobody -m 16 -t 1 -l @LAX@,@LAX6@ -p 11211",
        "memcached -u nobody -m 16 -t 1 -l @LAX@ -p 27017",
    ),
)

PG = "setpriv --reuid=postgres --regid=postgres --init-groups"
POSTGRESQL = Server(
    "postgresql",
    ("pg_lsclusters",),
    ("@LAX@:5432", "[@LAX6@]:5432", "@STRICT@:5432"),
    (
        f"{PG} bin/postgres -D lax -k @D@ -c listen_addresses=@LAX@,@LAX6@",
        f"{PG} bin/postgres -D strict -k /tmp -c listen_addresses=@STRICT@",
    ),
    {
        "small": "fsync = off\nshared_buffers = 8MB\n",
        "encrypted": "ssl = on\nssl_cert_file = '@TLS@/good.pem'\nssl_key_file = '@D@/key'\n",
    },
    setup=f"""
ln -s $(ls -d /usr/lib/postgresql/*/bin | tail -1) bin
cp @TLS@/good.key key; chown postgres . key; chmod 600 key
{PG} bin/initdb -A scram-sha-256 -N --pwfile=/etc/hostname lax >/dev/null
echo 'host all all 0.0.0.0/0 scram-sha-256' >> lax/pg_hba.conf
cat small >> lax/postgresql.conf
cp -a lax strict
cat encrypted >> lax/postgresql.conf
""",
)

MARIADB = Server(
    "mariadb",
    ("mariadbd", "mysql_install_db"),
    ("@LAX@:3306", "@LAX@:13306"),
    ("mariadbd --defaults-file=@D@/conf",),
    {
        "conf": "[mariadbd]\nuser=mysql\ndatadir=@D@/data\nsocket=@D@/sock\nbind-address=@LAX@\nport=3306\nextra-port=13306\n"
        "max-connect-errors=1000000\ninnodb-buffer-pool-size=8M\n"
    },
    # A server without an account for the asking address says no more than that.
    setup="""
chown mysql .
mysql_install_db --no-defaults --user=mysql --datadir=@D@/data --skip-test-db >/dev/null
mariadbd --no-defaults --user=mysql --datadir=@D@/data --bootstrap <<'SQL'
use mysql;
flush privileges;
create user somebody@'%' identified by 'secret';
SQL
""",
)

SLAPD_CONF = """
include /etc/ldap/schema/core.schema
pidfile @D@/pid-{name}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile @TLS@/good.pem
TLSCertificateKeyFile @TLS@/good.key
{more}
database mdb
suffix dc=world,dc=test
rootdn cn=admin,dc=world,dc=test
rootpw secret
directory @D@/{name}
access to * by * {access}
"""
SLAPD_STRICT = """
security simple_bind=128
disallow bind_anon
require authc
TLSProtocolMin 3.3
TLSCipherSuite SECURE256:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3
"""
SLAPD = Server(
    "slapd",
    ("slapd", "slapadd"),
    ("@LAX@:389", "@LAX@:636", "@LAX@:3268", "[@LAX6@]:389", "@STRICT@:389"),
    (
        "slapd -d 0 -u openldap -f @D@/conf-lax -h 'ldap://@LAX@:389/ ldaps://@LAX@:636/ ldap://[@LAX6@]:389/'",
        "slapd -d 0 -u openldap -f @D@/conf-closed -h ldap://@LAX@:3268/",
        "slapd -d 0 -u openldap -f @D@/conf-strict -h ldap://@STRICT@:389/",
    ),
    {
        "entry": "dn: dc=world,dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: world\no: World\n",
        "conf-lax": SLAPD_CONF.format(name="lax", access="read", more=""),
        "conf-closed": SLAPD_CONF.format(name="closed", access="auth", more=""),
        "conf-strict": SLAPD_CONF.format(name="strict", access="auth", more=SLAPD_STRICT),
    },
    setup="""
mkdir lax closed strict
slapadd -f conf-lax -l entry
slapadd -f conf-closed -l entry
chown -R openldap . lax closed strict
""",
)

NAMED = """
options {{ directory "@D@"; pid-file none; session-keyfile none; dnssec-validation no;
  forward only; forwarders {{ 127.0.0.9; }}; {more} }};
controls {{}};
"""
BIND = Server(
    "bind",
    ("named",),
    ("@LAX@:53", "@LAX@:5300", "[@LAX6@]:53", "@STRICT@:53"),
    ("named -f -g -n 1 -c @D@/lax", "named -f -g -n 1 -c @D@/strict"),
    {
        "lax": NAMED.format(
            more="recursion yes; allow-recursion { any; }; listen-on port 53 { @LAX@; }; listen-on port 5300 { @LAX@; }; "
            "listen-on-v6 { @LAX6@; };"
        ),
        "strict": NAMED.format(more="recursion no; version none; listen-on { @STRICT@; }; listen-on-v6 { none; };"),
    },
)

XVNC = "Xvnc -AlwaysShared -geometry 320x200 -depth 16 -BlacklistThreshold 100000 -nolisten unix"
TIGERVNC = Server(
    "tigervnc",
    ("Xvnc",),
    ("@LAX@:5900", "@LAX@:5909", "@STRICT@:5900"),
    (
        f"{XVNC} :40 -interface @LAX@ -rfbport 5900 -SecurityTypes None",
        f"{XVNC} :41 -interface @LAX@ -rfbport 5909 -SecurityTypes VncAuth -PasswordFile @D@/password",
        f"{XVNC} :42 -interface @STRICT@ -rfbport 5900 -SecurityTypes TLSVnc -PasswordFile @D@/password",
    ),
    setup=r"printf '\333\203\054\375\166\001\245\020' > password",
)

SMB_CONF = """
[global]
server role = standalone server
bind interfaces only = yes
interfaces = {address}
disable spoolss = yes
lock directory = @D@/{name}
state directory = @D@/{name}
cache directory = @D@/{name}
private dir = @D@/{name}
ncalrpc dir = @D@/{name}-rpc
pid directory = @D@/{name}
{more}
"""
SAMBA = Server(
    "samba",
    ("smbd",),
    ("@LAX@:445", "@LAX@:139", "@STRICT@:445"),
    (
        "smbd -F --no-process-group -s @D@/conf-lax --debug-stdout",
        "smbd -F --no-process-group -s @D@/conf-strict --debug-stdout",
    ),
    {
        "conf-lax": SMB_CONF.format(name="lax", address="@LAX@", more="map to guest = Bad User\nserver min protocol = NT1"),
        "conf-strict": SMB_CONF.format(
            name="strict", address="@STRICT@", more="restrict anonymous = 2\nserver signing = mandatory"
        ),
    },
    setup="mkdir -p lax strict lax-rpc strict-rpc /run/samba",
)

SERVERS = (
    DOVECOT,
    POSTFIX,
    VSFTPD,
    OPENSSH,
    NGINX,
    REDIS,
    MEMCACHED,
    POSTGRESQL,
    MARIADB,
    SLAPD,
    BIND,
    TIGERVNC,
    SAMBA,
)
