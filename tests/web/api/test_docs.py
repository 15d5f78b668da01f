"""The client that docs/api.md shows works: its code is run against the app, served on loopback."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
Make = Callable[..., Any]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a port of loopback."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
        server.should_exit = True
        thread.join(5)


def test_the_client_of_the_page_scans_and_lists(program: Make, generous: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    admin = program("admin")
    client, use = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    admin.post("/grants", {"targets": ["127.0.0.1"], "by": "Ada", "level": 2})
    with served(generous) as base, closing(socket.create_server(("127.0.0.1", 0))) as server:
        names: dict[str, Any] = {"token": program("operator").token}
        port = server.getsockname()[1]
        use = (
            use.replace("http://127.0.0.1:8110/api/v1", base)
            .replace("192.0.2.0/28", "127.0.0.1")
            .replace('"1-1024"', f'"{port},9"')
        )
        exec(client + use, names)
        told = capsys.readouterr().out.splitlines()
        assert told[0] == "1 open, 0 filtered"
        assert told[1].startswith(f"127.0.0.1 {port} ")
        api = names["api"]
        again = names["scan"](api, ["127.0.0.1"], f"{port},9", key="nightly-2026-11-27")
        assert [row["id"] for row in api.every("/scans")] == [again["run"]["id"]]
        with pytest.raises(RuntimeError, match="grant"):
            names["scan"](api, ["192.0.2.1"], "9", key="other")
