"""The policy file: which exposures are expected and which must be closed, and what a measurement is worth against it.

    text -> reading.read_policy -> Policy            errors with file and line; `problems` has what else a reader should look at
    Policy x measurement -> judgement.judge          expected, unexpected, forbidden, missing, expired, accepted, not-measured

`records` is the one table of the format, `zones` places addresses, `cron` and `windows` read times, `formatting` and `proposal`
write policy text. Pure: who reads files and databases passes in what they say, and `known.Known` says what names mean.
"""

from reconshield.policy.known import Known
from reconshield.policy.policy import Policy
from reconshield.policy.problems import Problem, refuse_errors, review_policy
from reconshield.policy.reading import read_policy
from reconshield.policy.records import (
    WAN,
    Acceptance,
    Asset,
    Blackout,
    Channel,
    Closure,
    Expectation,
    Route,
    Schedule,
    Suppression,
    Traffic,
    Zone,
    json_schema,
)

__all__ = [
    "WAN",
    "Acceptance",
    "Asset",
    "Blackout",
    "Channel",
    "Closure",
    "Expectation",
    "Known",
    "Policy",
    "Problem",
    "Route",
    "Schedule",
    "Suppression",
    "Traffic",
    "Zone",
    "json_schema",
    "read_policy",
    "refuse_errors",
    "review_policy",
]
