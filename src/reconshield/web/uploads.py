"""Uploaded files for jobs that read paths: in a folder of their own, and gone with it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.datastructures import UploadFile

from reconshield.errors import UserError
from reconshield.web.call import Call


@contextmanager
def saved(call: Call, *fields: str) -> Iterator[tuple[list[Path], ...]]:
    """The uploaded files of each field, under names that say nothing of this machine. Errors name them as they were sent."""
    with tempfile.TemporaryDirectory() as folder:
        found = tuple(
            [put(file, Path(folder, field)) for file in call.uploads.get(field, ()) if file.filename] for field in fields
        )
        try:
            yield found
        except UserError as error:
            error.where = plain_text(error.where or "", folder) or None
            error.message = plain_text(error.message, folder)
            error.hint = plain_text(error.hint or "", folder) or None
            raise


def put(file: UploadFile, folder: Path) -> Path:
    """Save one file; of its name the last part stays, and of that letters, digits and `._-`."""
    folder.mkdir(exist_ok=True)
    name = re.split(r"[/\\]", file.filename or "")[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:].lstrip(".") or "upload"
    path = folder / plain
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{number}-{plain}"
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)
    return path


def plain_text(text: str, folder: str) -> str:
    """A text without the folder that files were put into."""
    return re.sub(re.escape(folder) + r"/[a-z]+/", "", text)
