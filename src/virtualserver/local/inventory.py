"""What of an installation is on the host: machines, data plane, processes and files, whether or not its node runs."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.controlplane.supervisor import processes
from virtualserver.fabric import dataplane
from virtualserver.fabric.desired import state
from virtualserver.fabric.kernel import foreign
from virtualserver.installation import ranges
from virtualserver.local import boot
from virtualserver.machines import hypervisor
from virtualserver.machines.machine import Running
from virtualserver.node.allocation import allocations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from virtualserver.installation.installation import Installation

__all__ = ["Item", "blockers", "data_plane", "foreign_routes", "has_links", "machines", "of", "remains"]


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One thing that is on the host because of an installation.

    Attributes:
        kind: What it is: ``process``, ``file``, ``link``, ``route``, ...
        name: What it is called on the host.
        detail: What else there is to know, in words; often ``""``.
        within: The name of the item that it is in, and goes with; ``""`` for none.
    """

    kind: str
    name: str
    detail: str = ""
    within: str = ""


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
        # Before the first start nobody has a number, and nothing is started by this one either.
        dhcp_user=record.uids.dnsmasq if record.uids else dataplane.NOBODY,
    )


def remains(installation: Installation) -> dataplane.DataPlane:
    """Return the installation's data plane to look at and to remove, also where the record of it was lost."""
    nothing = state.Ranges(public={}, private={}, guest=(), service=(), link=())
    return data_plane(installation) or dataplane.DataPlane(
        installation=installation.name, identifier="", ranges=nothing, run=installation.fabric_run
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
    device = installation.record().link
    return [
        f"{network} is routed otherwise too: {route}"
        for network, route in foreign.foreign_routes(own, device, exactly=exactly)
    ]


def of(installation: Installation) -> list[Item]:
    """Return everything that exists on the host because of the installation, whether or not it runs; root sees all."""
    plane = remains(installation) if os.geteuid() == 0 else data_plane(installation)
    return [
        *_processes(installation),
        *asyncio.run(_machines(installation)),
        *(Item("cgroup", str(group)) for group in machines(installation).groups()),
        *([] if plane is None else [Item(**item) for item in asyncio.run(plane.inventory())]),
        *_claimants(installation),
        *_files(installation),
        *(Item("file", str(path), "starts the instance with this machine") for path in boot.files(installation)),
    ]


def _processes(installation: Installation) -> Iterator[Item]:
    found = controlplane.status(installation)
    known = {part.name: part.pid for part in found.components} | {"supervisor": found.supervisor_pid}
    for name, pid in known.items():
        if pid is not None:
            yield Item("process", name, f"pid {pid}")
    for name, process in processes.strays(installation).items():
        if process.pid not in known.values():
            yield Item("process", name, f"pid {process.pid}, its record was lost")


async def _machines(installation: Installation) -> list[Item]:
    # Not adopted: the node may be watching them.
    found = machines(installation).look().values()
    for machine in found:
        await machine.close()
    running = [machine for machine in found if isinstance(machine.state, Running)]
    return [
        *(Item("process", f"qemu {machine.spec.name}", f"pid {machine.pid}") for machine in running),
        *(
            Item("process", f"qemu {identifier}", f"pid {process.pid}, its description was lost")
            for process, identifier in machines(installation).orphans()
        ),
    ]


def _claimants(installation: Installation) -> Iterator[Item]:
    """Yield whose each address and MAC is while there is a data plane: tenants are not told of each other's."""
    if has_links(installation):
        for one in sorted(allocations.read(installation.allocations), key=lambda one: (one.kind, one.value)):
            if one.kind in ("address", "mac"):
                yield Item(one.kind, one.value, str(one.claimant) if one.claimant.name else f"owner {one.owner}")


def _files(installation: Installation) -> Iterator[Item]:
    """Yield the installation's folders and what lies directly in them, and its lock."""
    for folder in (installation.state, installation.run):
        if folder.exists():
            yield Item("file", str(folder))
            yield from (Item("file", str(path), within=str(folder)) for path in sorted(folder.iterdir()))
    if installation.change_lock.exists():
        yield Item("file", str(installation.change_lock))
