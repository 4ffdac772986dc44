"""``vs down``: guests first and all at once, then everything else; what an owner would miss stays unless purged.

Tests: ``tests/unit/cli/test_down.py``; that nothing is left behind ``tests/e2e``.
"""

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
from virtualserver.node.lifecycle import PRESS_SECONDS
from virtualserver.node.machine import Machine, Running

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from virtualserver.instance import Instance
    from virtualserver.node.hypervisor import Hypervisor

__all__ = ["GRACE_SECONDS", "command", "disks_of", "purge", "stop", "stop_machines"]

GRACE_SECONDS = 60.0
"""How long guests may take to power themselves off."""


def stop(instance: Instance, *, report: progress.Progress, grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Stop the instance, so that nothing of it is left on the host but its state folder; idempotent.

    The control plane goes first, or it would start again what is stopped; guests and packets do not need it.

    Args:
        instance: What is stopped.
        report: Told what is waited for.
        grace_seconds: How long guests may take before they are switched off.

    Returns:
        The servers that did not shut down in time and were switched off, as ``NAMESPACE/NAME``.

    Raises:
        ControlPlaneError: A process of ours does not end.
    """
    with report.step("Control plane") as update:
        controlplane.stop(instance, progress=update)
    with report.step("Servers") as update:
        switched_off = asyncio.run(stop_machines(host.machines(instance), update, grace_seconds))
        asyncio.run(host.machines(instance).end_strays())
    with report.step("Network") as update:
        plane = host.data_plane(instance)
        if plane is not None:
            update("removing namespace, links, rules and routes", None)
            asyncio.run(plane.stop())
    shutil.rmtree(instance.run, ignore_errors=True)
    with contextlib.suppress(OSError):
        instance.run_root.rmdir()  # others may have theirs in it
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


def disks_of(instance: Instance) -> list[str]:
    """Return the servers' disks that a purge would remove: whose (as long as the API server answers), where, size."""
    folder = instance.state / "disks"
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    whose = _owners(instance) if files else {}
    return [f"{whose.get(path.stem, '')}{path} ({path.stat().st_blocks * 512 / 2**20:.0f} MiB)" for path in files]


def _owners(instance: Instance) -> dict[str, str]:
    """Return ``NAMESPACE/NAME: `` of the volumes by their disks' identifiers, ``{}`` where nobody answers."""
    if not controlplane.status(instance).ready:
        return {}
    with contextlib.suppress(failures.Failure):  # a purge goes on without names
        found = [volume["metadata"] for volume in Kubectl(instance).list("datavolumes")]
        return {metadata["uid"]: f"{metadata['namespace']}/{metadata['name']}: " for metadata in found}
    return {}


def purge(instance: Instance) -> None:
    """Remove the state folder of a stopped instance; programs and the environment that instances share stay."""
    shutil.rmtree(instance.state, ignore_errors=True)


@click.command("down")
@click.option("--purge", "purged", is_flag=True, help="Remove servers' disks and all objects too; asks first.")
@click.option("--yes", is_flag=True, help="With --purge: do not ask.")
@output.option
@click.pass_obj
def command(instance: Instance, form: str, purged: bool, yes: bool) -> None:
    """Stop the servers gracefully, then everything else; disks and objects stay, and `vs up` starts them again."""
    caller.require_root("vs down")
    if yes and not purged:
        raise click.UsageError("--yes answers the question that only --purge asks.")
    if not instance.state.exists():
        _tell(form, f"There is no instance {instance.name!r} in {instance.root}: nothing to do.", instance)
        return
    instance.check_version()
    disks = disks_of(instance)
    if purged and not yes:
        _ask(instance, disks)
    report = progress.Progress()
    with controlplane.locked(instance, report.once):
        switched_off = stop(instance, report=report)
        if purged:
            purge(instance)
    said = ["Removed."] if purged else ["Stopped; disks and objects stay. Start again with `vs up`."]
    if switched_off:
        said.insert(0, f"Switched off, since they had not shut down in time: {', '.join(switched_off)}.")
    _tell(form, "\n".join(said), instance, purged=purged, disks=disks if purged else [], switched_off=switched_off)


def _ask(instance: Instance, disks: list[str]) -> None:
    """List what a purge removes, and ask; returns only where the answer is yes."""
    click.echo(f"This removes instance {instance.name!r} with all its objects, and {len(disks)} disk(s):", err=True)
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
    instance: Instance,
    *,
    purged: bool = False,
    disks: Sequence[str] = (),
    switched_off: Sequence[str] = (),
) -> None:
    if form == "json":
        result = {"instance": instance.name, "running": False, "purged": purged}
        output.as_json({**result, "disksRemoved": list(disks), "switchedOff": list(switched_off)})
    else:
        click.echo(said)
