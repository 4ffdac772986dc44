"""What of an instance is on the host: machines, data plane, processes and files, whether or not its node runs.

Tests: ``tests/e2e``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.fabric import commands, dataplane, ranges, state
from virtualserver.node import hypervisor
from virtualserver.node.machine import Running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.instance import Instance

__all__ = ["blockers", "data_plane", "foreign_routes", "has_links", "inventory", "machines"]


def data_plane(instance: Instance) -> dataplane.DataPlane | None:
    """Return the instance's data plane, None where it never had one."""
    record = instance.record()
    if "ranges" not in record or "identifier" not in record:
        return None
    return dataplane.DataPlane(
        instance=instance.name,
        identifier=record["identifier"],
        ranges=ranges.decode(record["ranges"]),
        run=instance.run / "fabric",
    )


def machines(instance: Instance) -> hypervisor.Hypervisor:
    """Return what starts and finds the instance's QEMU processes."""
    return hypervisor.Hypervisor(
        machines=instance.state / "machines", run=instance.run / "machines", instance=instance.name
    )


def blockers(instance: Instance) -> list[dataplane.Blocker]:
    """Return the foreign rules that would drop our packets; before the first start none can be named."""
    plane = data_plane(instance)
    return [] if plane is None else asyncio.run(plane.blockers())


def has_links(instance: Instance) -> bool:
    """Return whether the instance's link to the host is there."""
    return Path("/sys/class/net", f"vsh-{instance.record().get('identifier', '')}").exists()


def foreign_routes(instance: Instance, own: Iterable[state.Network], *, exactly: bool = False) -> list[str]:
    """Return a sentence for each of the instance's networks that somebody else has a route into.

    Args:
        instance: Whose own routes do not count.
        own: Networks of the instance.
        exactly: Whether only routes to the whole network count, in the table that ours are in.
    """
    selection = ("table", "main", "exact") if exactly else ("table", "all", "root")
    identifier = instance.record().get("identifier", "")
    found: list[str] = []
    for network in own:
        text = asyncio.run(commands.run("ip", f"-{network.version}", "route", "show", *selection, str(network)))
        for route in text.splitlines():
            if f"vsh-{identifier}" not in route:
                found.append(f"{network} is routed otherwise too: {route.strip()}")
    return found


def inventory(instance: Instance) -> list[dict[str, str]]:
    """Return everything that exists on the host because of the instance: kind, name and detail of each thing."""
    found = [
        {"kind": "process", "name": part.name, "detail": f"pid {part.pid}"}
        for part in controlplane.status(instance).components
        if part.pid is not None
    ]
    supervisor = controlplane.status(instance).supervisor_pid
    if supervisor is not None:
        found.append({"kind": "process", "name": "supervisor", "detail": f"pid {supervisor}"})
    found += asyncio.run(_machines(instance))
    plane = data_plane(instance)
    if plane is not None:
        found += asyncio.run(plane.inventory())
    found += [{"kind": "file", "name": str(path), "detail": ""} for path in _files(instance)]
    return found


async def _machines(instance: Instance) -> list[dict[str, str]]:
    # Not adopted: the node may be watching them.
    found = machines(instance).look().values()
    for machine in found:
        await machine.close()
    return [
        {"kind": "process", "name": f"qemu {machine.spec.name}", "detail": f"pid {machine.pid}"}
        for machine in found
        if isinstance(machine.state, Running)
    ]


def _files(instance: Instance) -> list[Path]:
    """Return the instance's folders and what lies directly in them."""
    return [
        path
        for folder in (instance.state, instance.run)
        if folder.exists()
        for path in (folder, *sorted(folder.iterdir()))
    ]
