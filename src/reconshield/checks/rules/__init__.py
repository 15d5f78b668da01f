"""Every check there is, in the order in which findings are listed for one endpoint. A new file needs one line here."""

from reconshield.checks.check import Check
from reconshield.checks.rules import (
    amplification,
    anonymous,
    banner,
    cleartext,
    end_of_life,
    known_vulnerability,
    management,
    no_auth,
    open_apis,
    recursion,
    remote_control,
    small_services,
    smb,
    ssh,
    tls,
    unexpected_port,
    web,
)

CHECKS: tuple[Check, ...] = (
    *known_vulnerability.CHECKS,
    *no_auth.CHECKS,
    *open_apis.CHECKS,
    *anonymous.CHECKS,
    *cleartext.CHECKS,
    *recursion.CHECKS,
    *amplification.CHECKS,
    *smb.CHECKS,
    *management.CHECKS,
    *web.CHECKS,
    *remote_control.CHECKS,
    *small_services.CHECKS,
    *end_of_life.CHECKS,
    *ssh.CHECKS,
    *tls.CHECKS,
    *unexpected_port.CHECKS,
    *banner.CHECKS,
)
