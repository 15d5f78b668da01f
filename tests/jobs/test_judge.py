"""What is judged: everything that was learned, and nothing that only the port number suggests."""

from __future__ import annotations

from typing import Any

import pytest

from reconshield.jobs.judge import Judge
from reconshield.model import Confidence, Endpoint, Service, Tls

NOW = 1795427172.0
SELF_SIGNED = {"tls": {"version": "TLSv1.3", "certificate": {"subject": "CN=x", "issuer": "CN=x", "self_signed": True}}}


@pytest.mark.parametrize(
    ("service", "facts", "checks"),
    [
        ("unknown", SELF_SIGNED, ["tls-self-signed"]),  # nobody knows what speaks inside; the certificate was seen
        ("unknown", {}, []),
        ("pop3", {}, []),  # by the port number
    ],
)
def test_a_guess_is_judged_by_what_was_seen_of_it(service: str, facts: dict[str, Any], checks: list[str]) -> None:
    found = Service(Endpoint("10.77.0.2", 8443), service, Confidence.GUESS, NOW, tls=Tls.IMPLICIT, facts=facts)
    assert [finding.check for finding in Judge("local", NOW).find(found)[1]] == checks
