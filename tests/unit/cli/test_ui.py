"""Why `vs ui` serves a console itself; that it does is in `tests/integration/console/test_ui.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.cli.ui import why_here
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path


def test_why_the_instances_own_console_is_not_meant_is_said_with_how_to_name_another(tmp_path: Path) -> None:
    installation = Installation.from_environment({"VS_STATE": str(tmp_path)})
    assert "no console of instance 'default'" in why_here(installation)
    installation.console_socket.parent.mkdir(parents=True)
    installation.console_socket.touch()
    told = why_here(installation)
    assert "not the API server of instance 'default'" in told and "VS_STATE or VS_INSTANCE" in told
