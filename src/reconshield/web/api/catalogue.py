"""Ports and services: the same documents as `reconshield port --json` and `ports --json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict, cast

from fastapi import Path, Query, Response

from reconshield.errors import UserError
from reconshield.knowledge.profile import Profile, find_port, profile, profile_by_name
from reconshield.knowledge.render import markdown, profile_data
from reconshield.knowledge.search import hit_data, search
from reconshield.report.line_types import RiskPart
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import Api, media
from reconshield.web.door import ApiViewer
from reconshield.web.failures import Missing

ROUTER = Api("Ports and services")
PortName = Annotated[str, Path(description="A number (0-65535), or the name of a service.")]
Transport = Literal["tcp", "udp"]


class LowerPart(TypedDict):
    """Something that would lower a risk, and the score then."""

    score: int
    rating: str
    text: str
    arithmetic: str


class ProfileRiskPart(RiskPart):
    """The risk of a port with its arithmetic, and what would lower it."""

    would_lower: list[LowerPart]


class ProfilePart(TypedDict):
    """What a port is. `sections` are those of the page: answer, do, understand, abuse, defence, check, faq and others."""

    port: int
    transport: Transport
    service: str | None
    name: str
    registered: dict[str, list[str]]
    risk: ProfileRiskPart
    sections: dict[str, Any]


class ShortRiskPart(TypedDict):
    """A score without its arithmetic."""

    score: int
    rating: str


class HitPart(TypedDict):
    """An endpoint of the catalogue. What only the registry knows has neither service nor risk."""

    port: int
    transport: Transport
    service: str | None
    name: str
    clusters: list[str]
    risk: ShortRiskPart | None


@ROUTER.get("/ports")
def search_ports(
    call: ApiViewer,
    page: Paged,
    q: Annotated[str, Query(max_length=200, description="Number, name, product, rating, ATT&CK id, any word.")] = "",
    cluster: Annotated[str | None, Query(max_length=64)] = None,
    risk: Annotated[Literal["critical", "high", "medium", "low"] | None, Query()] = None,
) -> Page[HitPart]:
    """Search the catalogue of ports and services; without a question all of it. The best hit comes first."""
    del call
    hits = list(enumerate(search(q.strip(), cluster, risk).hits))
    return page.cut(hits, lambda row: (row[0],), lambda row: cast("HitPart", hit_data(row[1])))


@ROUTER.get("/ports/{port}")
def read_port(call: ApiViewer, port: PortName, transport: Transport | None = None) -> list[ProfilePart]:
    """What a port or service is, how bad it is to expose it, and what to do: one document a transport, the likelier first."""
    del call
    return [cast("ProfilePart", profile_data(found)) for found in find_profiles(port, transport)]


@ROUTER.get("/ports/{port}/page")
@media({"text/markdown": "Markdown", "text/html": "One page of HTML that needs nothing else."})
def read_port_page(
    call: ApiViewer,
    port: PortName,
    transport: Transport | None = None,
    format: Literal["markdown", "html"] = "markdown",  # noqa: A002
) -> Response:
    """The same for people."""
    del call
    profiles = find_profiles(port, transport)
    if format == "markdown":
        return Response("\n".join(markdown(found) for found in profiles), media_type="text/markdown")
    from reconshield.report.site.page import page_html

    headers = {"content-disposition": f'attachment; filename="port-{profiles[0].port}.html"'}
    return Response(page_html(profiles), media_type="text/html", headers=headers)


def find_profiles(name: str, transport: str | None) -> tuple[Profile, ...]:
    """By number or name; a name that nothing has is missing, and near ones are said."""
    try:
        number = find_port(name[:64])
        return profile_by_name(name[:64], transport) if number is None else profile(number, transport)
    except UserError as error:
        missing = Missing("port")
        missing.hint = error.hint
        raise missing from error
