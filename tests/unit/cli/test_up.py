"""How ``vs up`` begins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import pytest
from click.testing import CliRunner

from virtualserver.cli import main
from virtualserver.installation.installation import Installation
from virtualserver.local import boot, caller, up
from virtualserver.local.errors import LocalError

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize("is_refused", [False, True])
def test_systemd_is_told_at_the_end_and_what_it_refuses_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    said: list[str] = []

    def note(*about: object, **_: object) -> str:
        said.append(str(about))
        return ""

    def follow(installation: Installation) -> None:
        said.append(f"systemd: {installation.name}")
        if is_refused:
            raise LocalError("systemctl start: no")

    monkeypatch.setenv("VS_STATE", str(tmp_path))
    monkeypatch.setenv("VS_INSTANCE", "unit")
    monkeypatch.setattr(caller, "require_root", note)
    monkeypatch.setattr(up, "plan_of", note)
    monkeypatch.setattr(up, "run", note)
    monkeypatch.setattr(boot, "follow", follow)
    for name in ("text", "_link"):
        monkeypatch.setattr(f"virtualserver.cli.up.{name}", note)
    done = CliRunner().invoke(main.vs, ["up"])
    assert (done.exit_code, "systemctl start: no" in done.stderr) == (0, is_refused)
    assert "systemd: unit" in said and said.index("systemd: unit") >= 2, "after the run"
