"""The library: its names, what importing it costs, and the documented examples, run as they stand."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reconshield
from listeners import listening

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", reconshield.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(reconshield, name) is not None
    assert name in dir(reconshield)


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse((ROOT / "src" / "reconshield" / "__init__.pyi").read_text())
    names = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names | {"__version__"} == set(reconshield.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'scan_everything'"):
        _ = reconshield.scan_everything  # type: ignore[attr-defined] # it is not there


def test_importing_loads_nothing() -> None:
    code = "import json, sys, reconshield; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert [name for name in modules if name.startswith("reconshield")] == ["reconshield"]
    assert not {"numpy", "sqlalchemy", "typer"} & set(modules)


@pytest.mark.parametrize("example", EXAMPLES, ids=["one call", "step by step"])
def test_the_documented_example_runs(example: str, tmp_path: Path) -> None:
    def greet(made: object) -> None:
        made.sendall(b"+OK ready\r\n")  # type: ignore[attr-defined] # a socket

    with listening(greet) as listener:
        place = listener.endpoint
        code = example.replace("127.0.0.1", place.ip)
        code = re.sub(r'ports="[^"]*"', f'ports="{place.port},{place.port - 1}"', code)
        environ = os.environ | {"PYTHONWARNINGS": "error"}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False, env=environ
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] in {"1 open of 2 measured", "2 endpoints measured, silent ones too"}
    assert (tmp_path / "reconshield-home" / "reconshield.db").is_file()
