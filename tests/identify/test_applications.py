"""Applications told by their pages: a table of answers as servers give them, and what each shows. Nothing else is claimed."""

from __future__ import annotations

import pytest

from reconshield.identify.applications import further_paths, question_for, read_answer, read_front, read_page, recognise
from reconshield.identify.applications.page import Application, join_chunks
from reconshield.identify.applications.questions import QUESTIONS
from reconshield.identify.applications.signs import SIGNS
from reconshield.identify.applications.table import RULES


def page(head: str, body: str = "", path: str = "/") -> bytes:
    del path
    return f"HTTP/1.1 {head}\r\n\r\n{body}".encode()


OK = "200 OK"
JSON = "200 OK\r\nContent-Type: application/json"
TABLE = [
    # answer, application, version, service
    (
        page("404 Not Found\r\nServer: Docker/20.10.24 (linux)", '{"message":"page not found"}\n'),
        "docker",
        "20.10.24",
        "docker",
    ),
    (page("404 Not Found", '{"message":"page not found"}\n'), "docker", None, "docker"),
    (
        page(
            "403 Forbidden",
            '{\n  "kind": "Status",\n  "apiVersion": "v1",\n  "metadata": {},\n  "status": "Failure",\n'
            '  "message": "forbidden: User \\"system:anonymous\\" cannot get path \\"/\\"",\n  "code": 403\n}',
        ),
        "kubernetes",
        None,
        "kubernetes",
    ),
    (page(JSON, '{\n  "paths": [\n    "/.well-known/openid-configuration",\n    "/api"]}'), "kubernetes", None, "kubernetes"),
    (
        page(JSON, '{"name":"n1","version":{"number":"8.5.0"},"tagline":"You Know, for Search"}'),
        "elasticsearch",
        None,
        "elasticsearch",
    ),
    (
        page(JSON, '{"version":{"distribution":"opensearch"},"tagline":"The OpenSearch Project: https://opensearch.org/"}'),
        "opensearch",
        None,
        "elasticsearch",
    ),
    (
        page('401 Unauthorized\r\nWWW-Authenticate: Basic realm="security" charset="UTF-8"', "{}"),
        "elasticsearch",
        None,
        "elasticsearch",
    ),
    (
        page(OK, "<title>PowerDNS Authoritative Server Monitor</title>\n<body><a href='/' id='appname'>PowerDNS 4.7.3</a>"),
        "powerdns",
        "4.7.3",
        "http",
    ),
    (page(OK, "<title>SNMP Exporter</title>"), "snmp-exporter", None, "http"),
    (page("400 Invalid header received from client", "Invalid header received from client.\n"), "privoxy", None, "http-proxy"),
    (page(OK, '<link rel="icon" href="/static/hgicon.png" type="image/png" />'), "mercurial", None, "http"),
    (page(JSON, '{"couchdb":"Welcome","version":"3.3.2","git_sha":"11a234070"}'), "couchdb", "3.3.2", "couchdb"),
    (page("404 Not Found\r\nX-Influxdb-Version: 1.8.10", "404 page not found\n"), "influxdb", "1.8.10", "influxdb"),
    (page("200 OK\r\nX-ClickHouse-Server-Display-Name: db1", "Ok.\n"), "clickhouse", None, "http"),
    (page(OK, "<html><head><title>Grafana</title></head></html>"), "grafana", None, "grafana"),
    (page("302 Found\r\nLocation: /login\r\nSet-Cookie: redirect_to=%2F; Path=/"), "grafana", None, "grafana"),
    (
        page(OK, "<title>Prometheus Time Series Collection and Processing Server</title>"),
        "prometheus",
        None,
        "prometheus",
    ),
    (page(OK, "<html><head><title>Node Exporter</title></head></html>"), "node-exporter", None, "node-exporter"),
    (page(OK, "<html><head><title>Redis Exporter</title></head></html>"), "exporter", None, "http"),
    (page("403 Forbidden\r\nX-Jenkins: 2.375.1\r\nServer: Jetty(10.0.12)"), "jenkins", "2.375.1", "http"),
    (page("200 OK\r\nServer: Nexus/3.45.0-01 (OSS)", "<html></html>"), "nexus", "3.45.0-01", "http"),
    (page("302 Found\r\nLocation: http://git.example/users/sign_in"), "gitlab", None, "http"),
    (page("200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: i_like_gitea=1"), "gitea", None, "http"),
    (page(OK, "<footer>Powered by Gitea\nVersion: 1.17.3\nPage: 2ms</footer>"), "gitea", "1.17.3", "http"),
    (page("401 Unauthorized\r\nServer: MiniServ/2.013", "<title>Login to Webmin</title>"), "webmin", "2.013", "http"),
    (page("200 OK\r\nServer: pve-api-daemon/3.0", "<html></html>"), "proxmox-ve", None, "http"),
    (page(OK, '<html><meta name="generator" content="WordPress 6.1.1" /></html>'), "wordpress", "6.1.1", "http"),
    (page(OK, "<html><title>Apache Tomcat/9.0.70</title></html>"), "tomcat", "9.0.70", "http"),
    (page("404 Not Found", "<html><body><h3>Apache Tomcat/10.1.6 (Debian)</h3></body></html>"), "tomcat", "10.1.6", "http"),
    (page("302 Found\r\nLocation: /tree?"), "jupyter", None, "http"),
    (page("302 Found\r\nLocation: http://192.0.2.5:8088/cluster"), "apache-hadoop-yarn", None, "yarn"),
    (page("400 Bad Request\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_INVALID_URL 0"), "squid", None, "http-proxy"),
    (page("400 Bad Request\r\nServer: tinyproxy/1.11.1"), "tinyproxy", "1.11.1", "http-proxy"),
    (page("200 OK\r\nServer: CUPS/2.4 IPP/2.1", "<TITLE>Home - CUPS 2.4.2</TITLE>"), "cups", "2.4.2", "ipp"),
    (page("200 OK\r\nServer: MinIO Console", "<title>MinIO Console</title>"), "minio", None, "http"),
    (page(OK, "<html><script>document.write(ID_EESX_Welcome)</script></html>"), "vmware-esxi", None, "http"),
    (page("200 OK\r\nServer: HPE-iLO-Server/1.30", "<title>iLO 5</title>"), "hpe-ilo", "1.30", "http"),
    (page("302 Found\r\nLocation: /+CSCOE+/logon.html"), "cisco-asa", None, "http"),
    (page(OK, "<html><title>RabbitMQ Management</title></html>"), "rabbitmq-management", None, "http"),
    # ordinary servers show no application
    (page("200 OK\r\nServer: nginx/1.22.1", "<html><title>Welcome to nginx!</title></html>"), None, None, ""),
    (page("200 OK\r\nServer: Apache/2.4.57 (Debian)", "<title>Apache2 Debian Default Page: It works</title>"), None, None, ""),
    (page("404 Not Found", "404 page not found\n"), None, None, ""),
    (page("200 OK", "a blog about Grafana, Jenkins and Kibana"), None, None, ""),
    (b"", None, None, ""),
]


