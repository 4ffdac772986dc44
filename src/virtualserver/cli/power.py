"""``vs start``, ``stop`` and ``restart``; `servers.power` does it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import click

from virtualserver.cli import output, progress, target
from virtualserver.servers import power

if TYPE_CHECKING:
    from virtualserver.servers.access import ApiAccess
    from virtualserver.servers.power import PowerChange

__all__ = ["restart", "start", "stop"]

_force = click.option("--force", is_flag=True, help="Switch it off at once: the guest loses what it has not written.")


@click.command("start")
@target.argument
@target.waits
def start(access: ApiAccess, name: str, wait: bool, timeout: float, form: str) -> None:
    """Start a server, or let a paused one go on: vs start web."""
    with progress.StepPrinter().step(f"Server {name}") as update:
        seconds = timeout if wait else None
        changed = asyncio.run(power.start(access, name, seconds=seconds, update=update))
    _print(access, changed, form, done="is started" if changed.changed else "runs already", waited=wait)


@click.command("stop")
@target.argument
@_force
@target.waits
def stop(access: ApiAccess, name: str, force: bool, wait: bool, timeout: float, form: str) -> None:
    """Press a server's power button and wait until the guest has shut down; its disk and addresses stay."""
    with progress.StepPrinter().step(f"Server {name}") as update:
        seconds = timeout if wait else None
        changed = asyncio.run(power.stop(access, name, force=force, seconds=seconds, update=update))
    _print(access, changed, form, done="is stopped" if changed.changed else "is stopped already", waited=wait)


@click.command("restart")
@target.argument
@_force
@target.waits
def restart(access: ApiAccess, name: str, force: bool, wait: bool, timeout: float, form: str) -> None:
    """Shut a running server down and start it again, with all that waits for its next start."""
    with progress.StepPrinter().step(f"Server {name}") as update:
        seconds = timeout if wait else None
        changed = asyncio.run(power.restart(access, name, force=force, seconds=seconds, update=update))
    _print(access, changed, form, done="is restarted", waited=wait)


def _print(access: ApiAccess, changed: PowerChange, form: str, *, done: str, waited: bool) -> None:
    if form == "json":
        output.as_json(dataclasses.asdict(changed))
    elif waited or not changed.changed:
        output.say(f"{changed.name} {done}: {changed.message}")
    else:
        output.say(
            f"{changed.name}: asked for, and not waited for; how far it is: {access.command('show', changed.name)}"
        )
