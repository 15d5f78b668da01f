"""The contract of a reader of firewall rules: a value in one file under `readers/`.

`recognises` looks at the text; `read` gives one ruleset for each filtering point that the file has. A rule that is not
understood stays in its place as a doubt or an unknown action, and is named in `faults`. Only a file that is not of the format
at all is a `UserError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconshield.firewall.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: its name, what makes such a file, how it is recognised and read."""

    name: str
    made_by: str
    recognises: Callable[[str], bool]
    read: Callable[[str], tuple[Ruleset, ...]]
