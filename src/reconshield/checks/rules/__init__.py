"""Every check there is, in the order in which findings are listed for one endpoint. A new file needs one line here."""

from reconshield.checks.check import Check
from reconshield.checks.rules import anonymous, banner, cleartext, no_auth, recursion, remote_control, smb, tls

CHECKS: tuple[Check, ...] = (
    *no_auth.CHECKS,
    *anonymous.CHECKS,
    *cleartext.CHECKS,
    *recursion.CHECKS,
    *smb.CHECKS,
    *remote_control.CHECKS,
    *tls.CHECKS,
    *banner.CHECKS,
)
