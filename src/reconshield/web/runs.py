"""A run by the id in an address: the whole id, in the visitor's workspace, or nothing."""

from __future__ import annotations

from reconshield.errors import StoreError, UserError
from reconshield.store.runs import Run, find_run
from reconshield.web.call import Call
from reconshield.web.failures import Missing


def exact_run(call: Call, run_id: str) -> Run:
    """`latest` and beginnings of ids are for people at a terminal; an address must mean the same tomorrow."""
    try:
        run = find_run(call.store, run_id)
    except StoreError:  # a database that is away is not a run that is not there
        raise
    except UserError:
        raise Missing(f"scan {run_id[:40]}") from None
    if run.id != run_id:
        raise Missing(f"scan {run_id[:40]}")
    return run
