"""Prometheus metrics: what is exposed where, how old and how whole the measurements are, what waits to be told.

`metrics_text` reads the store and gives the text format 0.0.4; the monitor serves it on a port of its own, others may mount it.
It is computed when it is asked for, at most once in ten seconds, and what a run says only once: a scraper keeps nobody busy.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reconshield.errors import UserError
from reconshield.jobs import executors
from reconshield.jobs.judge import Judge
from reconshield.policy import Policy
from reconshield.store import occurrences as kept
from reconshield.store import outbox
from reconshield.store.alerts import count_alerts
from reconshield.store.db import Store
from reconshield.store.runs import find_run
from reconshield.store.services import findings, services

CACHED = 10.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HEADS = {
    "reconshield_exposures": (
        "gauge",
        "Open endpoints in the last run of each schedule, severity by the rating of their risk.",
    ),
    "reconshield_findings": ("gauge", "Findings in the last run of each schedule."),
    "reconshield_last_scan_age_seconds": ("gauge", "Seconds since a schedule last measured all of its endpoints."),
    "reconshield_freshness_target_seconds": ("gauge", "How old the last whole measurement may be."),
    "reconshield_coverage_ratio": ("gauge", "Measured endpoints of those planned, in the last run of each schedule."),
    "reconshield_loss_ratio": ("gauge", "Loss estimated by the engine in the last run of each schedule."),
    "reconshield_scans_total": ("counter", "Scans that schedules called for, by how they ended."),
    "reconshield_alerts": ("gauge", "Alerts that stand."),
    "reconshield_alert_queue": ("gauge", "Notices in the outbox, by channel and state."),
    "reconshield_alert_oldest_seconds": ("gauge", "How long the oldest notice of a channel has waited."),
    "reconshield_processes": ("gauge", "Monitors and workers that are there."),
}
Sample = tuple[str, Mapping[str, str], float]
Runs = dict[tuple[str, str, int], list[Sample]]
"""What the last run of a schedule said, so that it is counted once: by schedule, run and policy."""


def metrics_text(store: Store, policy: Policy, now: float, runs: Runs | None = None) -> str:
    """Everything, in the order of `HEADS`. `runs` keeps what was counted before."""
    samples: dict[str, list[str]] = {name: [] for name in HEADS}
    for name, labels, value in (
        *schedule_samples(store, policy, now, {} if runs is None else runs),
        *alert_samples(store, now),
    ):
        samples[name].append(f"{name}{label_text({'workspace': store.workspace, **labels})} {number_text(value)}")
    lines: list[str] = []
    for name, (kind, text) in HEADS.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples[name]]
    return "\n".join(lines) + "\n"


def schedule_samples(store: Store, policy: Policy, now: float, runs: Runs) -> Iterator[Sample]:
    complete, first = kept.last_complete(store), kept.first_known(store)
    for (schedule_name, state), number in sorted(kept.count_occurrences(store).items()):
        yield "reconshield_scans_total", {"schedule": schedule_name, "state": state}, number
    for schedule in policy.schedules:
        label = {"schedule": schedule.name}
        yield "reconshield_freshness_target_seconds", label, schedule.fresh_seconds
        since = complete.get(schedule.name, first.get(schedule.name))
        if since is not None:
            yield "reconshield_last_scan_age_seconds", label, max(now - since, 0.0)
        last = kept.newest(store, schedule.name, ("complete", "partial"))
        if last is not None and last.run is not None:
            key = schedule.name, last.run, id(policy)
            if key not in runs:
                for old in [old for old in runs if old[0] == schedule.name]:
                    del runs[old]
                runs[key] = list(run_samples(store, policy, schedule.name, last.run))
            yield from runs[key]


def run_samples(store: Store, policy: Policy, schedule: str, run_id: str) -> Iterator[Sample]:
    """One run: its exposures by zone, service and rating, its findings by severity, how whole it is."""
    run = find_run(store, run_id)
    summary, judge = run.summary or {}, Judge(run.vantage, run.finished or run.started)
    if summary.get("probes"):
        yield "reconshield_coverage_ratio", {"schedule": schedule}, summary["measured"] / summary["probes"]
    if summary.get("loss") is not None:
        yield "reconshield_loss_ratio", {"schedule": schedule}, float(summary["loss"])
    exposed = Counter((policy.zone_name(s.endpoint.ip), s.service, judge.rate(s).risk.rating) for s in services(store, run_id))
    for (zone, name, rating), number in sorted(exposed.items()):
        yield "reconshield_exposures", {"schedule": schedule, "zone": zone, "service": name, "severity": rating}, number
    found = Counter((policy.zone_name(f.endpoint.ip), f.severity.value) for f in findings(store, run_id))
    for (zone, severity), number in sorted(found.items()):
        yield "reconshield_findings", {"schedule": schedule, "zone": zone, "severity": severity}, number


def alert_samples(store: Store, now: float) -> Iterator[Sample]:
    standing = count_alerts(store)
    for severity in ("info", "low", "medium", "high", "critical"):
        yield "reconshield_alerts", {"severity": severity}, standing.get(severity, 0)
    for channel, states in sorted(outbox.count_deliveries(store).items()):
        for state in (outbox.WAITING, outbox.SENT, outbox.DEAD):
            yield "reconshield_alert_queue", {"channel": channel, "state": state}, states.get(state, 0)
    for channel, created in sorted(outbox.oldest_waiting(store).items()):
        yield "reconshield_alert_oldest_seconds", {"channel": channel}, max(now - created, 0.0)
    roles = Counter((process.role, process.vantage) for process in executors.living(store, now))
    for (role, vantage), number in sorted(roles.items()):
        yield "reconshield_processes", {"role": role, "vantage": vantage}, number


def label_text(labels: Mapping[str, str]) -> str:
    escaped = (
        f'{name}="{value.replace(chr(92), chr(92) * 2).replace(chr(10), "").replace(chr(34), chr(92) + chr(34))}"'
        for name, value in labels.items()
    )
    return "{" + ",".join(escaped) + "}"


def number_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


class Metrics:
    """The text, computed at most once in ten seconds."""

    def __init__(self, store: Store, policy: Callable[[], Policy], clock: Callable[[], float]) -> None:
        self.store, self.policy, self.clock = store, policy, clock
        self.lock, self.at, self.text = threading.Lock(), float("-inf"), ""
        self.runs: Runs = {}

    def read(self) -> str:
        with self.lock:
            now = self.clock()
            if not self.at <= now < self.at + CACHED:
                self.text, self.at = metrics_text(self.store, self.policy(), now, self.runs), now
            return self.text


def serve_metrics(store: Store, where: str, policy: Callable[[], Policy], clock: Callable[[], float]) -> str:
    """Serve them from a thread; the address that was bound. Without a host, on loopback."""
    host, _, port = where.rpartition(":")
    if not (port.isdecimal() and int(port) < 65536):
        raise UserError("this is no address to serve metrics on", where=f"--metrics {where}", hint="--metrics 127.0.0.1:9110")
    metrics = Metrics(store, policy, clock)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            try:
                body, code = metrics.read().encode(), 200
            except UserError as error:
                body, code = f"# {error.message}\n".encode(), 503
            self.send_response(code)
            self.send_header("content-type", CONTENT_TYPE)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
            """Scrapes are not worth a line."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A scraper that hangs up half-way is its own business."""

    try:
        server = Server((host.strip("[]") or "127.0.0.1", int(port)), Handler)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"metrics cannot be served there: {reason}", where=f"--metrics {where}", hint="another port") from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return f"{server.server_address[0]!s}:{server.server_address[1]}"
