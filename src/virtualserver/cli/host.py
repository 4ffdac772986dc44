"""What of an installation is on the host: machines, data plane, processes and files, whether or not its node runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.fabric import dataplane
from virtualserver.host import commands
from virtualserver.installation import ranges
from virtualserver.machines import hypervisor
from virtualserver.machines.machine import Running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired import state
    from virtualserver.installation.installation import Installation

__all__ = ["blockers", "data_plane", "foreign_routes", "has_links", "inventory", "machines"]


def data_plane(installation: Installation) -> dataplane.DataPlane | None:
    """Return the installation's data plane, None where it never had one."""
    record = installation.record()
    if record.ranges is None or not record.identifier:
        return None
    return dataplane.DataPlane(
        installation=installation.name,
        identifier=record.identifier,
        ranges=ranges.decode(record.ranges),
        run=installation.fabric_run,
    )


def machines(installation: Installation) -> hypervisor.Hypervisor:
    """Return what starts and finds the installation's QEMU processes."""
    return hypervisor.Hypervisor(
        machines=installation.machines, run=installation.machines_run, installation=installation.name
    )


def blockers(installation: Installation) -> list[dataplane.Blocker]:
    """Return the foreign rules that would drop our packets; before the first start none can be named."""
    plane = data_plane(installation)
    return [] if plane is None else asyncio.run(plane.blockers())


def has_links(installation: Installation) -> bool:
    """Return whether the installation's link to the host is there."""
    return Path("/sys/class/net", installation.record().link).exists()


def foreign_routes(installation: Installation, own: Iterable[state.Network], *, exactly: bool = False) -> list[str]:
    """Return a sentence for each of the installation's networks that somebody else has a route into.

    Args:
        installation: Whose own routes do not count.
        own: Networks of the installation.
        exactly: Whether only routes to the whole network count, in the table that ours are in.
    """
    selection = ("table", "main", "exact") if exactly else ("table", "all", "root")
    link = installation.record().link
    found: list[str] = []
    for network in own:
        text = asyncio.run(commands.run("ip", f"-{network.version}", "route", "show", *selection, str(network)))
        for route in text.splitlines():
            if link not in route:
                found.append(f"{network} is routed otherwise too: {route.strip()}")
    return found


def inventory(installation: Installation) -> list[dict[str, str]]:
    """Return everything that exists on the host because of the installation: kind, name and detail of each thing."""
    found = [
        {"kind": "process", "name": part.name, "detail": f"pid {part.pid}"}
        for part in controlplane.status(installation).components
        if part.pid is not None
    ]
    supervisor = controlplane.status(installation).supervisor_pid
    if supervisor is not None:
        found.append({"kind": "process", "name": "supervisor", "detail": f"pid {supervisor}"})
    found += asyncio.run(_machines(installation))
    plane = data_plane(installation)
    if plane is not None:
        found += asyncio.run(plane.inventory())
    found += [{"kind": "file", "name": str(path), "detail": ""} for path in _files(installation)]
    return found


async def _machines(installation: Installation) -> list[dict[str, str]]:
    # Not adopted: the node may be watching them.
    found = machines(installation).look().values()
    for machine in found:
        await machine.close()
    return [
        {"kind": "process", "name": f"qemu {machine.spec.name}", "detail": f"pid {machine.pid}"}
        for machine in found
        if isinstance(machine.state, Running)
    ]


def _files(installation: Installation) -> list[Path]:
    """Return the installation's folders and what lies directly in them."""
    return [
        path
        for folder in (installation.state, installation.run)
        if folder.exists()
        for path in (folder, *sorted(folder.iterdir()))
    ]
