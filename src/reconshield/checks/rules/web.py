"""What does a web page let strangers see or do: listings, consoles, metrics, a proxy; and is the way to log in protected?

From the pages that the HTTP probe was shown with plain GETs. Nothing is filled in, no path is guessed beyond the documented
ones of an application that was recognised.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement, fact_check
from reconshield.model import Service, Severity, Tls

WANTED_HEADERS = ("content-security-policy", "x-frame-options", "x-content-type-options")
DEVELOPMENT = ("Werkzeug httpd", "Python http.server", "WSGIServer", "PHP built-in server")
"""Servers that their own manuals keep for development (Werkzeug, Django's WSGIServer, Python's http.server)."""


def _is_web(service: Service) -> bool:
    return "status" in service.facts and "headers" in service.facts


def _named(service: Service) -> str:
    return str(service.product or service.facts.get("application") or service.facts.get("title") or "a console")


def _has(key: str, told: str) -> Callable[[Service, Context], Judgement | None]:
    def judge(service: Service, context: Context) -> Judgement | None:
        del context
        if service.facts.get(key) is not True:
            return None
        evidence = {name: service.facts[name] for name in ("application", "title", key) if name in service.facts}
        return Judgement(told.format(name=_named(service)), evidence)

    return judge


def _is_guarded(service: Service) -> bool:
    return service.facts.get("admin_panel") is True or service.facts.get("login_form") is True


def _headers(service: Service, context: Context) -> Judgement | None:
    """Judged only where somebody logs in or rules something; the probe lists the headers that are there."""
    del context
    present = service.facts.get("security_headers")
    if not isinstance(present, list) or not _is_guarded(service):
        return None
    wanted = [*WANTED_HEADERS, *(["strict-transport-security"] if service.tls is Tls.IMPLICIT else [])]
    # frame-ancestors of a content security policy does what X-Frame-Options did
    missing = [name for name in wanted if name not in present and not (name == "x-frame-options" and wanted[0] in present)]
    return Judgement(f"{_named(service)} sends no {', '.join(missing)}", {"missing": missing}) if missing else None


def _cookie(service: Service, context: Context) -> Judgement | None:
    """A cookie set with TLS but fit for connections without."""
    del context
    headers = service.facts.get("headers")
    cookie = str(headers.get("set-cookie", "")) if isinstance(headers, dict) else ""
    flags = {part.strip().partition("=")[0].lower() for part in cookie.split(";")[1:]}
    if not cookie or service.tls is not Tls.IMPLICIT or "secure" in flags:
        return None
    name = cookie.partition("=")[0].strip()[:60]
    return Judgement(f"the cookie {name} has no flag Secure", {"cookie": name, "flags": sorted(flags)})


def _development(service: Service, context: Context) -> Judgement | None:
    del context
    return Judgement(f"{service.product} answers", {"product": service.product}) if service.product in DEVELOPMENT else None


def _check(
    problem: str,
    title: str,
    severity: Severity,
    judge: Callable[[Service, Context], Judgement | None],
    remedy: str,
    refuted: str,
    attack: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
) -> Check:
    return Check(f"http-{problem}", title, severity, _is_web, judge, remedy, refuted, attack, references)


CHECKS = (
    _check(
        "directory-listing",
        "Lists the files of a directory",
        Severity.LOW,
        _has("directory_listing", "the front page is a list of files"),
        "Apache httpd: `Options -Indexes`; nginx: `autoindex off`; if it is meant, declare it in the policy",
        "the page is refused or is no list",
        ("T1595",),
    ),
    _check(
        "admin-panel",
        "A console for administrators can be reached from here",
        Severity.MEDIUM,
        _has("admin_panel", "{name} answered with its console or login page"),
        "allow it from a management network or a VPN only, in IPv4 and IPv6; require a second factor",
        "the console does not answer from this vantage",
        ("T1133", "T1190"),
        ("cisa-bod-23-02",),
    ),
    _check(
        "exposed-metrics",
        "Metrics can be read by everybody",
        Severity.LOW,
        _has("metrics", "{name} shows its metrics without a login"),
        "let only the monitoring server reach it, or require a login (Prometheus exporters: `--web.config.file`)",
        "the metrics are refused from this vantage",
        ("T1592.002",),
        ("prometheus-security",),
    ),
    _check(
        "missing-security-headers",
        "A page where people log in lacks protective headers",
        Severity.INFO,
        _headers,
        "send Content-Security-Policy (with frame-ancestors), X-Content-Type-Options: nosniff and, with TLS, "
        "Strict-Transport-Security",
        "the headers are there",
        references=("rfc6797",),
    ),
    _check(
        "insecure-cookie",
        "A cookie set with TLS may travel without",
        Severity.INFO,
        _cookie,
        "set cookies with `Secure; HttpOnly; SameSite=Lax`",
        "the cookie has the flag Secure, or none is set",
        ("T1557",),
    ),
    _check(
        "development-server",
        "A server made for development can be reached from here",
        Severity.LOW,
        _development,
        "put it behind a web server or bind it to 127.0.0.1; turn the debugger off",
        "another server answers, or none",
        ("T1190",),
        ("django-runserver",),
    ),
    fact_check(
        "http-proxy-open",
        "The HTTP proxy serves strangers",
        Severity.HIGH,
        service="http-proxy",
        fact=("open_proxy", True),
        seen="a request for a name that cannot exist was looked up instead of refused",
        remedy="Squid: `http_access deny all` after the rules for your own networks; other proxies: listen inside only",
        refuted="the same request is refused or a login is demanded",
        attack=("T1090",),
        references=("squid-security",),
    ),
)
