"""`reconshield serve`: the web app and the API on this machine."""

from __future__ import annotations

import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.errors import UserError
from reconshield.web.server import LOOPBACK_PORT, Tls, check_tls, listen

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation

LINK_SECONDS = 900.0


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(metavar="H", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(metavar="N", min=0, max=65535, help="Port (8110, or the next free one).")] = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Policy file (reconshield.toml here or in home).")] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain in PEM; wants --tls-key.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    proxy: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="A reverse proxy with TLS.")] = None,
    plain_http: Annotated[bool, typer.Option("--plain-http", help="Serve elsewhere than loopback without TLS.")] = False,
    scan_me: Annotated[bool, typer.Option("--scan-me", help="Let visitors measure their own address at /me.")] = False,
) -> None:
    """Serve the web app and the API. The first start prints a link that makes the first account."""
    from reconshield.jobs.policy import locate_policy
    from reconshield.store.db import open_store

    call: Invocation = ctx.obj
    tls = read_tls(tls_cert, tls_key)
    check_exposure(host, tls, proxies=bool(proxy), plain_http=plain_http)
    listening = listen(host, LOOPBACK_PORT if port is None else port, next_free=port is None)
    number = listening.getsockname()[1]
    if port is None and number != LOOPBACK_PORT:
        call.tell(f"port {LOOPBACK_PORT} is taken; this is {number}")
    with open_store(call.settings.db, call.settings.workspace) as store:
        address = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{number}"
        from reconshield.jobs import accounts

        if accounts.list_members(store):
            call.print(f"app      {address}/")
        else:
            code = accounts.setup_link(store, time.time(), LINK_SECONDS)
            call.print(f"app      {address}/setup/{code}   sign-in link, once, for 15 min")
        sys.stdout.flush()
        from reconshield.jobs.live import LiveScans
        from reconshield.web.call import Site
        from reconshield.web.client import read_proxies
        from reconshield.web.server import run

        site = Site(
            settings=call.settings,
            store=store,
            live=LiveScans(),
            proxies=read_proxies(" ".join(proxy or ())),
            secure=tls is not None or bool(proxy),
            names=names_of(host, served=tls is not None or bool(proxy)),
            scan_me=scan_me,
            policy_file=locate_policy(call.settings.home, policy),
        )
        run(site, listening, tls)


def read_tls(certificate: Path | None, key: Path | None) -> Tls | None:
    """Both files, or neither."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UserError(
            "a certificate needs its key, and the key its certificate", where="serve", hint="--tls-cert FILE --tls-key FILE"
        )
    tls = Tls(certificate, key)
    check_tls(tls)
    return tls


def names_of(host: str, *, served: bool) -> frozenset[str] | None:
    """On loopback only this machine is meant: no page of another site may reach the app by a name that it turns to loopback."""
    if served or not ip_address(host).is_loopback:
        return None
    return frozenset({host, "127.0.0.1", "localhost", "::1"})


def check_exposure(host: str, tls: Tls | None, *, proxies: bool, plain_http: bool) -> None:
    """Passwords must not cross a network in clear text unless somebody says that they may."""
    try:
        address = ip_address(host)
    except ValueError as error:
        raise UserError("this is no address to listen on", where=f"--host {host}", hint="--host 127.0.0.1") from error
    if address.is_loopback or tls or proxies or plain_http:
        return
    hint = "--tls-cert FILE --tls-key FILE, or --proxy ADDRESS of a reverse proxy with TLS; or --plain-http if that is meant"
    raise UserError("passwords would cross the network in clear text", where=f"--host {host}", hint=hint)
