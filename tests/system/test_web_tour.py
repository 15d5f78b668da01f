"""The app in a real browser over a real mail server: from the first link to a port that is proved closed."""

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

from system.configured import DOVECOT, LAX, WORDS
from system.netns import Lab, can_make_namespaces
from system.scanning import command, environment
from system.servers import missing_programs, running

pytestmark = [pytest.mark.system, pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft")]

TOUR = Path(__file__).with_name("browser_tour.py")
READY_SECONDS = 30


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.skipif(bool(missing_programs([DOVECOT])), reason="needs dovecot")
def test_from_the_first_link_to_a_port_that_is_closed(tmp_path: Path) -> None:
    """Pictures of the pages are kept in the folder that RECONSHIELD_SHOTS names."""
    home, world = tmp_path / "home", tmp_path / "world"
    world.mkdir()
    with Lab() as lab:
        scanner, host = lab.namespace("scan"), lab.namespace("host")
        lab.link(scanner, host, f"{LAX.rpartition('.')[0]}.1/24", f"{LAX}/24")
        with (
            running(host, [DOVECOT], world, WORDS),
            subprocess.Popen(
                command(scanner, home, "serve"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
            ) as server,
        ):
            try:
                assert server.stdout is not None
                found = re.search(r"(http://127\.0\.0\.1:\d+)(/setup/\S+)", server.stdout.readline())
                assert found is not None, server.stdout.read()
                shots = os.environ.get("RECONSHIELD_SHOTS", "-")
                told = scanner.run(sys.executable, str(TOUR), found[1], found[2], LAX, host.name, shots, timeout=500)
            finally:
                server.send_signal(signal.SIGTERM)
    remarks = [json.loads(line) for line in told.splitlines()]
    assert not remarks, "\n".join(map(str, remarks))
