"""All probes, in one visible list: every module's `PROBE`, and its `UDP` where it has one. A test compares it with the files.

Order does not matter: `order` decides who asks first.
"""

from reconshield.identify.probes import (
    dns,
    echo,
    ftp,
    http,
    imap,
    ldap,
    memcached,
    mysql,
    pop3,
    postgresql,
    rdp,
    redis,
    smb,
    smtp,
    ssh,
    telnet,
    vnc,
)

PROBES = (
    dns.PROBE,
    dns.UDP,
    echo.PROBE,
    echo.UDP,
    ftp.PROBE,
    http.PROBE,
    imap.PROBE,
    ldap.PROBE,
    memcached.PROBE,
    memcached.UDP,
    mysql.PROBE,
    pop3.PROBE,
    postgresql.PROBE,
    rdp.PROBE,
    redis.PROBE,
    smb.PROBE,
    smtp.PROBE,
    ssh.PROBE,
    telnet.PROBE,
    vnc.PROBE,
)
