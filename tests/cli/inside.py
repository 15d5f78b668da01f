"""The program in this process: as `main` runs it, without the time that a process of its own takes to start."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconshield.cli.main import main
from reconshield.report.schema import jsonl_schema

VALIDATOR = jsonschema.Draft202012Validator(jsonl_schema())


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of JSON Lines, each as its schema has it."""
        found = [json.loads(line) for line in self.out.splitlines()]
        for line in found:
            VALIDATOR.validate(line)
        return found


def run(home: Path, *words: str, text: str = "", environ: Mapping[str, str] | None = None) -> Done:
    """What a command line says, with `text` on its standard input."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environ or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["reconshield", "--home", str(home), *words])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))
        with (
            contextlib.redirect_stdout(streams["stdout"]),
            contextlib.redirect_stderr(streams["stderr"]),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    texts = []
    for stream in streams.values():
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Done(int(ended.value.code or 0), *texts)
