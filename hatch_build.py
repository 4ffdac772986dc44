"""Puts the console's built pages into the wheel, and fails where nobody has built them: a wheel without them starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Pages(BuildHookInterface[BuilderConfig]):
    """The pages, from the folder that VS_PAGES names, else from ``web/dist``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them to a wheel; an editable one reads them from their own place.

        Raises:
            RuntimeError: They are not there.
        """
        if version == "editable":
            return
        pages = Path(os.environ.get("VS_PAGES") or Path(self.root) / "web" / "dist")
        if not (pages / "index.html").is_file():
            raise RuntimeError(f"{pages}: the console's pages are not there: build them with `make web`")
        build_data["force_include"][str(pages)] = "virtualserver/console/pages"
