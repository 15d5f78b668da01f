"""A report of detections as the tests of its formats need it: one that stands for most, and others with what is awkward."""

from __future__ import annotations

import math

from reconshield.detection import Detection, Evidence, Grade, Suppressed
from reconshield.report.detected import DetectionReport, FeedNote, InputNote

AT = 1_779_660_000.0
HOSTILE = "a|b=c\\d\r\nCEF:0|x|<script>alert(1)</script>\"' \x1b[31m\u202eevil\x07"

BEACON = Detection(
    src="10.20.4.9",
    dst="203.0.113.35",
    port=110,
    transport="tcp",
    grade=Grade(100, "critical"),
    evidence=(
        Evidence("policy", 60, "secure zone cell-3 expects no pop3 here (line 33)"),
        Evidence("protocol", 25, "http was spoken, not pop3", "T1571"),
        Evidence("rhythm", 20, "every 60 s, score 0.91", "T1071"),
        Evidence("direction", 10, "inside to the internet, not a web port"),
    ),
    first=AT,
    last=AT + 43_141.25,
    flows=719,
    sent=143_800,
    received=287_600,
    app="http",
    zone="cell-3",
    hours=(60,) * 12,
    interval=60.0,
    sample=("conn.log:7",),
    refuted="a greeting of pop3 in a capture, or a change record for cell-3, then a [[traffic]] entry",
    following="on 10.20.4.9: ss -tnp dst 203.0.113.35",
    attack=("T1071", "T1571"),
    direction="out",
)
SIX = Detection(
    src="2001:db8:1::9",
    dst="2001:db8:2::35",
    port=5888,
    transport="tcp",
    grade=Grade(72, "low", "nothing here is more than unusual"),
    evidence=(Evidence("volume", 72, "sent 4 times what was received"),),
    first=AT + 60,
    last=AT + 60,
    flows=1,
    sent=9,
    received=0,
    sample=("conn.log:8",),
    refuted="somebody who knows what this host does there",
    following="on 2001:db8:1::9: ss -tnp dst 2001:db8:2::35",
    direction="within",
    suppressed=Suppressed("mail test, CHG-1841 (mail team, until 2026-12-31)", live=True),
)
TIMELESS = Detection(
    src="198.51.100.7",
    dst="10.1.0.9",
    port=0,
    transport="47",
    grade=Grade(48, "medium"),
    evidence=(Evidence("indicator", 48, HOSTILE), Evidence("one-sided capture", -10, HOSTILE)),
    first=math.nan,
    last=math.nan,
    flows=2,
    sent=0,
    received=0,
    app=HOSTILE,
    zone=HOSTILE,
    sample=(HOSTILE,),
    refuted=HOSTILE,
    following=HOSTILE,
    exposure=HOSTILE,
    direction="in",
)
REPORT = DetectionReport(
    detections=(BEACON, SIX, TIMELESS),
    own=(),
    allowed=(),
    inputs=(InputNote("conn.log", "zeek-conn", 1_284_003, 2, ("line 88112: not 21 fields",)),),
    conversations=9_114,
    noted=3,
    left_out=0,
    made=AT + 86_400,
    feeds=(FeedNote("feed.json", "stix", 812, 40, 3, 1),),
    span=(AT, AT + 43_200),
    policy="reconshield.toml",
    techniques={"T1071": "Application Layer Protocol", "T1571": "Non-Standard Port"},
    attack_version="18.1",
    version="0.1.0",
)
