"""Open endpoints into their table as fast as each engine takes them.

SQLite: columns that NumPy turned into lists, a handful of rows to a statement, which saves a third of the work of one by one.
PostgreSQL: COPY in its binary form, where a row of fixed-length columns is a fixed-length record, so NumPy lays out the whole
block at once and no Python code runs per row. Rows come sorted by the table's key. An endpoint that is there already (a late
answer in another block) keeps its first row.
"""

from __future__ import annotations

import struct
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

BIG_ENDIAN = {
    "run_key": ">i4",
    "port": ">i4",
    "transport": ">i2",
    "ip": "V16",
    "reason": ">i2",
    "ttl": ">i2",
    "rtt_us": ">i8",
    "at": ">f8",
}
"""The table's columns in their order, in the forms of PostgreSQL, which has no unsigned numbers."""

COLUMNS = tuple(BIG_ENDIAN)
ROWS_AT_ONCE = 20  # per statement: more gain nothing, and old SQLite takes 999 values
ROW = f"({', '.join('?' * len(COLUMNS))})"
SQLITE = f"INSERT OR IGNORE INTO observations ({', '.join(COLUMNS)}) VALUES "  # noqa: S608 - constant
COPY = f"COPY {{table}} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)  # signature, no flags, no header extension
COPY_END = struct.pack(">h", -1)
UNIQUE_VIOLATION = "23505"


def insert_open(connection: Connection, key: int, opened: NDArray[Any]) -> None:
    """Add these observations to the run with this key inside the caller's transaction."""
    ordered = opened[np.lexsort([opened[name] for name in ("lo", "hi", "transport", "port")])]
    if connection.dialect.name == "postgresql":
        copy_open(connection, key, ordered)
        return
    driver: Any = connection.connection.driver_connection
    whole = len(ordered) - len(ordered) % ROWS_AT_ONCE
    for rows, at_once in ((ordered[:whole], ROWS_AT_ONCE), (ordered[whole:], 1)):
        lists = [column.tolist() for column in table_columns(rows).values()]
        values = chain.from_iterable(zip(repeat(key), *lists, strict=False))  # the key never ends
        driver.executemany(SQLITE + ", ".join([ROW] * at_once), zip(*[values] * (at_once * len(COLUMNS)), strict=True))


def table_columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The array's columns as the table has them: the two halves of the address become 16 bytes in network order."""
    halves = np.empty(len(rows), [("hi", ">u8"), ("lo", ">u8")])
    halves["hi"], halves["lo"] = rows["hi"], rows["lo"]
    return {name: halves.view("V16") if name == "ip" else rows[name] for name in COLUMNS[1:]}


def copy_open(connection: Connection, key: int, rows: NDArray[Any]) -> None:
    """COPY straight into the table; only if an endpoint is there already, by way of a temporary one that drops duplicates."""
    data = binary_rows(key, rows)
    try:
        with connection.begin_nested():
            send_copy(connection, "observations", data)
    except Exception as error:
        if getattr(error, "sqlstate", None) != UNIQUE_VIOLATION:
            raise
        connection.exec_driver_sql("CREATE TEMPORARY TABLE arrived (LIKE observations) ON COMMIT DROP")
        send_copy(connection, "arrived", data)
        connection.exec_driver_sql("INSERT INTO observations SELECT * FROM arrived ON CONFLICT DO NOTHING")


def send_copy(connection: Connection, table: str, data: bytes) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(COPY.format(table=table)) as copy:
        copy.write(data)


def binary_rows(key: int, rows: NDArray[Any]) -> bytes:
    """PostgreSQL's binary COPY form: for each row the number of columns, then length and bytes of each column."""
    layout = [("columns", ">i2")]
    for name, form in BIG_ENDIAN.items():
        layout += [(f"length of {name}", ">i4"), (name, form)]
    records = np.empty(len(rows), layout)
    records["columns"], records["run_key"] = len(COLUMNS), key
    for name, form in BIG_ENDIAN.items():
        records[f"length of {name}"] = np.dtype(form).itemsize
    for name, column in table_columns(rows).items():
        records[name] = column
    return COPY_BEGIN + records.tobytes() + COPY_END
