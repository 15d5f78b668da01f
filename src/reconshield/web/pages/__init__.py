"""Pages for people, one file a noun; the order is that in which addresses are compared."""

from reconshield.web.pages import account, alerts, catalogue, detections, entry, exposures, firewall, grants, me, policy

ROUTERS = (
    entry.ROUTER,
    catalogue.ROUTER,
    exposures.ROUTER,
    alerts.ROUTER,
    firewall.ROUTER,
    detections.ROUTER,
    grants.ROUTER,
    policy.ROUTER,
    account.ROUTER,
    me.ROUTER,
)
