"""Alerts and silences over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconshield.alert.message import Event, fingerprint
from reconshield.jobs.alerting import raise_alerts
from reconshield.model import Endpoint, Severity
from reconshield.web.call import Site

Make = Callable[..., Any]


def raise_some(site: Site, number: int) -> None:
    events = [
        Event(
            fingerprint=fingerprint("test", str(each)),
            kind="opened",
            severity=Severity.HIGH if each % 2 else Severity.LOW,
            title=f"port {each} opened",
            what="it was closed",
            why="it is not expected",
            at=1000.0 + each,
            endpoint=Endpoint("192.0.2.7", each, "tcp"),
        )
        for each in range(1, number + 1)
    ]
    raise_alerts(site.store, events, (), (), 2000.0)


def test_alerts_are_listed_read_and_taken_on(program: Make, site: Site) -> None:
    raise_some(site, 5)
    analyst = program("analyst")
    assert [row["id"] for row in analyst.all("/alerts", limit=2)] == ["a5", "a4", "a3", "a2", "a1"]
    assert {row["severity"] for row in analyst.all("/alerts")} == {"low", "high"}
    assert {row["severity"] for row in analyst.all("/alerts", least="high")} == {"high"}
    seen = analyst.get("/alerts/a3")
    assert analyst.post("/alerts/a3/acknowledge", headers={"if-match": '"older"'}).status_code == 412
    taken = analyst.post("/alerts/a3/acknowledge", headers={"if-match": seen.headers["etag"]})
    assert taken.json()["acknowledged_by"] == "analyst-main"
    assert analyst.get("/alerts/a3").json() == taken.json()
    assert program("viewer").post("/alerts/a3/acknowledge").status_code == 403
    assert program("analyst", "other").get("/alerts/a3").status_code == 404


def test_silences_are_made_listed_and_ended(program: Make, site: Site) -> None:
    raise_some(site, 1)
    analyst = program("analyst")
    made = analyst.post("/silences", {"alert": "a1", "reason": "moving house", "lasting": "2d"})
    assert (made.status_code, made.json()["by"], made.json()["reason"]) == (201, "analyst-main", "moving house")
    assert analyst.post("/silences", {"on": ["192.0.2.0/24"], "reason": "same"}).json()["on"] == ["192.0.2.0/24"]
    assert analyst.post("/silences", {"reason": "everything"}).status_code == 422
    assert analyst.post("/silences", {"alert": "a77", "reason": "x"}).status_code == 422
    assert [row["number"] for row in analyst.all("/silences", limit=1)] == [1, 2]
    assert analyst.delete("/silences/1").status_code == 204
    assert analyst.delete("/silences/1").status_code == 404
    assert program("analyst", "other").delete("/silences/2").status_code == 404
    assert analyst.all("/deliveries") == []
    assert analyst.post("/deliveries/retry", {}).json() == {"revived": 0}
    assert program("admin").post("/channels/soc/test").status_code == 404