@pytest.mark.parametrize(("answer", "name", "version", "service"), TABLE)
def test_page_shows_its_application(answer: bytes, name: str | None, version: str | None, service: str) -> None:
    found = recognise(read_page("/", answer))
    assert (found and (found.name, found.version, found.service)) == (name and (name, version, service))


def test_winrm_and_kubelet_are_told_by_their_own_path() -> None:
    answer = page("405 Method Not Allowed\r\nServer: Microsoft-HTTPAPI/2.0\r\nAllow: POST")
    wsman = recognise(read_page("/wsman", answer))
    assert wsman is not None
    assert wsman.service == "winrm"
    assert recognise(read_page("/", answer)) is None
    kubelet = recognise(read_page("/healthz", page("401 Unauthorized", "Unauthorized")))
    assert kubelet is not None
    assert kubelet.service == "kubelet"


@pytest.mark.parametrize(
    ("answer", "port", "paths"),
    [
        (page("404 Not Found", "404 page not found\n"), 2379, ("/version",)),
        (page("404 Not Found", "404 page not found\n"), 18000, ("/version",)),
        (page("200 OK"), 18000, ("/v2/",)),
        (page("404 Not Found", "<h2>Not Found</h2>"), 5985, ("/wsman",)),
        (page("404 Not Found", "<h1>Not Found</h1>"), 80, ()),
        (page("200 OK", "<html>hello</html>"), 5000, ()),
        (page("301 Moved"), 80, ()),
    ],
)
def test_only_a_silent_page_is_asked_further(answer: bytes, port: int, paths: tuple[str, ...]) -> None:
    assert further_paths(read_page("/", answer), port) == paths


