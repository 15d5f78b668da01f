"""The catalogue in the app: the pages of the site, and on the page of a port the reader's own network.

What the catalogue says is the same for everybody and is rendered once a port; what stands around it and the panel with the
reader's exposures are put in for each request.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from reconshield.knowledge.catalog import load_catalog
from reconshield.knowledge.index import load_index
from reconshield.knowledge.names import find_endpoints
from reconshield.knowledge.search import Found, search
from reconshield.report.site import indexes
from reconshield.web.call import Call
from reconshield.web.door import Operator, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import around, catalogue_environment, render
from reconshield.web.port_page import answer_with, make_page, recall_page
from reconshield.web.port_panel import analyze, panel_html
from reconshield.web.runs import exact_run

ROUTER = APIRouter(include_in_schema=False)
SUGGESTED = 8


@ROUTER.get("/ports")
def ports(call: Viewer) -> Response:
    rows = indexes.all_rows()
    groups, blocks = indexes.port_groups(rows), indexes.number_blocks()
    return listing(call, "ports", "Ports", indexes.LEAD_PORTS, groups=groups, blocks=blocks)


@ROUTER.get("/ports/risk")
def risk(call: Viewer) -> Response:
    return listing(call, "ports", "Ports by risk", indexes.RISK_NOTE, groups=list(indexes.rating_groups(indexes.all_rows())))


@ROUTER.get("/ports/attack")
def attack(call: Viewer) -> Response:
    lead = indexes.attack_lead()
    return show(call, "attack.html.j2", "ports", title="ATT&CK", lead=lead, rows=indexes.attack_rows())


@ROUTER.get("/ports/numbers/{block}")
def numbers(call: Viewer, block: int) -> Response:
    if not 0 <= block < 65536 // indexes.BLOCK:
        raise Missing(f"block {block}")
    return show(call, "numbers.html.j2", "ports", **indexes.numbers_values(block))


@ROUTER.get("/ports/{port}")
async def port(call: Viewer, port: str) -> Response:
    """The page of a number; a service's name leads to its own page. One that is ready is given without waiting for a thread."""
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65536):
        found = await run_in_threadpool(find_endpoints, port[:64])
        if not found:
            raise Missing(f"port {port[:64]}")
        return RedirectResponse(f"/ports/{found[0].port}", 303)
    ready = recall_page(call, int(port))
    ready = ready if ready is not None else await run_in_threadpool(make_page, call, int(port))
    return answer_with(ready, call.request)


@ROUTER.get("/ports/{port}/panel")
def panel(call: Viewer, port: int, run: str = "") -> Response:
    """The panel alone, for its place on the page; `run` is a scan that was started from it."""
    if not 0 <= port < 65536:
        raise Missing(f"port {port}")
    return HTMLResponse(panel_html(call, port, exact_run(call, run).id if run else ""))


@ROUTER.post("/ports/{port}/analyze")
def analyze_port(call: Operator, port: int) -> Response:
    """Measure just this port on everything that grants cover."""
    if not 0 <= port < 65536:
        raise Missing(f"port {port}")
    run = analyze(call, port)
    if call.request.headers.get("hx-request"):
        return HTMLResponse(panel_html(call, port, run))
    return RedirectResponse(f"/scans/{run}", 303)


@ROUTER.get("/services")
def services(call: Viewer) -> Response:
    return listing(call, "ports", "Services", "Every documented service, by name.", groups=list(indexes.service_groups()))


@ROUTER.get("/services/{name}")
def service(call: Viewer, name: str) -> Response:
    index, catalog = load_index(), load_catalog()
    found = find_endpoints(name[:64])
    wanted = name if name in index.services else found[0].service if found else None
    if wanted is None:
        raise Missing(f"service {name[:64]}")
    summary, entry = index.services[wanted], catalog.services[wanted]
    group = indexes.Group("ports", "Ports", "", tuple((row, summary) for row in summary.endpoints))
    return show(call, "service.html.j2", "ports", title=summary.name, service=summary, entry=entry, group=group)


@ROUTER.get("/clusters")
def clusters(call: Viewer) -> Response:
    lead = "Ports that belong together. Who runs one of a cluster usually runs others of it."
    found = indexes.clusters(indexes.all_rows())
    return show(call, "clusters.html.j2", "ports", title="Clusters", lead=lead, clusters=found)


@ROUTER.get("/clusters/{name}")
def cluster(call: Viewer, name: str) -> Response:
    found = next((group for group in indexes.clusters(indexes.all_rows()) if group.anchor == name), None)
    if found is None:
        raise Missing(f"cluster {name[:64]}")
    rows = tuple(sorted(found.rows, key=lambda pair: (-pair[0].score, pair[0].port, pair[0].transport)))
    group = indexes.Group("ports", "Ports", "", rows)
    return listing(call, "ports", found.heading, f"{len(rows)} documented endpoints, the worst first.", groups=[group])


@ROUTER.get("/search")
def find(call: Viewer, q: str = "") -> Response:
    """Everything that fits; a number leads to its page at once."""
    text = q.strip()[:200]
    if text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) < 65536:
        return RedirectResponse(f"/ports/{int(text)}", 303)
    found = search(text) if text else Found(())
    return HTMLResponse(render(call, "search_results.html.j2", "ports", title="Search", query=text, found=found))


@ROUTER.get("/search/suggest")
def suggest(call: Viewer, q: str = "") -> Response:
    """The first hits, for the list under the search field."""
    text = q.strip()[:200]
    found = search(text).hits[:SUGGESTED] if text else ()
    return HTMLResponse(render(call, "suggest.html.j2", hits=found))


def listing(call: Call, here: str, title: str, lead: str, **values: Any) -> Response:
    return show(call, "list.html.j2", here, title=title, lead=lead, **values)


def show(call: Call, template: str, here: str, **values: Any) -> Response:
    """A page of the catalogue in the app's frame."""
    text = catalogue_environment().get_template(template).render(**around(call, here) | values)
    return HTMLResponse(text)
