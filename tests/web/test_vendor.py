"""What others wrote is shipped as they published it, and named with its licence."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import reconshield.web

VENDOR = Path(reconshield.web.__file__).with_name("static") / "vendor"
ROW = re.compile(r"^\| (\S+) \| (\S+ \S+) \| (0BSD|MIT) \| ([0-9a-f]{64}) \|$", re.MULTILINE)


def test_vendored_files_are_those_that_the_list_names() -> None:
    rows = {name: digest for name, _, _, digest in ROW.findall((VENDOR / "README.md").read_text())}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}
    }
    assert found == rows
