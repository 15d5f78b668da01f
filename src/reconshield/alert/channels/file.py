"""JSON Lines into a file: one object a message, appended and flushed to the disk before it counts as delivered."""

from __future__ import annotations

import os
from pathlib import Path

from reconshield.alert.channel import Channel, Field, Order, Outcome
from reconshield.alert.payload import notice_lines


def send(order: Order) -> Outcome:
    path = Path(order.settings["path"]).expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            whole = notice_lines(order.notice)
            written = os.write(descriptor, whole)  # one write: lines of two processes do not mix
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Outcome(False, f"{path}: {(error.strerror or str(error)).lower()}")
    if written < len(whole):
        return Outcome(False, f"{path}: only {written} of {len(whole)} bytes were written")
    return Outcome(True, f"{written} bytes appended")


CHANNEL = Channel("file", "JSON Lines file", (Field("path", "the file to append to", required=True),), send)
