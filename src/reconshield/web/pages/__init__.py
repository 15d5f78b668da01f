"""Pages for people, one file a noun; the order is that in which addresses are compared."""

from reconshield.web.pages import account, alerts, catalogue, entry, exposures, firewall, grants, policy

ROUTERS = (
    entry.ROUTER,
    catalogue.ROUTER,
    exposures.ROUTER,
    alerts.ROUTER,
    firewall.ROUTER,
    grants.ROUTER,
    policy.ROUTER,
    account.ROUTER,
)
