"""A command of the operator that gets the notice as JSON on its standard input. Exit code 0 is accepted.

The command is split as a shell would and run without one. It sees no environment but PATH, HOME, LANG and the idempotency key
(`RECONSHIELD_KEY`): what the monitor knows as `env:` secrets of other channels is not its business.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile

from reconshield.alert.channel import Channel, Field, Order, Outcome
from reconshield.alert.payload import notice_bytes
from reconshield.errors import UserError

SECONDS = 30.0
SHOWN = 200
PASSED = ("PATH", "HOME", "LANG", "SYSTEMROOT")


def send(order: Order) -> Outcome:
    try:
        command = shlex.split(order.settings["command"])
    except ValueError as error:
        raise UserError(f"the command cannot be split: {error}", where=f"channel {order.notice.channel}") from error
    environment = {name: os.environ[name] for name in PASSED if name in os.environ} | {"RECONSHIELD_KEY": order.notice.key}
    try:
        code, told = run(command, notice_bytes(order.notice), environment)
    except (OSError, ValueError) as error:
        return Outcome(False, f"the command cannot be run: {getattr(error, 'strerror', None) or error}".lower())
    if code is None:
        return Outcome(False, f"the command did not end within {SECONDS:g} s and was stopped")
    return Outcome(code == 0, f"exit {code}" + (f": {told}" if code and told else ""))


def run(command: list[str], data: bytes, environment: dict[str, str], seconds: float = SECONDS) -> tuple[int | None, str]:
    """Exit code (None when time ran out) and the beginning of what the command complained of.

    In a session of its own, so that what it started ends with it; its words go to a file, so that no pipe can keep us waiting.
    """
    with tempfile.TemporaryFile() as input_, tempfile.TemporaryFile() as complaints:
        input_.write(data)
        input_.seek(0)
        with subprocess.Popen(  # noqa: S603 - the operator's own command, from the operator's own file
            command, stdin=input_, stdout=subprocess.DEVNULL, stderr=complaints, env=environment, start_new_session=True
        ) as child:
            try:
                code: int | None = child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                code = None
        complaints.seek(0)
        return code, complaints.read(SHOWN).decode("utf-8", "replace").strip()


CHANNEL = Channel("exec", "a command with JSON on standard input", (Field("command", "the command", required=True),), send)
