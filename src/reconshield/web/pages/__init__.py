"""Pages for people, one file a noun; the order is that in which addresses are compared."""

from reconshield.web.pages import (
    account,
    alerts,
    catalogue,
    detections,
    entry,
    evidence,
    exposures,
    firewall,
    grants,
    me,
    overview,
    policy,
    runs,
    scans,
)

ROUTERS = (
    entry.ROUTER,
    overview.ROUTER,
    catalogue.ROUTER,
    scans.ROUTER,
    runs.ROUTER,
    evidence.ROUTER,
    exposures.ROUTER,
    alerts.ROUTER,
    firewall.ROUTER,
    detections.ROUTER,
    grants.ROUTER,
    policy.ROUTER,
    account.ROUTER,
    me.ROUTER,
)
