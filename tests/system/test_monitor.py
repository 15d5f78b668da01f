"""Monitors and workers as real processes: killed, on SQLite and PostgreSQL; and alerts into a real syslog daemon."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from alert.examples import carry, message, notice
from alert.receivers import HOST, make_certificate, unused_port, web_server
from postgres import make_database, private_server, server_programs
from reconshield.alert.channels import CHANNELS
from reconshield.jobs.executors import living
from reconshield.store.db import open_store
from system import kill_monitor

pytestmark = pytest.mark.system
SYSLOG = next(channel for channel in CHANNELS if channel.name == "syslog")


def test_a_killed_monitor_loses_nothing() -> None:
    for kills, wrong in kill_monitor.rounds(3, seed=6):
        assert wrong == [], f"killed after {kills} s"


def test_killed_workers_on_postgresql_lose_nothing() -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql")
    with private_server(programs, fsync=False) as server:
        for kills, wrong in kill_monitor.rounds(3, seed=10, server=server):
            assert wrong == [], f"killed after {kills} s"


def test_workers_share_a_scan_and_its_pace(tmp_path: Path) -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql")
    with private_server(programs, fsync=False) as server:
        url = make_database(server)
        kill_monitor.make_baseline(tmp_path, url)
        one = kill_monitor.Round(tmp_path, url, (("worker",), ("worker",), ("monitor", "start")))
        with web_server() as posts, kill_monitor.open_ports():
            (tmp_path / "reconshield.toml").write_text(kill_monitor.policy_text(posts.url))
            try:
                for number in (0, 1):
                    one.start(number)
                with open_store(url) as store:
                    for _ in range(100):
                        if len(living(store, time.time())) == 2:
                            break
                        time.sleep(0.2)
                kill_monitor.play(one, 0, random.Random(1))
            finally:
                one.stop()
            with open_store(url) as store:
                assert kill_monitor.complaints(store, posts, 0) == []
                with store.read() as connection:
                    shares = connection.execute(text("SELECT executor_id FROM dbos.workflow_status WHERE name = 'share'"))
                    assert len({executor for (executor,) in shares}) >= 2


CONFIG = """
global(workDirectory="{folder}")
template(name="all" type="list") {{
  property(name="pri") constant(value="|") property(name="app-name") constant(value="|") property(name="msgid")
  constant(value="|") property(name="structured-data") constant(value="|") property(name="msg") constant(value="\\n")
}}
module(load="imudp")
module(load="imtcp" {tls})
input(type="imudp" address="{host}" port="{udp}" ruleset="take")
input(type="imtcp" address="{host}" port="{tcp}" ruleset="take")
ruleset(name="take") {{ action(type="omfile" file="{folder}/got" template="all") }}
"""
TLS = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'


@contextmanager
def rsyslog(folder: Path, *, tls: bool = False) -> Iterator[tuple[int, int]]:
    """A syslog daemon of our own on loopback; its ports for UDP and for TCP (or TLS)."""
    udp, tcp = unused_port(), unused_port()
    certificate, key = make_certificate(folder)
    settings = (
        f'global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{certificate}" '
        f'DefaultNetstreamDriverCertFile="{certificate}" DefaultNetstreamDriverKeyFile="{key}")\n'
    )
    told = CONFIG.format(folder=folder, host=HOST, udp=udp, tcp=tcp, tls=TLS if tls else "")
    (folder / "rsyslog.conf").write_text((settings if tls else "") + told)
    command = ["rsyslogd", "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "pid")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            await_port(tcp, daemon, folder / "log")
            yield udp, tcp
        finally:
            daemon.terminate()


def await_port(port: int, daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert daemon.poll() is None, log.read_text()
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"rsyslogd does not listen: {log.read_text()}")


def await_text(path: Path, lines: int) -> list[str]:
    for _ in range(100):
        found = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if len(found) >= lines:
            return found
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("form", ["cef", "json"])
def test_rsyslog_reads_what_we_send(transport: str, form: str, tmp_path: Path) -> None:
    if shutil.which("rsyslogd") is None:
        pytest.skip("rsyslog is not installed")
    if transport == "tls" and not any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
        pytest.skip("rsyslog-gnutls is not installed")
    with rsyslog(tmp_path, tls=transport == "tls") as (udp, tcp):
        settings = {"host": HOST, "port": udp if transport == "udp" else tcp, "transport": transport, "format": form}
        settings |= {"ca": str(tmp_path / "receiver.pem")}
        outcome = carry(SYSLOG, settings, notice(message(), message(number=82)))
        assert outcome.accepted, outcome.detail
        found = await_text(tmp_path / "got", 2)
    assert len(found) == 2
    priority, program, kind, structured, text = found[0].split("|", 4)
    assert (priority, program, kind) == (str(20 * 8 + 3), "reconshield", "opened")
    assert structured.startswith("[reconshield@32473 key=")
    assert 'id="a81"' in structured
    assert ("CEF:0|ReconShield" if form == "cef" else '"title":"[High 54] 110/tcp opened') in text
