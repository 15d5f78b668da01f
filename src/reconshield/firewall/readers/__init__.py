"""The formats of firewall rules that can be read, one file each. A test fails when a file here is not listed."""

from __future__ import annotations

from reconshield.errors import UserError
from reconshield.firewall.reader import Reader
from reconshield.firewall.readers import aws, azure, firewalld, gcp, iptables, kubernetes, nft_json, ufw
from reconshield.firewall.ruleset import Ruleset

READERS: tuple[Reader, ...] = (
    nft_json.READER,
    iptables.READER,
    ufw.READER,
    firewalld.READER,
    aws.READER,
    azure.READER,
    gcp.READER,
    kubernetes.READER,
)
"""In the order in which a text is shown to them."""


def recognise(text: str) -> Reader | None:
    """The format of a text by what stands in it."""
    return next((reader for reader in READERS if reader.recognises(text)), None)


def read_rulesets(text: str, where: str) -> tuple[Ruleset, ...]:
    """The rulesets in a text of any known format. Raises UserError when it is none; `where` names the file."""
    reader = recognise(text)
    if reader is None:
        if text.lstrip().startswith("table "):
            raise UserError("nft's rules are read as JSON", where=where, hint="write them with: nft -j list ruleset")
        known = "; ".join(reader.made_by for reader in READERS)
        raise UserError("the format of these rules is not known", where=where, hint=f"give what one of these writes: {known}")
    return reader.read(text)
