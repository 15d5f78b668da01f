"""`reconshield fingerprints import` as a user runs it, and what a scan makes of it, with a real listener."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

FILE = Path(__file__).parents[1] / "identify" / "fingerprints" / "http_servers.xml"


class Examplix(socketserver.BaseRequestHandler):
    """A web server that names itself; nobody but the user's own patterns knows its vendor."""

    def handle(self) -> None:
        if self.request.recv(4096).startswith(b"GET "):
            self.request.sendall(b"HTTP/1.0 200 OK\r\nServer: Examplix/4.2.1 (Unix)\r\nContent-Length: 2\r\n\r\nhi")


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "reconshield", "--home", str(home), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_imported_patterns_widen_a_scan(tmp_path: Path) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Examplix) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        scan = ("scan", "127.0.0.1", "-p", str(server.server_address[1]), "--level", "3", "--format", "jsonl")
        imported = run(tmp_path, "fingerprints", "import", str(FILE))
        done = run(tmp_path, *scan)
        server.shutdown()
    assert imported.returncode == 0, imported.stderr
    assert imported.stdout.startswith("2 patterns kept in ")
    assert "not used: a repeat inside another" in imported.stdout
    lines = map(json.loads, done.stdout.splitlines())
    [service] = [line for line in lines if line["type"] == "service"]
    assert (service["service"], service["product"], service["version"]) == ("http", "Examplix", "4.2.1")
    assert service["cpe"] == ["cpe:2.3:a:example:examplix:4.2.1:*:*:*:*:*:*:*"]
    assert service["others"] == ["recog: Examplix web server"]


def test_a_wrong_file_is_the_users_mistake(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<html/>")
    done = run(tmp_path, "fingerprints", "import", str(file))
    assert done.returncode == 2
    assert "this is no recog file" in done.stderr
    assert str(file) in done.stderr
