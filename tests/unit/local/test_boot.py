"""The unit that starts an installation with the machine: what it says, and whose it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from virtualserver.installation.installation import Installation
from virtualserver.local import boot
from virtualserver.local.errors import ConflictError, LocalError


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
