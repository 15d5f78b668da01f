"""Open endpoints into their table as fast as each engine takes them.

SQLite: one prepared statement over columns that NumPy turned into lists. PostgreSQL: COPY in its binary form, where a row of
fixed-length columns is a fixed-length record, so NumPy lays out the whole block at once and no Python code runs per row.
Rows come sorted by the table's key. An endpoint that is there already (a late answer in another block) keeps its first row.
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

COLUMNS = ("workspace", "run", "port", "transport", "ip", "state", "reason", "ttl", "rtt_us", "at")
BIG_ENDIAN = {
    "port": ">i4",
    "transport": ">i2",
    "ip": "V16",
    "state": ">i2",
    "reason": ">i2",
    "ttl": ">i2",
    "rtt_us": ">i8",
    "at": ">f8",
}
"""The columns' forms in PostgreSQL, which has no unsigned numbers."""

SQLITE = f"INSERT OR IGNORE INTO observations ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - constant
COPY = f"COPY {{table}} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)  # signature, no flags, no header extension
COPY_END = struct.pack(">h", -1)
UNIQUE_VIOLATION = "23505"


def insert_open(connection: Connection, workspace: str, run_id: str, opened: NDArray[Any]) -> None:
    """Add these observations inside the caller's transaction."""
    if len(opened) == 0:
        return
    ordered = opened[np.lexsort([opened[name] for name in ("lo", "hi", "transport", "port")])]
    if connection.dialect.name == "postgresql":
        copy_open(connection, workspace, run_id, ordered)
        return
    lists = [column.tolist() for column in table_columns(ordered).values()]
    driver: Any = connection.connection.driver_connection
    driver.executemany(SQLITE, zip(repeat(workspace), repeat(run_id), *lists, strict=False))  # the two never end


def table_columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The array's columns as the table has them: the two halves of the address become 16 bytes in network order."""
    halves = np.empty(len(rows), [("hi", ">u8"), ("lo", ">u8")])
    halves["hi"], halves["lo"] = rows["hi"], rows["lo"]
    return {name: halves.view("V16") if name == "ip" else rows[name] for name in COLUMNS[2:]}


def copy_open(connection: Connection, workspace: str, run_id: str, rows: NDArray[Any]) -> None:
    """COPY straight into the table; only if an endpoint is there already, by way of a temporary one that drops duplicates."""
    data = binary_rows(workspace, run_id, rows)
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


def binary_rows(workspace: str, run_id: str, rows: NDArray[Any]) -> bytes:
    """PostgreSQL's binary COPY form: for each row the number of columns, then length and bytes of each column."""
    forms = {"workspace": f"S{len(workspace)}", "run": f"S{len(run_id)}"} | BIG_ENDIAN
    layout = [("columns", ">i2")]
    for name in COLUMNS:
        layout += [(f"length of {name}", ">i4"), (name, forms[name])]
    records = np.empty(len(rows), layout)
    records["columns"] = len(COLUMNS)
    values = {"workspace": workspace.encode(), "run": run_id.encode()} | table_columns(rows)
    for name in COLUMNS:
        records[f"length of {name}"] = np.dtype(forms[name]).itemsize
        records[name] = values[name]
    return COPY_BEGIN + records.tobytes() + COPY_END
