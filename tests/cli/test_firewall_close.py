"""`firewall advise`, `retire` and `verify` as a user types them; a port on loopback that is open, then closed."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from detect.captures import zeek_conn, zeek_row
from reconshield.cli.main import main


class Shell:
    """The command line in this process, with a home of its own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self._capsys, self._patch = home, capsys, monkeypatch

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._patch.setattr("sys.argv", ["reconshield", "--home", str(self.home), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return Shell(tmp_path, capsys, monkeypatch)


def test_only_a_measurement_closes(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        shell("policy", "check")
        (shell.home / "reconshield.toml").write_text('version = 1\n[[closed]]\nports = "1-65535"\n')
        assert shell("scan", "127.0.0.1", "-p", str(port), "--level", "2")[0] == 0
        code, out, err = shell("firewall", "verify")
        assert (code, "not measured since" in out) == (1, True), err
        assert "--run-after" in err
        code, out, _ = shell("firewall", "verify", "--run-after")
        assert (code, "now open (syn-ack)" in out) == (1, True)
    [first, *_] = [json.loads(line)["id"] for line in reversed(shell("runs", "--json")[1].splitlines())]
    code, out, _ = shell("firewall", "verify", "--run", first, "--run-after")
    assert (code, "closed: 1 of 1 endpoint" in out) == (0, True), out
    code, out, _ = shell("firewall", "verify", "--run", first, "--json")
    assert (code, json.loads(out)["after"]) == (0, "closed")


def test_who_still_uses_a_service_comes_from_flow_logs(shell: Shell) -> None:
    rows = [zeek_row(1_760_000_000 + at, "10.8.0.5", "192.0.2.5", 110) for at in range(3)]
    rows.append(zeek_row(1_760_000_000, "203.0.113.9", "192.0.2.5", 110, conn_state="REJ"))
    (shell.home / "conn.log").write_bytes(zeek_conn(rows))
    code, out, _ = shell("firewall", "retire", "pop3", "--flows", "conn.log", "--json")
    plan = json.loads(out)
    assert code == 0
    assert [(user["address"], user["flows"]) for user in plan["users"]] == [("10.8.0.5", 3)]
    assert [stage["title"] for stage in plan["stages"]] == ["watch", "tell", "narrow", "close", "switch off"]
    assert "ip saddr 10.8.0.5 tcp dport 110 accept" in plan["stages"][2]["files"]["reconshield.nft"]
    assert plan["policy"].startswith('[[closed]]\nports = "110"')
    code, out, _ = shell("firewall", "retire", "pop3")
    assert "This does not mean nobody." in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["advise", "110", "--platform", "abacus"], "no rules are made for abacus"),
        (["advise"], "name ports or a run"),
        (["advise", "110", "--allow", "10.8.0.0/24", "--deny", "10.8.0.1"], "both allowed and denied"),
        (["advise", "110", "--allow", "mail.example"], "mail.example is a name"),
        (["advise", "70000"], "out of range"),
        (["retire", "nosuchservice"], "nosuchservice"),
        (["retire", "64999"], "no service is documented"),
        (["prove", "110", "--existing", "missing.nft"], "cannot be read"),
    ],
)
def test_bad_input_is_answered(shell: Shell, words: list[str], said: str) -> None:
    code, _, err = shell("firewall", *words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_rules_that_would_cut_off_the_operator_are_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.5 50000 192.0.2.5 22")
    code, _, err = shell("firewall", "advise", "ssh", "--allow", "10.8.0.0/24")
    assert (code, "lock you out" in err) == (2, True)
    assert shell("firewall", "advise", "ssh", "--allow", "203.0.113.0/24")[0] == 0


def test_a_public_service_is_opened_and_not_denied(shell: Shell) -> None:
    code, out, _ = shell("firewall", "advise", "25")
    assert code == 0
    assert "tcp dport 25 accept" in out
    assert "counter drop" not in out
