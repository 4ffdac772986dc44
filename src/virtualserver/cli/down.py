"""``vs down``: guests first and all at once, then everything else; what an owner would miss stays unless purged."""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
import time
from typing import TYPE_CHECKING

import click

from virtualserver import controlplane
from virtualserver.cli import caller, failures, host, output, progress
from virtualserver.cli.kubectl import Kubectl
from virtualserver.installation import migrations
from virtualserver.machines.machine import Machine, Running
from virtualserver.node.vmi.lifecycle import PRESS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from virtualserver.installation.installation import Installation
    from virtualserver.machines.hypervisor import Hypervisor

__all__ = ["GRACE_SECONDS", "command", "disks_of", "purge", "stop", "stop_machines"]

GRACE_SECONDS = 60.0
"""How long guests may take to power themselves off."""


def stop(installation: Installation, *, report: progress.Progress, grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Stop the installation, so that nothing of it is left on the host but its state folder; idempotent.

    The control plane goes first, or it would start again what is stopped; guests and packets do not need it.

    Args:
        installation: What is stopped.
        report: Told what is waited for.
        grace_seconds: How long guests may take before they are switched off.

    Returns:
        The servers that did not shut down in time and were switched off, as ``NAMESPACE/NAME``.

    Raises:
        ControlPlaneError: A process of ours does not end.
    """
    with report.step("Control plane") as update:
        controlplane.stop(installation, progress=update)
    with report.step("Servers") as update:
        switched_off = asyncio.run(stop_machines(host.machines(installation), update, grace_seconds))
        asyncio.run(host.machines(installation).end_strays())
    with report.step("Network") as update:
        plane = host.data_plane(installation)
        if plane is not None:
            update("removing namespace, links, rules and routes", None)
            asyncio.run(plane.stop())
    shutil.rmtree(installation.run, ignore_errors=True)
    with contextlib.suppress(OSError):
        installation.run_root.rmdir()  # others may have theirs in it
    return switched_off


async def stop_machines(running: Hypervisor, update: progress.Update, grace_seconds: float) -> list[str]:
    """Press every power button at once, wait with a countdown, switch off what still runs then, and return its names.

    A machine that ended by itself is left for the node to report; one that we ended leaves nothing, so that the node
    starts it again next time.
    """
    try:
        ours = _running((await running.adopt()).values())
        for machine in ours:
            # Whoever kills us from here on: the node starts these again, whatever they do about their buttons.
            machine.dismiss()
        end = time.monotonic() + grace_seconds
        pressed = -math.inf
        while (left := _running(ours)) and (rest := end - time.monotonic()) > 0:
            if time.monotonic() - pressed >= PRESS_SECONDS:
                pressed = time.monotonic()
                await asyncio.gather(*(machine.power_down() for machine in left))
            names = ", ".join(machine.spec.name for machine in left[:3]) + (" …" if len(left) > 3 else "")
            update(f"{len(left)} still shutting down ({names}); switched off in {rest:.0f} s", 1 - rest / grace_seconds)
            await asyncio.sleep(0.1)
        deaf = _running(ours)
        await asyncio.gather(*(machine.quit() for machine in deaf))
        await asyncio.gather(*(running.discard(machine.identifier) for machine in ours))
        return sorted(machine.spec.name for machine in deaf)
    finally:
        await running.close()


def _running(machines: Iterable[Machine]) -> list[Machine]:
    return [machine for machine in machines if isinstance(machine.state, Running)]


def disks_of(installation: Installation) -> list[str]:
    """Return the servers' disks that a purge would remove: whose (as long as the API server answers), where, size."""
    folder = installation.disks
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    whose = _owners(installation) if files else {}
    return [f"{whose.get(path.stem, '')}{path} ({path.stat().st_blocks * 512 / 2**20:.0f} MiB)" for path in files]


def _owners(installation: Installation) -> dict[str, str]:
    """Return ``NAMESPACE/NAME: `` of the volumes by their disks' identifiers, ``{}`` where nobody answers."""
    if not controlplane.status(installation).ready:
        return {}
    with contextlib.suppress(failures.Failure):  # a purge goes on without names
        found = [volume["metadata"] for volume in Kubectl(installation).list("datavolumes")]
        return {metadata["uid"]: f"{metadata['namespace']}/{metadata['name']}: " for metadata in found}
    return {}


def purge(installation: Installation) -> None:
    """Remove the state folder of a stopped installation; programs and the environment that installations share stay."""
    shutil.rmtree(installation.state, ignore_errors=True)


@click.command("down")
@click.option("--purge", "purged", is_flag=True, help="Remove servers' disks and all objects too; asks first.")
@click.option("--yes", is_flag=True, help="With --purge: do not ask.")
@output.option
@click.pass_obj
def command(installation: Installation, form: str, purged: bool, yes: bool) -> None:
    """Stop the servers gracefully, then everything else; disks and objects stay, and `vs up` starts them again."""
    caller.require_root("vs down")
    if yes and not purged:
        raise click.UsageError("--yes answers the question that only --purge asks.")
    if not installation.state.exists():
        _tell(form, f"There is no instance {installation.name!r} in {installation.root}: nothing to do.", installation)
        return
    report = progress.Progress()
    if migrations.is_older(installation.state):
        with controlplane.locked(installation, report.once):
            migrations.migrate(installation.state)
    disks = disks_of(installation)
    if purged and not yes:
        _ask(installation, disks)
    with controlplane.locked(installation, report.once):
        switched_off = stop(installation, report=report)
        if purged:
            purge(installation)
    said = ["Removed."] if purged else ["Stopped; disks and objects stay. Start again with `vs up`."]
    if switched_off:
        said.insert(0, f"Switched off, since they had not shut down in time: {', '.join(switched_off)}.")
    _tell(form, "\n".join(said), installation, purged=purged, disks=disks if purged else [], switched_off=switched_off)


def _ask(installation: Installation, disks: list[str]) -> None:
    """List what a purge removes, and ask; returns only where the answer is yes."""
    click.echo(f"This removes instance {installation.name!r} with all its objects, and {len(disks)} disk(s):", err=True)
    for disk in disks:
        click.echo(f"  {disk}", err=True)
    try:
        agreed = click.confirm("Remove them for good?", err=True)
    except click.Abort as error:
        remedy = "Where nobody can answer: vs down --purge --yes (make purge ARGS=--yes)"
        raise failures.Failure("nothing was removed: the question was not answered.", remedy=remedy) from error
    if not agreed:
        raise failures.Failure("nothing was removed.")


def _tell(
    form: str,
    said: str,
    installation: Installation,
    *,
    purged: bool = False,
    disks: Sequence[str] = (),
    switched_off: Sequence[str] = (),
) -> None:
    if form == "json":
        result = {"instance": installation.name, "running": False, "purged": purged}
        output.as_json({**result, "disksRemoved": list(disks), "switchedOff": list(switched_off)})
    else:
        click.echo(said)
