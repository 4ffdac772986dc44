"""The stop: control plane, all guests at once, network; what an owner would miss stays unless purged."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import shutil
import time
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.installation import lock
from virtualserver.local import boot, inventory
from virtualserver.local.errors import LocalError
from virtualserver.local.kubectl import Kubectl
from virtualserver.machines.machine import Machine, Running
from virtualserver.node.vmi.lifecycle import PRESS_SECONDS
from virtualserver.storage import space

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation
    from virtualserver.local.report import Report
    from virtualserver.machines.hypervisor import Hypervisor

__all__ = ["GRACE_SECONDS", "ServersDisk", "Shared", "disks_of", "shared_by", "stop", "stop_machines"]

GRACE_SECONDS = 60.0
"""How long guests may take to power themselves off."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServersDisk:
    """A server's disk that a purge would remove.

    Attributes:
        path: Where it lies.
        owner: ``NAMESPACE/NAME`` of its volume; ``""`` where that is not known.
        stored_bytes: The space that it takes on the host.
    """

    path: Path
    owner: str
    stored_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shared:
    """A folder that instances share, and that a purge leaves.

    Attributes:
        path: Where it lies.
        stored_bytes: The space that it takes on the host.
    """

    path: Path
    stored_bytes: int


def stop(
    installation: Installation, *, report: Report, purged: bool = False, grace_seconds: float = GRACE_SECONDS
) -> list[str]:
    """Stop the installation, so that nothing of it is left on the host but its state folder; idempotent.

    The control plane goes first, or it would start again what is stopped; guests and packets do not need it.

    Args:
        installation: What is stopped.
        report: Told what is waited for.
        purged: Remove the state folder too, with servers' disks and all objects. Programs and the environment, which
            installations share, stay.
        grace_seconds: How long guests may take before they are switched off.

    Returns:
        The servers that did not shut down in time and were switched off, as ``NAMESPACE/NAME``.

    Raises:
        ControlPlaneError: A process of ours does not end.
    """
    with lock.held(installation, report.once):
        with report.step("Control plane") as update:
            controlplane.stop(installation, progress=update)
        with report.step("Servers") as update:
            switched_off = asyncio.run(stop_machines(inventory.machines(installation), update, grace_seconds))
            asyncio.run(inventory.machines(installation).end_orphans())
            inventory.machines(installation).remove_groups()
        with report.step("Network") as update:
            update("removing namespace, links, rules and routes", None)
            asyncio.run(inventory.remains(installation).stop())
        shutil.rmtree(installation.run, ignore_errors=True)
        with contextlib.suppress(OSError):
            installation.run_root.rmdir()  # others may have theirs in it
        if purged:
            boot.disable(installation)
            shutil.rmtree(installation.state, ignore_errors=True)
    return switched_off


async def stop_machines(running: Hypervisor, update: Update, grace_seconds: float) -> list[str]:
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


def disks_of(installation: Installation) -> list[ServersDisk]:
    """Return the servers' disks that a purge would remove, with their owners as long as the API server answers."""
    folder = installation.disks
    sizes: dict[Path, int] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []:
        with contextlib.suppress(FileNotFoundError):  # the node may remove it while we look
            sizes[path] = path.stat().st_blocks * 512
    whose = _owners(installation) if sizes else {}
    return [ServersDisk(path, whose.get(path.stem, ""), size) for path, size in sizes.items()]


def shared_by(installation: Installation) -> list[Shared]:
    """Return what a purge of an installation leaves of its root: environment, console, commands, programs."""
    root = installation.root
    folders = (root / ".venv", root / ".console", installation.commands, installation.shared_binaries)
    return [Shared(folder, _stored(folder)) for folder in folders if folder.is_dir()]


def _stored(folder: Path) -> int:
    """Return the space that all files of a folder take; links are not followed."""
    return sum(space.allocated(path) for path in folder.rglob("*") if not path.is_symlink())


def _owners(installation: Installation) -> dict[str, str]:
    """Return ``NAMESPACE/NAME`` of the volumes by their disks' identifiers, ``{}`` where nobody answers."""
    if not controlplane.status(installation).ready:
        return {}
    with contextlib.suppress(LocalError):  # a purge goes on without names
        found = [volume["metadata"] for volume in Kubectl(installation).list("datavolumes")]
        return {metadata["uid"]: f"{metadata['namespace']}/{metadata['name']}" for metadata in found}
    return {}
