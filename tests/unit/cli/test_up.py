"""How ``vs up`` begins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from click.testing import CliRunner

from virtualserver.cli import main
from virtualserver.installation.installation import Installation
from virtualserver.local import caller, up
from virtualserver.local.errors import LocalError

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SETTINGS = {
    "options": {"bind": "127.0.0.1", "components": ["etcd"], "service_ranges": ["10.96.0.0/16"]},
    "programs": "/nonexistent",
    "version": "0.1.0",
}


def test_an_installation_of_an_earlier_version_is_taken_over_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VS_STATE", str(tmp_path))
    monkeypatch.setenv("VS_INSTANCE", "unit")
    monkeypatch.delenv("VS_CONTROLPLANE", raising=False)
    installation = Installation.from_environment()
    installation.state.mkdir()
    (installation.state / "VERSION").write_text("1\n")
    installation.record_file.write_text(json.dumps({"controlplane": SETTINGS}))

    def run(start: up.Start) -> NoReturn:
        raise LocalError(f"begun with {start.installation.record().controlplane}")

    def nobody(_command: str) -> None:
        """Let everybody pass."""

    monkeypatch.setattr(up, "run", run)
    monkeypatch.setattr(caller, "require_root", nobody)
    done = CliRunner().invoke(main.vs, ["up"])
    assert "error: begun with ControlPlaneSettings(" in done.stderr
