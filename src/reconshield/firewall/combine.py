"""The rules of one host from two listings: nft has all tables, iptables-save says in whole what nft shows by name only."""

from __future__ import annotations

from reconshield.firewall.ruleset import Chain, Ruleset


def combine(nft: Ruleset | None, iptables: Ruleset | None) -> Ruleset:
    """One ruleset; a table that both list is taken from iptables-save. Both families are known if nft was asked."""
    if nft is None or iptables is None:
        only = nft or iptables
        return only if only is not None else Ruleset("live", ())
    told = {table_of(chain) for chain in iptables.chains}
    rest = tuple(chain for chain in nft.chains if table_of(chain) not in told)
    kept = {chain.name for chain in rest}
    faults = tuple(fault for fault in nft.faults if fault.where.rpartition(",")[0] in kept)
    notes = tuple(note for note in (*nft.notes, *iptables.notes) if not note.startswith("only IPv"))
    return Ruleset("live", (*iptables.chains, *rest), "", (*iptables.faults, *faults), notes)


def table_of(chain: Chain) -> str:
    """`ip filter` of `ip filter INPUT`."""
    return " ".join(chain.name.split(" ")[:2])
