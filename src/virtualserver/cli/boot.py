"""``vs enable`` and ``vs disable``: whether the machine starts the instance when it starts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from virtualserver.cli import output
from virtualserver.local import boot, caller, status

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["disable", "enable"]


@click.command("enable")
@output.option
@click.pass_obj
def enable(installation: Installation, form: str) -> None:
    """Have the machine start this instance when it starts itself, and shut its guests down when it ends (systemd)."""
    caller.require_root("vs enable")
    found = status.of(installation)
    unit = boot.enable(installation, is_running=found.control_plane.ready)
    if form == "json":
        output.as_json({"instance": installation.name, "enabled": True, "unit": str(unit)})
        return
    output.say(f"{unit}: instance {installation.name!r} starts with this machine, and ends with it.")
    if not found.control_plane.ready:
        output.say("It does not run now; `vs up` starts it.")


@click.command("disable")
@output.option
@click.pass_obj
def disable(installation: Installation, form: str) -> None:
    """Have the machine start this instance no longer; what runs goes on."""
    caller.require_root("vs disable")
    removed = boot.disable(installation)
    if form == "json":
        output.as_json({"instance": installation.name, "enabled": False, "removed": list(map(str, removed))})
    elif removed:
        output.say(f"Instance {installation.name!r} does not start with this machine any more; what runs goes on.")
    else:
        output.say(f"Instance {installation.name!r} was not started with this machine: nothing to do.")
