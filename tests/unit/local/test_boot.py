"""The unit that starts an installation with the machine: what it says, and whose it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from virtualserver.installation.installation import Installation
from virtualserver.local import boot
from virtualserver.local.errors import ConflictError, LocalError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def units(tmp_path: Path) -> Path:
    folder = tmp_path / "units"
    folder.mkdir()
    return folder


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation.below(tmp_path / "state", "one")


def test_it_is_written_once_and_removed_with_its_link(installation: Installation, units: Path) -> None:
    unit = boot.enable(installation, is_running=True, units=units)
    link = units / "multi-user.target.wants" / unit.name
    assert (unit.name, link.resolve()) == ("virtualserver-one.service", unit)
    written = unit.stat().st_mtime_ns
    assert boot.enable(installation, is_running=True, units=units) == unit
    assert unit.stat().st_mtime_ns == written
    assert boot.files(installation, units=units) == [unit, link]
    assert boot.disable(installation, units=units) == [unit, link]
    assert boot.files(installation, units=units) == boot.disable(installation, units=units) == []
    assert not unit.exists() and not link.is_symlink()


def test_guests_are_spared_whatever_becomes_of_the_unit(installation: Installation) -> None:
    lines = boot.text(installation, program=Path("/opt/vs/bin/python")).splitlines()
    assert {"KillMode=process", "SendSIGKILL=no", "OOMPolicy=continue", "RemainAfterExit=yes"} <= set(lines)
    assert 'ExecStart="/opt/vs/bin/python" -m virtualserver.cli up --no-hello' in lines
    assert 'ExecStop="/opt/vs/bin/python" -m virtualserver.cli down' in lines
    assert 'Environment="VS_INSTANCE=one"' in lines


def test_that_of_another_installation_of_the_name_is_left_alone(
    installation: Installation, units: Path, tmp_path: Path
) -> None:
    unit = boot.enable(installation, is_running=False, units=units)
    other = Installation.below(tmp_path / "elsewhere", "one")
    with pytest.raises(ConflictError):
        boot.enable(other, is_running=False, units=units)
    assert boot.files(other, units=units) == boot.disable(other, units=units) == []
    assert unit.exists()


def test_a_machine_without_systemd_is_told_what_to_do(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="systemd does not start this machine"):
        boot.enable(installation, is_running=False, units=tmp_path / "nothing")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Return a function that follows an enabled installation and returns what systemd, in a state, is told."""

    def there(_units: Path) -> bool:
        return True

    folder, log = tmp_path / "bin", tmp_path / "systemctl.log"
    folder.mkdir()
    (folder / "systemctl").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(boot, "_is_told", there)
    units = tmp_path / "units"

    def tell(state: str) -> list[str]:
        stub = folder / "systemctl"
        stub.unlink()
        stub.write_text(f'#!/bin/sh\n[ "$1" != is-active ] || {{ echo {state}; exit 3; }}\necho "$*" >> {log}\n')
        stub.chmod(0o755)
        log.write_text("")
        boot.follow(Installation.below(tmp_path / "state", "one"), units=units)
        return log.read_text().splitlines()

    return tell


def test_systemd_is_told_of_what_was_enabled_while_it_was_stopped(
    installation: Installation, units: Path, told: Callable[[str], list[str]]
) -> None:
    """It runs `ExecStop` of what it has started alone: guests got no power button when the machine was shut down."""
    assert told("inactive") == [], "it is not enabled"
    boot.enable(installation, is_running=False, units=units)
    assert told("inactive") == told("failed") == ["start --no-block virtualserver-one.service"]
    assert told("active") == []


@pytest.mark.parametrize("state", ["activating", "deactivating"])
def test_a_unit_that_begins_or_ends_is_not_started_by_what_it_runs_itself(
    installation: Installation, units: Path, told: Callable[[str], list[str]], state: str
) -> None:
    boot.enable(installation, is_running=False, units=units)
    assert told(state) == []


def test_a_unit_that_is_no_text_is_anothers(installation: Installation, units: Path) -> None:
    (units / "virtualserver-one.service").write_bytes(b"\xff\xfe")
    assert boot.files(installation, units=units) == []
    with pytest.raises(ConflictError):
        boot.enable(installation, is_running=False, units=units)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("folder", ["state", 'a "folder" of 100 % $HOME'])
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, units: Path, folder: str) -> None:
    unit = units / "virtualserver-one.service"
    installation = Installation.below(tmp_path / folder, "one")
    unit.write_text(boot.text(installation, program=Path(sys.executable)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
