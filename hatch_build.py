"""Build hook: put the index of the catalogue into the wheel, and into the source tree of an editable install.

Standard library only: the catalogue's loader needs nothing else, so building needs no dependency of the package.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class IndexHook(BuildHookInterface[Any]):
    """Writes `knowledge/index.json`, so that `reconshield port` reads one service file instead of all."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, str(Path(self.root, "src")))
        from reconshield.knowledge.index import INDEX, write_index

        if version == "editable":
            # The files may change after this; the index notes what it was made from, and is passed over once that differs.
            write_index(INDEX)
            return
        self._folder = tempfile.TemporaryDirectory()
        packaged = write_index(Path(self._folder.name, "index.json"), packaged=True)
        # A tree may hold a development index; git-ignored files stay out of the wheel, so this is the only one in it.
        build_data["force_include"][str(packaged)] = "reconshield/knowledge/index.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()
