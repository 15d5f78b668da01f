"""Observations at rest: every answer as one compressed array a block, the open ones also as rows.

An engine hands over a finished block; array and rows are kept in one transaction under the key (run, block). A block that comes
a second time (a resumed scan, a repeated job) changes nothing. What no block has was silent, if the plan covers it: coverage is
the plan and the blocks done, and costs nothing to keep.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, bindparam, func, select, text, update

from reconshield.errors import StoreError
from reconshield.model import OBSERVATION_FIELDS, Endpoint, Observation, Reason, State, Transport
from reconshield.store.bulk import insert_open
from reconshield.store.columns import unpack_address
from reconshield.store.db import Store
from reconshield.store.runs import run_key
from reconshield.store.tables import BLOCKS, OBSERVATIONS, RUNS

STORED = np.dtype([(name, f"<{kind}") for name, kind in OBSERVATION_FIELDS])
"""The form of a row inside a block: packed, low byte first, whatever machine wrote it."""

NEW_BLOCK = text(
    "INSERT INTO blocks (workspace, run, number, answered, data) VALUES (:workspace, :run, :number, :answered, :data)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("data", type_=LargeBinary))


def save_block(store: Store, run_id: str, number: int, array: NDArray[Any]) -> bool:
    """Keep all answers of a finished block (none is an answer too). False when the block was kept before."""
    block = as_stored(array)
    row = {
        "workspace": store.workspace,
        "run": run_id,
        "number": int(number),
        "answered": len(block),
        "data": pack_block(block),
    }
    opened = block[block["state"] == State.OPEN]
    with store.begin() as connection:
        if connection.execute(NEW_BLOCK, row).rowcount == 0:
            return False
        if len(opened):
            insert_open(connection, connection.execute(run_key(store, run_id)).scalar_one(), opened)
    return True


def add_answer(store: Store, run_id: str, number: int, array: NDArray[Any]) -> None:
    """Put open endpoints that answered late into a block that is kept already."""
    late = as_stored(array)
    mine = (BLOCKS.c.workspace == store.workspace, BLOCKS.c.run == run_id, BLOCKS.c.number == int(number))
    with store.begin() as connection:
        row = connection.execute(select(BLOCKS.c.answered, BLOCKS.c.data).where(*mine)).one()
        whole = np.empty(row.answered + len(late), STORED)
        unpack_block(row.data, whole[: row.answered], f"{store.where}, {run_id}, block {number}")
        whole[row.answered :] = late
        connection.execute(update(BLOCKS).where(*mine).values(answered=len(whole), data=pack_block(whole)))
        insert_open(connection, connection.execute(run_key(store, run_id)).scalar_one(), late)


def as_stored(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.names != STORED.names:
        raise TypeError(f"not an observation array: {array.dtype}")
    return np.ascontiguousarray(array.astype(STORED, copy=False))


def blocks_done(store: Store, run_id: str) -> set[int]:
    query = select(BLOCKS.c.number).where(BLOCKS.c.workspace == store.workspace, BLOCKS.c.run == run_id)
    with store.read() as connection:
        return set(connection.execute(query).scalars())


def load_observations(store: Store, run_id: str) -> NDArray[Any]:
    """Every answer of a run in the observation dtype, block by block."""
    with store.read() as connection:
        return load_blocks(connection, store, run_id)


def load_blocks(connection: Connection, store: Store, run_id: str) -> NDArray[Any]:
    mine = (BLOCKS.c.workspace == store.workspace, BLOCKS.c.run == run_id)
    total = connection.execute(select(func.coalesce(func.sum(BLOCKS.c.answered), 0)).where(*mine)).scalar_one()
    whole, filled = np.empty(int(total), STORED), 0
    query = select(BLOCKS.c.number, BLOCKS.c.answered, BLOCKS.c.data).where(*mine).order_by(BLOCKS.c.number)
    with connection.execute(query.execution_options(yield_per=16)) as rows:
        for row in rows:
            end = filled + row.answered
            unpack_block(row.data, whole[filled:end], f"{store.where}, {run_id}, block {row.number}")
            filled = end
    return whole


def pack_block(block: NDArray[Any]) -> bytes:
    """First all first bytes of the rows, then all second ones, and so on: half the size and half the work of row after row."""
    return zlib.compress(byte_table(block).T.tobytes(), 1)


def unpack_block(data: bytes, place: NDArray[Any], where: str) -> None:
    """Put the rows back where they are wanted."""
    try:
        columns = np.frombuffer(zlib.decompress(data), np.uint8).reshape(STORED.itemsize, len(place))
    except (zlib.error, ValueError) as error:  # the latter: another number of rows
        hint = "restore a backup (docs/store.md), or scan again"
        raise StoreError("a stored block is damaged", where=where, hint=hint) from error
    byte_table(place)[:] = columns.T


def byte_table(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """The same memory as one line of bytes a row."""
    return rows.view(np.uint8).reshape(len(rows), STORED.itemsize)


def count_open(store: Store) -> dict[str, int]:
    """How many open endpoints each run of the workspace has; runs without any are left out."""
    both = OBSERVATIONS.join(RUNS, RUNS.c.key == OBSERVATIONS.c.run_key)
    query = select(RUNS.c.id, func.count().label("number")).select_from(both).where(RUNS.c.workspace == store.workspace)
    with store.read() as connection:
        return {row.id: row.number for row in connection.execute(query.group_by(RUNS.c.id))}


def count_open_of(store: Store, run_id: str) -> int:
    """How many open endpoints one run has."""
    query = select(func.count()).where(OBSERVATIONS.c.run_key == run_key(store, run_id).scalar_subquery())
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def newest_open(store: Store, run_id: str, limit: int) -> list[Observation]:
    """The open endpoints of a run that were found last, the newest first."""
    mine = OBSERVATIONS.c.run_key == run_key(store, run_id).scalar_subquery()
    with store.read() as connection:
        found = connection.execute(select(OBSERVATIONS).where(mine).order_by(OBSERVATIONS.c.at.desc()).limit(limit))
        return [observation_of(row) for row in found]


def open_endpoints(store: Store, run_id: str) -> list[Observation]:
    """The open endpoints of a run, by address, port and transport."""
    return list(each_open(store, run_id))


def each_open(store: Store, run_id: str) -> Iterator[Observation]:
    """The same one by one, a thousand in memory at a time."""
    mine = OBSERVATIONS.c.run_key == run_key(store, run_id).scalar_subquery()
    query = select(OBSERVATIONS).where(mine).order_by(OBSERVATIONS.c.ip, OBSERVATIONS.c.port, OBSERVATIONS.c.transport)
    with store.read() as connection, connection.execute(query.execution_options(yield_per=1000)) as found:
        yield from map(observation_of, found)


def observation_of(row: Any) -> Observation:
    """A record from a row of the table, whose columns are named as in the array."""
    endpoint = Endpoint(unpack_address(row.ip), row.port, Transport(row.transport).label)
    rtt_ms = row.rtt_us / 1000 if row.rtt_us else None
    return Observation(endpoint, State.OPEN, Reason(row.reason), row.at, row.ttl or None, rtt_ms)
