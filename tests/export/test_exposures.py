"""The alert rules for Prometheus against the verdicts of `check`, on exposures of every service in every zone."""

from __future__ import annotations

import random
from itertools import product

import pytest

from export.policies import NOW, read, whole
from export.prometheus_rules import Exposure, alerts, rules_of
from reconshield.addresses import text_of
from reconshield.errors import UserError
from reconshield.jobs.policy_export import export_policy
from reconshield.model import Confidence, Endpoint, Service, State
from reconshield.policy import Policy
from reconshield.policy.judgement import judge
from reconshield.policy.verdict import Measured
from store.examples import answers

DAY = 86_400.0
SERVICES = ("smtp", "ssh", "http", "telnet", "vnc", "pop3", "redis")
KINDS = {
    "forbidden": "ReconShieldForbiddenExposure",
    "unexpected": "ReconShieldUnexpectedExposure",
    "expired": "ReconShieldExpiredExposure",
}


def verdict(policy: Policy, exposure: Exposure, now: float) -> str:
    """What `check` says of a heard service at the first address of a zone, seen as the schedule sees it."""
    zone = next(zone for zone in policy.zones if zone.name == exposure.zone)
    vantage = next(schedule.vantage for schedule in policy.schedules if schedule.name == exposure.schedule)
    place = Endpoint(text_of(zone.area.first + 1), 4321)
    heard = Service(place, exposure.service, Confidence.CONFIRMED, now)
    measured = Measured(answers((place.ip, 4321, State.OPEN)), vantage, now, services={place: heard})
    judged = judge(policy, measured, now)
    assert len(judged.rows) == 1, "one endpoint is open"
    return judged.verdict_of(0).kind


def random_policy(seed: int) -> Policy:
    """Zones that a schedule measures from one or two vantages, expectations and assertions by service for whole zones."""
    random_ = random.Random(seed)
    lines = ["version = 1"]
    for number in range(3):
        lines += ["[[zone]]", f'name = "z{number}"', f'targets = ["10.{number}.0.0/29"]', "secure = true"]
        lines += ['vantages = ["probe"]'] if number == 0 else []
    for name, vantage in (("nightly", "local"), ("inner", "probe")):
        lines += ["[[schedule]]", f'name = "{name}"', f'vantage = "{vantage}"', 'targets = ["z0", "z1", "z2"]', 'every = "24h"']
    for _ in range(random_.randint(0, 6)):
        services, zone = random_.sample(SERVICES, random_.randint(1, 2)), random_.randint(0, 2)
        seen = random_.choice(["", "", 'from = ["wan"]', 'from = ["probe"]', 'from = ["z0"]'])
        if random_.random() < 0.6:
            expires = random_.choice(["2026-01-01", "2026-12-31", "2027-12-31"])
            lines += [
                "[[expect]]",
                f'on = "z{zone}"',
                f"service = {services}",
                seen,
                'reason = "r"',
                'owner = "o"',
                f"expires = {expires}",
            ]
        else:
            lines += ["[[closed]]", f'on = "z{zone}"', seen, *([f"service = {services}"] if random_.random() < 0.8 else [])]
    return read("\n".join(lines).replace("'", '"'))


@pytest.mark.parametrize("seed", range(8))
def test_an_alert_is_raised_for_what_check_fails(seed: int) -> None:
    """Now, and after further expectations have ended: what had ended before the rules were written is unknown to them."""
    policy = random_policy(seed)
    written = rules_of(export_policy(policy, "prometheus", NOW))
    places = product((zone.name for zone in policy.zones), (schedule.name for schedule in policy.schedules), SERVICES)
    for zone, schedule, service in places:
        exposure = Exposure(schedule, zone, service)
        before = verdict(policy, exposure, NOW)
        for now in (NOW, NOW + 60 * DAY):
            said = verdict(policy, exposure, now)
            wanted = KINDS["unexpected"] if before == said == "expired" else KINDS.get(said)
            assert set(alerts(written, exposure, now)) == ({wanted} if wanted else set()), (exposure, said)


def test_a_rule_never_contradicts_check() -> None:
    """With ports and parts of zones the rules say less than `check`, and nothing else."""
    policy = whole()
    written = rules_of(export_policy(policy, "prometheus", NOW))
    seen = set()
    for zone in policy.zones[:3]:
        for service in SERVICES:
            exposure = Exposure("nightly", zone.name, service)
            told = alerts(written, exposure, NOW)
            seen |= set(told)
            assert not told or verdict(policy, exposure, NOW) in {"forbidden", "unexpected", "expired"}, exposure
    assert seen == {"ReconShieldForbiddenExposure", "ReconShieldUnexpectedExposure"}


PARTS = """\
version = 1
[[zone]]
name = "z0"
targets = ["10.0.0.0/16"]
secure = true
[[closed]]
on = "10.0.0.9"
service = "redis"
[[closed]]
on = "z0"
service = "telnet"
[[closed]]
on = "z0"
service = "vnc"
ports = "5900"
[[expect]]
on = ["10.0.0.0/24"]
service = ["ssh", "telnet"]
reason = "r"
owner = "o"
expires = 2026-12-31
[[expect]]
on = "z0"
service = "smtp"
ports = "25"
reason = "r"
owner = "o"
expires = 2027-12-31
[[schedule]]
name = "s"
targets = "z0"
every = "1d"
"""


def test_what_is_about_parts_and_ports_is_taken_for_the_whole_only_where_it_allows() -> None:
    """Verdicts are those of an address that the parts do not hold, on a port that nobody named."""
    policy = read(PARTS)
    written = rules_of(export_policy(policy, "prometheus", NOW))
    for service, now, said, told in (
        ("redis", NOW, "unexpected", ["ReconShieldUnexpectedExposure"]),
        ("vnc", NOW, "unexpected", ["ReconShieldUnexpectedExposure"]),
        ("smtp", NOW, "unexpected", []),
        ("telnet", NOW, "forbidden", ["ReconShieldForbiddenExposure"]),
        ("telnet", NOW + 60 * DAY, "forbidden", ["ReconShieldForbiddenExposure"]),
        ("ssh", NOW, "expected", []),
        ("ssh", NOW + 60 * DAY, "expired", ["ReconShieldExpiredExposure"]),
    ):
        exposure = Exposure("s", "z0", service)
        assert (verdict(policy, exposure, now), alerts(written, exposure, now)) == (said, told), (service, now)


def test_texts_of_the_policy_are_no_templates_and_what_is_left_out_is_named() -> None:
    text = export_policy(whole(), "prometheus", NOW)
    described = [rule["annotations"]["description"] for rule in rules_of(text)]
    assert any('{{ "{{" }} jump }} hosts' in each for each in described)
    assert "# not here: mail-dmz, assertion of line 111: it has ports" in text.splitlines()
    late = [rule for rule in rules_of(text) if rule["alert"] == "ReconShieldZonesNotMeasured"]
    assert ["129600" in rule["expr"] for rule in late] == [True]


def test_without_a_schedule_there_is_nothing_to_alert_on() -> None:
    policy = read('version = 1\n[[zone]]\nname = "a"\ntargets = ["10.0.0.0/8"]\nsecure = true\n')
    with pytest.raises(UserError, match="no schedule"):
        export_policy(policy, "prometheus", NOW)
