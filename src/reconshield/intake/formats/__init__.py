"""The formats that can be imported, one file each. A test fails when a file here is not listed."""

from __future__ import annotations

from reconshield.intake.formats import masscan_json, masscan_list, naabu, nmap_xml, zgrab2
from reconshield.intake.reading import Intake

INTAKES: tuple[Intake, ...] = (
    nmap_xml.INTAKE,
    masscan_list.INTAKE,
    zgrab2.INTAKE,
    naabu.INTAKE,
    masscan_json.INTAKE,
)
"""In the order in which a file is shown to them."""


def recognise(head: bytes) -> Intake | None:
    """The format of a file by its first bytes."""
    return next((intake for intake in INTAKES if intake.recognises(head)), None)
