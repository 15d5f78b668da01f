"""Does an API or a console over HTTP answer without a login? One harmless GET was asked, and it was answered.

The service or the application behind HTTP must have been recognised by its own pages.
"""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement, fact_check
from reconshield.model import Service, Severity

CRITICAL, HIGH, MEDIUM, LOW = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW

APIS: dict[str, tuple[str, Severity, str]] = {
    "docker": (
        "The Docker API",
        CRITICAL,
        "remove `-H tcp://`; remote access by SSH contexts, or TLS with client certificates",
    ),
    "kubernetes": (
        "The Kubernetes API",
        HIGH,
        "`--anonymous-auth=false`, and no role for system:anonymous or system:unauthenticated",
    ),
    "kubelet": (
        "The kubelet API",
        CRITICAL,
        "`authentication.anonymous.enabled: false`, `authorization.mode: Webhook`, `readOnlyPort: 0`",
    ),
    "etcd": ("etcd", CRITICAL, "`--client-cert-auth` with a CA of its own, and `--listen-client-urls` on a private address"),
    "consul": ("Consul", CRITICAL, '`acl { enabled = true, default_policy = "deny" }`, `client_addr = "127.0.0.1"`'),
    "nomad": ("Nomad", CRITICAL, "`acl { enabled = true }` and mutual TLS; bind to a private address"),
    "docker-registry": ("The Docker registry", HIGH, "`auth: htpasswd` or a token service in config.yml, behind TLS"),
    "portainer": ("Portainer", HIGH, "set the administrator's password, and allow a management network only"),
    "elasticsearch": ("Elasticsearch", CRITICAL, "`xpack.security.enabled: true`, `network.host` on a private address"),
    "opensearch": ("OpenSearch", CRITICAL, "turn the security plug-in on and replace its demo certificates and users"),
    "kibana": ("Kibana", HIGH, "turn security on in Elasticsearch; Kibana then asks for a login"),
    "couchdb": (
        "CouchDB",
        CRITICAL,
        "set an administrator in local.ini, `require_valid_user = true`, `bind_address = 127.0.0.1`",
    ),
    "influxdb": ("InfluxDB", HIGH, "1.x: `[http] auth-enabled = true`; 2.x asks for a token by itself"),
    "clickhouse": (
        "ClickHouse",
        CRITICAL,
        "users.xml: a password for `default`, `<networks>` with listed hosts; listen_host private",
    ),
    "solr": ("Solr", HIGH, "security.json with BasicAuthPlugin and authorization; `SOLR_JETTY_HOST=127.0.0.1`"),
    "neo4j": ("Neo4j", CRITICAL, "`dbms.security.auth_enabled=true` and a password of your own"),
    "yarn": ("Hadoop YARN", CRITICAL, "Kerberos for Hadoop (`hadoop.security.authentication=kerberos`), and a private address"),
    "hdfs": ("Hadoop HDFS", HIGH, "Kerberos for Hadoop, and `hadoop.http.authentication.type=kerberos`"),
    "spark": ("Spark", CRITICAL, "`spark.authenticate=true`, `spark.ui.acls.enable=true`; private addresses only"),
    "flink": ("Flink", CRITICAL, "`rest.bind-address: localhost` and a proxy with a login; `web.submit.enable: false`"),
    "airflow": ("Airflow", HIGH, "an auth manager with users; no `AUTH_ROLE_PUBLIC`"),
    "jupyter": ("Jupyter", CRITICAL, "no empty `ServerApp.token`; `ServerApp.ip = 'localhost'` and an SSH tunnel"),
    "jenkins": ("Jenkins", HIGH, "turn security on; no rights for Anonymous beyond what is meant"),
    "sonarqube": ("SonarQube", MEDIUM, "force user authentication (sonar.forceAuthentication)"),
    "minio": ("MinIO", HIGH, "no anonymous policy on buckets (`mc anonymous set none`), and credentials of your own"),
    "prometheus": ("Prometheus", MEDIUM, "`--web.config.file` with basic_auth_users and TLS, or a proxy with a login in front"),
    "alertmanager": ("Alertmanager", MEDIUM, "`--web.config.file` with basic_auth_users and TLS"),
    "grafana": ("Grafana", MEDIUM, "`[auth.anonymous] enabled = false`; a password of your own for admin"),
    "rabbitmq-management": ("The RabbitMQ console", HIGH, "delete the user guest, and allow a management network only"),
    "activemq-console": ("The ActiveMQ console", HIGH, "a password of your own in jetty-realm.properties; bind to 127.0.0.1"),
    "mongo-express": ("mongo-express", CRITICAL, "ME_CONFIG_BASICAUTH with values of your own, and a private address"),
    "redis-commander": ("Redis Commander", CRITICAL, "HTTP_USER and HTTP_PASSWORD, and a private address"),
    "phpmyadmin": ("phpMyAdmin", CRITICAL, "`auth_type = 'cookie'`, no stored password; a management network only"),
    "node-red": ("Node-RED", CRITICAL, "`adminAuth` in settings.js"),
}
"""What it is, how bad it is when it obeys anybody, and how to make it ask for a login."""


def _judge_other(service: Service, context: Context) -> Judgement | None:
    """An application without a row of its own that showed a guarded page to nobody in particular."""
    del context
    name = service.facts.get("application")
    if not isinstance(name, str) or name in APIS or service.service != "http" or service.facts.get("auth") != "none":
        return None
    if service.facts.get("metrics") is True:  # has a check of its own
        return None
    return Judgement(
        f"{service.product or name} showed a page that a login should guard", {"application": name, "auth": "none"}
    )


CHECKS = (
    *(
        fact_check(
            f"{name}-no-auth",
            f"{title} answers without a login",
            severity,
            service=name,
            fact=("auth", "none"),
            seen="a page or a question that a login should guard was answered without one",
            remedy=remedy,
            refuted="the same question is answered with a demand for a login",
            attack=("T1190", "T1613") if name in {"docker", "kubernetes", "kubelet"} else ("T1190",),
        )
        for name, (title, severity, remedy) in APIS.items()
    ),
    Check(
        id="http-application-no-auth",
        title="An application shows guarded pages without a login",
        severity=MEDIUM,
        applies=lambda service: "application" in service.facts,
        judge=_judge_other,
        remedy="turn its login on, and let listed networks reach it only",
        refuted="the same page is answered with a demand for a login",
        attack=("T1190",),
    ),
)
