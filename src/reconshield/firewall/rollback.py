"""A script that applies rules and takes them back after a minute, unless somebody confirms that they still get in.

The undoing runs in a session of its own: it does not end with the operator's shell, which is just what dies when rules lock
somebody out. Plain POSIX shell; needs root and `setsid` (util-linux).
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

SECONDS = 60

SCRIPT = Template("""#!/bin/sh
# Applies the rules below and takes them back after $seconds seconds, unless you confirm in time.
set -eu
[ "$$(id -u)" = 0 ] || { echo "error: needs root" >&2; exit 2; }
state=$$(mktemp -d "$${TMPDIR:-/run}/reconshield.XXXXXX")
cat >"$$state/undo" <<'UNDO'
$undo
UNDO
undo_unless_confirmed='sleep $seconds; [ -e "$$1/confirmed" ] || sh "$$1/undo"; rm -rf "$$1"'
setsid sh -c "$$undo_unless_confirmed" undo "$$state" </dev/null >/dev/null 2>&1 &
$apply
echo "applied. Open a NEW session now; if it works, confirm within $seconds s:"
echo "  touch $$state/confirmed"
""")


@dataclass(frozen=True, slots=True)
class Change:
    """Shell lines that apply something, and those that undo it."""

    apply: str
    undo: str


def guarded_script(change: Change, seconds: int = SECONDS) -> str:
    """The script for a change."""
    return SCRIPT.substitute(apply=change.apply, undo=change.undo, seconds=seconds)
