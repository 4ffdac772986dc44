"""A systemd unit that starts an installation when the machine does, and shuts its guests down when the machine ends.

The unit is a file and a link, as ``systemctl enable`` makes them; where systemd runs it is told. Nothing but this is
changed: what runs goes on, and what is stopped stays so until the machine starts again.
Source: systemd.service(5), systemd.kill(5).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.host.files import write_atomically
from virtualserver.local.errors import ConflictError, LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.installation.installation import Installation

__all__ = ["UNITS", "disable", "enable", "files", "follow", "text"]

UNITS: Final = Path("/etc/systemd/system")
"""Where an administrator's units are."""

_TARGET: Final = "multi-user.target.wants"
_RUNS: Final = Path("/run/systemd/system")
"""There where systemd is what started this machine."""

_UNIT: Final = """\
# Made by `vs enable`, removed by `vs disable`.
[Unit]
Description=Virtual Servers, instance {name}
Wants=network-online.target
After=network-online.target local-fs.target remote-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
{environment}
ExecStart={program} -m virtualserver.cli up --no-hello
ExecStop={program} -m virtualserver.cli down
# What `vs up` leaves running is no part of a start that fails or is repeated: guests are never killed with it, nor
# because one process of theirs ran out of memory. Only `vs down` ends them, by their power buttons.
KillMode=process
SendSIGKILL=no
OOMPolicy=continue
TasksMax=infinity
LimitNOFILE=65536
TimeoutStartSec=30min
TimeoutStopSec=5min

[Install]
WantedBy=multi-user.target
"""


def text(installation: Installation, *, program: Path) -> str:
    """Return the unit: pure.

    Args:
        installation: What it starts.
        program: The Python that this package is installed in.
    """
    environment = {"VS_INSTANCE": installation.name, "VS_STATE": str(installation.root)}
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()]
    return _UNIT.format(name=installation.name, environment="\n".join(lines), program=_quoted(str(program)))


def enable(installation: Installation, *, is_running: bool, units: Path = UNITS) -> Path:
    """Have the machine start the installation when it starts itself; idempotent.

    Args:
        installation: What is started.
        is_running: Whether it runs now; then systemd is told so, and shuts it down with the machine.
        units: Where units are.

    Returns:
        The unit.

    Raises:
        ConflictError: Another installation of this name has a unit.
        LocalError: systemd refuses the unit, or there is none on this machine.
    """
    if not units.is_dir():
        raise LocalError(
            f"{units}: there is no such folder, so systemd does not start this machine.",
            remedy="Have whatever starts it run `vs up --no-hello`.",
        )
    unit, link = _unit(installation, units), _link(installation, units)
    _refuse_anothers(installation, unit)
    wanted = text(installation, program=Path(sys.executable))
    if not unit.exists() or unit.read_text() != wanted:
        write_atomically(unit, wanted, mode=0o644)
    if not link.is_symlink():
        link.parent.mkdir(mode=0o755, exist_ok=True)
        link.symlink_to(Path("..") / unit.name)
    if _is_told(units):
        _systemctl("daemon-reload")
        if is_running:
            _systemctl("start", unit.name)
    return unit


def follow(installation: Installation, *, units: Path = UNITS) -> None:
    """Tell systemd of an installation that runs, where it is enabled: what systemd did not start, it does not end.

    Without it, guests of one that was enabled while it was stopped would get no power button when the machine ends.

    Args:
        installation: What runs now; perhaps its unit is just starting it, and then nothing is told.
        units: Where units are.

    Raises:
        LocalError: systemd does not take it.
    """
    if not files(installation, units=units) or not _is_told(units):
        return
    unit = _unit(installation, units).name
    try:
        done = subprocess.run(("systemctl", "is-active", unit), capture_output=True, text=True, check=False)
    except OSError as error:
        raise LocalError(f"systemctl is-active {unit}: {error.strerror}") from error
    # One that is starting runs this program, and one that is stopping is not to come back.
    if done.stdout.strip() in ("inactive", "failed"):
        _systemctl("start", "--no-block", unit)


def disable(installation: Installation, *, units: Path = UNITS) -> list[Path]:
    """Have the machine start the installation no longer; what runs goes on. Return what was removed, `[]` for nothing.

    Raises:
        LocalError: systemd does not take it.
    """
    found = files(installation, units=units)
    for path in reversed(found):
        path.unlink(missing_ok=True)
    if found and _is_told(units):
        _systemctl("daemon-reload")
    return found


def files(installation: Installation, *, units: Path = UNITS) -> list[Path]:
    """Return the unit of an installation and the link to it, as far as they are there and are its own."""
    unit, link = _unit(installation, units), _link(installation, units)
    if not _is_own(installation, unit):
        return []
    return [unit, *([link] if link.is_symlink() else [])]


def _unit(installation: Installation, units: Path) -> Path:
    return units / f"virtualserver-{installation.name}.service"


def _link(installation: Installation, units: Path) -> Path:
    return units / _TARGET / _unit(installation, units).name


def _is_own(installation: Installation, unit: Path) -> bool:
    """Return whether a unit starts this installation, and not another one of its name."""
    try:
        lines = unit.read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # somebody else's, if it is no text
        return False
    return f"Environment={_quoted(f'VS_STATE={installation.root}')}" in lines


def _refuse_anothers(installation: Installation, unit: Path) -> None:
    if unit.exists() and not _is_own(installation, unit):
        raise ConflictError(
            f"{unit} is of another instance named {installation.name!r}, in another folder.",
            remedy="Disable that one first, with its VS_STATE: vs disable.",
        )


def _is_told(units: Path) -> bool:
    return units == UNITS and _RUNS.is_dir()


def _systemctl(*arguments: str) -> None:
    command: Sequence[str] = ("systemctl", *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LocalError(f"{' '.join(command)}: {error.strerror}") from error
    if done.returncode:
        raise LocalError(f"{' '.join(command)}: {done.stderr.strip() or f'status {done.returncode}'}")


def _quoted(word: str) -> str:
    """Return a word as units write it, with nothing in it that systemd would replace."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
