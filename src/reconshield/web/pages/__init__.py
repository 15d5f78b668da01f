"""Pages for people, one file a noun; the order is that in which addresses are compared."""

from reconshield.web.pages import catalogue, entry

ROUTERS = (entry.ROUTER, catalogue.ROUTER)
