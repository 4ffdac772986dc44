"""``vs delete``: says what goes and what stays, and asks; `servers.deletion` does it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from virtualserver.cli import output, progress, target
from virtualserver.cli.failures import CommandFailure
from virtualserver.servers import deletion

if TYPE_CHECKING:
    from virtualserver.servers.access import ApiAccess
    from virtualserver.servers.deletion import Fate

__all__ = ["command"]


@click.command("delete")
@target.argument
@click.option("--keep-disk", is_flag=True, help="Keep the disk: the next server of this name has it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@target.waits
def command(access: ApiAccess, name: str, keep_disk: bool, yes: bool, wait: bool, timeout: float, form: str) -> None:
    """Delete a server, with its disk unless that is kept; says what goes and what stays, and asks."""
    fate = asyncio.run(deletion.look(access, name))
    is_kept = bool(fate.disk) and (keep_disk or fate.keeps_disk)
    if not yes:
        _ask(access, fate, is_kept=is_kept)
    with progress.StepPrinter().step(f"Server {name}") as update:
        seconds = timeout if wait else None
        asyncio.run(deletion.delete(access, fate, keep_disk=keep_disk, seconds=seconds, update=update))
    if form == "json":
        disk = {"disk": fate.disk, "diskKept": is_kept}
        stays_and_goes = {"addresses": list(fate.addresses), "services": list(fate.services)}
        output.as_json({"name": fate.name, "namespace": fate.namespace, **disk, **stays_and_goes})
        return
    output.say(f"{name} is deleted{_end_of_disk(access, fate, is_kept=is_kept)}.")


def _ask(access: ApiAccess, fate: Fate, *, is_kept: bool) -> None:
    """Say what goes and what stays, and ask; returns only where the answer is yes."""
    output.say(f"This deletes server {fate.name} of namespace {fate.namespace}.", err=True)
    for word, things in (("goes", _going(fate, is_kept=is_kept)), ("stays", _staying(fate, is_kept=is_kept))):
        for thing in things:
            output.say(f"  {word:<6} {thing}", err=True)
    if fate.disk and not is_kept:
        output.say(f"  To keep the disk: {access.command('delete', '--keep-disk', fate.name)}", err=True)
    try:
        agreed = click.confirm("Delete it for good?", err=True)
    except click.Abort as error:
        remedy = f"Where nobody can answer: {access.command('delete', '--yes', fate.name)}"
        raise CommandFailure("nothing was deleted: the question was not answered.", remedy=remedy) from error
    if not agreed:
        raise CommandFailure("nothing was deleted.")


def _going(fate: Fate, *, is_kept: bool) -> list[str]:
    disk = [f"its disk ({fate.disk}), with all that is on it"] if fate.disk and not is_kept else []
    addresses = [f"its address {address}, which may be another's then" for address in fate.addresses]
    return [*disk, "its machine, which shuts down", *addresses]


def _staying(fate: Fate, *, is_kept: bool) -> list[str]:
    disk = [f"its disk ({fate.disk}), for the next server of this name"] if is_kept else []
    return [*disk, *(f"Service {name} with its address" for name in fate.services)]


def _end_of_disk(access: ApiAccess, fate: Fate, *, is_kept: bool) -> str:
    if not fate.disk:
        return ""
    if not is_kept:
        return ", and its disk with it"
    gone = f"kubectl delete dv {fate.name}{access.where}"
    return f"; its disk ({fate.disk}) is there for the next server {fate.name}, until it is removed: {gone}"
