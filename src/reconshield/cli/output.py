"""Where a run's result goes, and in which format. JSON Lines are written as the scan goes; the others when it has ended.

A file is written beside its place and moved there when it is whole, so a full disk or a kill leaves no half report.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from reconshield.cli.console import Invocation
from reconshield.errors import UserError
from reconshield.report.formats import find_format, render_result

if TYPE_CHECKING:
    from reconshield.jobs.scan import Event
    from reconshield.report.result import RunResult
    from reconshield.store.db import Store


def check_format(name: str) -> str:
    """The format, or an error that lists them all."""
    return find_format(name).name


@dataclass(slots=True)
class Output:
    """Takes the events of a scan, then its result."""

    call: Invocation
    stream: TextIO
    format: str
    all_states: bool
    to_file: bool = False
    with_evidence: bool = False
    run: str = ""

    def take(self, event: Event, names: Mapping[str, str]) -> None:
        """Write what can be written already: in JSON Lines, every line as it comes."""
        from reconshield.jobs.scan import Started

        if isinstance(event, Started):
            self.run = event.head.id
        if self.format != "jsonl":
            return
        from reconshield.jobs.lines import event_lines
        from reconshield.report.lines import dump_line

        for line in event_lines(event, self.run, names, all_states=self.all_states):
            self.stream.write(dump_line(line) + "\n")
        self.stream.flush()

    def finish(self, store: Store, result: RunResult) -> None:
        """Write the rest of the result; pages that are read elsewhere get the background of what they say."""
        if self.format == "jsonl":
            return
        if self.format in {"html", "markdown"}:
            from reconshield.jobs.background import add_background

            result = add_background(store, result)
        write_result(
            self.call,
            result,
            self.stream,
            self.format,
            all_states=self.all_states,
            to_file=self.to_file,
            with_evidence=self.with_evidence,
        )


def write_result(
    call: Invocation,
    result: RunResult,
    stream: TextIO,
    format_: str,
    *,
    all_states: bool = False,
    to_file: bool = False,
    with_evidence: bool = False,
    every: bool = False,
) -> None:
    """A whole result in any format. What endpoints answered is left out of the page unless `with_evidence`.

    A table has the worst endpoints only, unless `every` one is wanted or it goes to a file.
    """
    if format_ == "table":
        write_table(call, result, stream, all_states=all_states, to_file=to_file, every=every or to_file)
    else:
        stream.writelines(render_result(result, format_, with_evidence=with_evidence))


def write_table(call: Invocation, result: RunResult, stream: TextIO, *, all_states: bool, to_file: bool, every: bool) -> None:
    from reconshield.report.table import next_steps, run_table

    width = 120 if to_file else shutil.get_terminal_size((80, 24)).columns
    for row in run_table(result, width, all_states=all_states, every=every):
        text = "".join(call.paint(span.text, span.colour) if not to_file else span.text for span in row)
        stream.write(call.spell(text.rstrip()) + "\n")
    stream.flush()
    call.suggest(*next_steps(result))


@contextmanager
def open_output(
    call: Invocation, path: Path | None, format_: str, *, all_states: bool = False, with_evidence: bool = False
) -> Iterator[Output]:
    """Standard output, or a file that appears when it is whole."""
    if path is None:
        yield Output(call, sys.stdout, format_, all_states, with_evidence=with_evidence)
        return
    with whole_file(path, saved=True) as stream:
        yield Output(call, stream, format_, all_states, to_file=True, with_evidence=with_evidence)
    call.tell(f"report   {path}")


@contextmanager
def whole_file(path: Path, *, saved: bool = False) -> Iterator[TextIO]:
    """A text file that is moved to its place when it was written to the end; readable by its owner only."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise unwritable(path, error, saved=saved) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
        Path(name).replace(path)
    except OSError as error:
        raise unwritable(path, error, saved=saved) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def unwritable(path: Path, error: OSError, *, saved: bool = False) -> UserError:
    """`saved`: what was to be written is a run that is kept all the same."""
    reason = (error.strerror or str(error)).lower()
    hint = "name another file with -o" + ("; the run is saved" if saved else "")
    return UserError(f"the {'report' if saved else 'file'} cannot be written: {reason}", where=str(path), hint=hint)
