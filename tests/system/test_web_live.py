"""A scan in the app, in a real browser: typed, planned, watched, paused, resumed, read; with JavaScript and without."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from listeners import HOST, listening

pytestmark = [pytest.mark.system, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")]

TESTS = Path(__file__).parents[1]


def test_a_scan_is_watched_paused_resumed_and_read(tmp_path: Path) -> None:
    place = {**os.environ, "RECONSHIELD_HOME": str(tmp_path)}
    server = subprocess.Popen(
        [sys.executable, "-m", "reconshield", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=place,
        cwd=tmp_path,
    )
    with listening(lambda made: made.sendall(b"+OK Dovecot ready.\r\n")) as listener:
        try:
            assert server.stdout is not None
            found = re.search(r"(http://127\.0\.0\.1:\d+)(/setup/\S+)", server.stdout.readline())
            assert found is not None, server.stdout.read()
            asked = [sys.executable, "-m", "system.live_tour", found[1], found[2], HOST, str(listener.endpoint.port)]
            told = subprocess.run(asked, cwd=TESTS, capture_output=True, text=True, timeout=300, check=False)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            if server.stdout is not None:
                server.stdout.close()
    assert told.returncode == 0, told.stderr[-3000:]
    found_fault_with = [json.loads(line) for line in told.stdout.splitlines()]
    remarks = [each for each in found_fault_with if "status of 403" not in each["text"]]  # the refused plan that was asked for
    assert not remarks, "\n".join(map(str, remarks))
