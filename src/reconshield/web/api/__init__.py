"""The API, one file a noun: JSON for programs, the same objects that the command line prints as JSON.

router        routes that say in their signature what the document needs; answers with tags
wishes        documents that requests bring, read strictly
paging        long lists by cursor
conditions    If-None-Match, If-Match
once          Idempotency-Key
openapi       the document, made from the routes
reference     the document as a page
"""

from fastapi import APIRouter

from reconshield.web.api import (
    accounts,
    alerts,
    catalogue,
    detections,
    events,
    exposures,
    firewall,
    grants,
    policy,
    reference,
    reports,
    results,
    scans,
    server,
)
from reconshield.web.api.router import Api

NOUNS: tuple[Api, ...] = (
    catalogue.ROUTER,
    grants.ROUTER,
    scans.ROUTER,
    events.ROUTER,
    results.ROUTER,
    reports.ROUTER,
    exposures.ROUTER,
    policy.ROUTER,
    firewall.ROUTER,
    detections.ROUTER,
    alerts.ROUTER,
    accounts.ROUTER,
    server.ROUTER,
)
ROUTERS: tuple[APIRouter, ...] = (*NOUNS, reference.ROUTER)