VERSIONS = [
    ("docker", page(JSON, '{"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41"}'), "20.10.24+dfsg1", "none"),
    ("vault", page("503 Service Unavailable", '{"initialized":true,"sealed":true,"version":"1.12.2"}'), "1.12.2", None),
    ("grafana", page(JSON, '{"commit":"x","database":"ok","version":"9.3.6"}'), "9.3.6", None),
    ("prometheus", page(JSON, '{"status":"success","data":{"version":"2.42.0","revision":"x"}}'), "2.42.0", "none"),
    ("prometheus", page("401 Unauthorized"), None, "required"),
    ("nats-monitoring", page(JSON, '{"server_id":"N","version": "2.9.10"}'), "2.9.10", "none"),
    ("docker-registry", page("401 Unauthorized", "{}"), None, "required"),
]


@pytest.mark.parametrize(("name", "answer", "version", "auth"), VERSIONS)
def test_answer_tells_version_and_login(name: str, answer: bytes, version: str | None, auth: str | None) -> None:
    question = question_for(name, level=3)
    assert question is not None
    found, facts = read_answer(question, read_page(question.path, answer), Application(name, name))
    assert (found.version, facts.get("auth")) == (version, auth)


@pytest.mark.parametrize(
    ("name", "answer", "auth"),
    [
        ("jenkins", page("200 OK"), "none"),
        ("jenkins", page("403 Forbidden"), "required"),
        ("grafana", page("302 Found\r\nLocation: /login"), "required"),
        ("grafana", page("200 OK"), None),
    ],
)
def test_front_page_shows_whether_a_login_is_wanted(name: str, answer: bytes, auth: str | None) -> None:
    assert read_front(Application(name, name), read_page("/", answer)).get("auth") == auth


def test_table_is_sound() -> None:
    """Every question belongs to an application of the table; patterns hold at most one group and no unbounded repeat."""
    names = {rule.name for rule in RULES}
    assert {question.application for question in QUESTIONS} <= names
    assert all(question.path.startswith("/") for question in QUESTIONS)
    for line in SIGNS:
        assert "*)" not in line[1].replace(r"\s*)", ""), line
    assert all(rule.pattern.groups <= 1 for rule in RULES)
    assert {rule.kind for rule in RULES} == {"admin", "api", "app", "device", "metrics", "proxy", "server"}


def test_chunks_are_joined_as_far_as_they_came() -> None:
    assert join_chunks(b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n") == b"Wikipedia"
    assert join_chunks(b"ff\r\nonly a part") == b"only a part"
    assert join_chunks(b"no chunk at all") == b""


@pytest.mark.parametrize(
    ("answer", "auth"),
    [
        (page(OK, "<title>Jobs - CUPS 2.4.2</title>"), "none"),
        (page(OK, "<title>Web Interface is Disabled - CUPS v2.4.2</title>"), None),
        (page("401 Unauthorized"), "required"),
        (page("403 Forbidden"), "required"),
    ],
)
def test_a_print_server_shows_its_jobs_or_not(answer: bytes, auth: str | None) -> None:
    question = question_for("cups", level=4)
    assert question is not None
    _, facts = read_answer(question, read_page(question.path, answer), Application("cups", "CUPS"))
    assert facts.get("auth") == auth
