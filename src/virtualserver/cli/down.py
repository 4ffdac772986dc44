"""``vs down``: asks before a purge, and says what was switched off."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING

import click

from virtualserver.cli import output, progress
from virtualserver.cli.failures import CommandFailure
from virtualserver.host.counts import counted
from virtualserver.local import caller, down, inventory
from virtualserver.local.takeover import take_over

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation
    from virtualserver.local.down import ServersDisk

__all__ = ["command"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Done:
    """What the command did."""

    said: str
    purged: bool = False
    left: tuple[down.Shared, ...] = ()
    disks: tuple[str, ...] = ()
    switched_off: tuple[str, ...] = ()


@click.command("down")
@click.option("--purge", "purged", is_flag=True, help="Remove servers' disks and all objects too; asks first.")
@click.option("--yes", is_flag=True, help="With --purge: do not ask.")
@output.option
@click.pass_obj
def command(installation: Installation, form: str, purged: bool, yes: bool) -> None:
    """Stop the control plane, press all power buttons, remove the network; disks and objects stay for `vs up`."""
    caller.require_root("vs down")
    if yes and not purged:
        raise click.UsageError("--yes answers the question that only --purge asks.")
    if not installation.state.exists() and not inventory.of(installation):
        done = _Done(f"There is no instance {installation.name!r} in {installation.root}: nothing to do.")
    else:
        done = _stop(installation, purged=purged, yes=yes)
    if form == "text":
        output.say(done.said)
        return
    result = {"instance": installation.name, "running": False, "purged": done.purged}
    left = {str(one.path): one.stored_bytes for one in done.left}
    output.as_json({**result, "disksRemoved": list(done.disks), "switchedOff": list(done.switched_off), "left": left})


def _stop(installation: Installation, *, purged: bool, yes: bool) -> _Done:
    report = progress.StepPrinter()
    take_over(installation, report)
    disks = tuple(map(_line, down.disks_of(installation)))
    if purged and not yes:
        _ask(installation, disks)
    switched_off = tuple(down.stop(installation, report=report, purged=purged))
    left = tuple(down.shared_by(installation)) if purged else ()
    said = _removed(installation, left) if purged else ["Stopped; disks and objects stay. Start again with `vs up`."]
    if switched_off:
        said.insert(0, f"Switched off, since they had not shut down in time: {', '.join(switched_off)}.")
    return _Done("\n".join(said), purged, left, disks if purged else (), switched_off)


def _removed(installation: Installation, left: tuple[down.Shared, ...]) -> list[str]:
    """Return what a purge says: what it left, and how that goes too."""
    if not left:
        return ["Removed."]
    folders = ", ".join(f"{one.path} ({_size(one.stored_bytes)})" for one in left)
    others = sorted(path.name for path in installation.root.iterdir() if (path / "VERSION").exists())
    command = shlex.join(["rm", "-r", *(str(one.path) for one in left)])
    remedy = f"instances {', '.join(others)} use it" if others else f"{command} removes it too"
    return [f"Removed. What instances share stays: {folders}; {remedy}."]


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _line(disk: ServersDisk) -> str:
    owner = f"{disk.owner}: " if disk.owner else ""
    return f"{owner}{disk.path} ({disk.stored_bytes / 2**20:.0f} MiB)"


def _ask(installation: Installation, disks: tuple[str, ...]) -> None:
    """List what a purge removes, and ask; returns only where the answer is yes."""
    with_disks = f"with all its objects, and {counted(len(disks), 'disk')}:"
    output.say(f"This removes instance {installation.name!r} {with_disks}", err=True)
    for disk in disks:
        output.say(f"  {disk}", err=True)
    try:
        agreed = click.confirm("Remove them for good?", err=True)
    except click.Abort as error:
        remedy = "Where nobody can answer: vs down --purge --yes (make purge ARGS=--yes)"
        raise CommandFailure("nothing was removed: the question was not answered.", remedy=remedy) from error
    if not agreed:
        raise CommandFailure("nothing was removed.")
