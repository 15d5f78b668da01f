"""What to ask an application next: one well-known read-only GET that tells its version, or whether it wants a login.

`further_paths` is for pages that say nothing (a bare 404, an empty 200): APIs whose front page is empty but which answer one
path that everybody knows. `question_for` is for an application that was recognised. A path at level 4 only shows whether a
login is wanted: its answer is content that a login should guard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from reconshield.identify.applications.page import Application, Page

VERSION = r"(\d[\w.+~-]{0,40})"


@dataclass(frozen=True, slots=True)
class Question:
    """One GET. `version` is looked for in the body of a 200. `guarded`: the path is content, so a 200 means no login."""

    application: str
    path: str
    version: str = ""
    guarded: bool = False
    level: int = 3


QUESTIONS = (
    Question("docker", "/version", r'"Version":"' + VERSION, guarded=True),
    Question("kubernetes", "/version", r'"gitVersion":\s?"v' + VERSION),
    Question("kubernetes", "/api/v1/namespaces?limit=1", guarded=True, level=4),
    Question("etcd", "/version", r'"etcdserver":"' + VERSION),
    Question("etcd", "/metrics", level=4),
    Question("docker-registry", "/v2/", guarded=True),
    Question("portainer", "/api/status", r'"Version":"' + VERSION),
    Question("vault", "/v1/sys/health", r'"version":"' + VERSION),
    Question("consul", "/v1/agent/self", r'"Version":\s?"' + VERSION, guarded=True, level=4),
    Question("nomad", "/v1/agent/self", r'"Version":\s?"' + VERSION, guarded=True, level=4),
    Question("couchdb", "/_all_dbs", guarded=True, level=4),
    Question("influxdb", "/query?q=SHOW+DATABASES", guarded=True, level=4),
    Question("clickhouse", "/?query=SELECT+version()", r"^" + VERSION + r"\n$", guarded=True, level=4),
    Question("kibana", "/api/status", r'"number":"' + VERSION, guarded=True),
    Question("solr", "/solr/admin/info/system?wt=json", r'"solr-spec-version":"' + VERSION, guarded=True),
    Question("nats-monitoring", "/varz", r'"version":\s?"' + VERSION, guarded=True),
    Question("apache-hadoop-yarn", "/ws/v1/cluster/info", r'"hadoopVersion":"' + VERSION, guarded=True),
    Question("flink", "/config", r'"flink-version":"' + VERSION, guarded=True),
    Question("grafana", "/api/health", r'"version":\s?"' + VERSION),
    Question("grafana", "/api/search?limit=1", guarded=True, level=4),
    Question("prometheus", "/api/v1/status/buildinfo", r'"version":"' + VERSION, guarded=True),
    Question("alertmanager", "/api/v2/status", r'"version":"' + VERSION, guarded=True),
    Question("node-exporter", "/metrics", r'node_exporter_build_info\{[^}]{0,300}\bversion="' + VERSION, guarded=True),
    Question("blackbox-exporter", "/metrics", r'blackbox_exporter_build_info\{[^}]{0,300}\bversion="' + VERSION, guarded=True),
    Question("snmp-exporter", "/metrics", r'snmp_exporter_build_info\{[^}]{0,300}\bversion="' + VERSION, guarded=True),
    Question("pushgateway", "/metrics", r'pushgateway_build_info\{[^}]{0,300}\bversion="' + VERSION, guarded=True),
    Question("exporter", "/metrics", r'_exporter_build_info\{[^}]{0,300}\bversion="' + VERSION, guarded=True),
    Question("minio", "/minio/health/live"),
    Question("jupyter", "/api", r'"version":\s?"' + VERSION),
    Question("jupyter", "/api/contents?content=0", guarded=True, level=4),
    Question("cups", "/jobs/", guarded=True, level=4),
    Question("nextcloud", "/status.php", r'"versionstring":"' + VERSION),
    Question("jellyfin", "/System/Info/Public", r'"Version":"' + VERSION),
    Question("plex", "/identity", r' version="' + VERSION),
    Question("sonarqube", "/api/server/version", r"^" + VERSION + r"$"),
    Question("elasticsearch", "/_cluster/health", guarded=True, level=4),
    Question("opensearch", "/_cluster/health", guarded=True, level=4),
)

FRONT_IS_CONTENT = frozenset({"elasticsearch", "opensearch", "kubelet", "jenkins", "prometheus"})
"""Applications that show their front page, or the one asked instead, only to whoever may use them.
Not Kubernetes: it tells its version to everybody by default (the role system:public-info-viewer)."""

VAULT_STATES = (429, 472, 473, 501, 503)
"""How Vault says "standby", "not initialised", "sealed", with the same body as a 200."""

BY_PORT = {
    2375: "/version",
    2376: "/version",
    2379: "/version",
    2380: "/version",
    4001: "/version",
    5000: "/v2/",
    5985: "/wsman",
    5986: "/wsman",
    6443: "/version",
    8200: "/v1/sys/health",
    8500: "/v1/agent/self",
    10250: "/healthz",
    10255: "/healthz",
}
"""What is asked on the usual ports of APIs whose front page says nothing."""


def further_paths(page: Page, port: int) -> tuple[str, ...]:
    """Paths worth a GET after a front page that nothing recognised; none after an ordinary page."""
    silent = not page.body.strip() or page.body.startswith("404 page not found")  # Go's own words
    if page.status not in (200, 401, 403, 404) or page.is_page or not (silent or port in BY_PORT):
        return ()
    wanted = [BY_PORT[port]] if port in BY_PORT else []
    if silent and page.status in (200, 404):
        wanted.append("/version" if page.status == 404 else "/v2/")
    return tuple(dict.fromkeys(wanted))


def question_for(application: str, level: int) -> Question | None:
    """The GET that says more about an application, at this level."""
    return next((q for q in QUESTIONS if q.application == application and q.level == level), None)


def read_front(application: Application, page: Page) -> dict[str, Any]:
    """Whether the page by which an application was recognised shows that it wants a login."""
    if page.status in (401, 407) or re.search(r"log-?in|sign[_-]?in", page.headers.get("location", ""), re.IGNORECASE):
        return {"auth": "required"}
    if application.name not in FRONT_IS_CONTENT:
        return {}
    return {"auth": "none"} if page.status == 200 else {"auth": "required"} if page.status == 403 else {}


def read_answer(question: Question, page: Page, application: Application) -> tuple[Application, dict[str, Any]]:
    """The application with its version, and whether the answer shows that it wants a login."""
    facts: dict[str, Any] = {}
    if question.guarded and page.status == 200 and "Web Interface is Disabled" not in page.title:  # which CUPS says as a 200
        facts["auth"] = "none"
    elif question.guarded and page.status in (401, 403, 407):
        facts["auth"] = "required"
    if page.status == 200 and question.path == "/metrics" and "# HELP " in page.body:
        facts["metrics"] = True
    told = page.status == 200 or (application.name == "vault" and page.status in VAULT_STATES)
    found = re.search(question.version, page.body) if question.version and told else None
    return (replace(application, version=found[1]) if found else application), facts
