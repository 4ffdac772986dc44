"""What this host holds for VMIs: their machines, links and open disks.

Only `vmi.placement` writes here; every other part reads. What changes by itself, a machine that ends, comes to the
VMIs' controller through its queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from virtualserver.fabric.desired.state import GuestLink, LinkKey
from virtualserver.machines import memory
from virtualserver.machines.ends import Ended

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

    from virtualserver.fabric.desired.state import Address, Link
    from virtualserver.kube.objects import Key
    from virtualserver.machines.machine import Machine
    from virtualserver.machines.memory import Footprint
    from virtualserver.machines.spec import MachineSpec
    from virtualserver.node.queues import Queues

__all__ = ["Held", "key_of_machine"]


class Held:
    """Machines, links and open disks, each by the UID of its VMI."""

    def __init__(self, queues: Queues) -> None:
        """Hold nothing yet.

        Args:
            queues: A VMI's key is added where its machine changes, and a sweep where something is given up.
        """
        self._queues = queues
        self._machines: dict[str, Machine] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._launching: dict[str, MachineSpec] = {}
        self._links: dict[str, dict[str, Link]] = {}
        self._disks: dict[str, dict[str, bool]] = {}

    # What everybody may ask -----------------------------------------------------------------------------------------

    def machine(self, uid: str) -> Machine | None:
        """Return the machine of a VMI, None where there is none; it may have ended."""
        return self._machines.get(uid)

    def machines(self) -> Mapping[str, Machine]:
        """Return all machines by the UID of their VMI, which may be gone."""
        return dict(self._machines)

    def links(self) -> Mapping[LinkKey, Link]:
        """Return the links that are in the data plane, or about to be, by the UID of their VMI and the NIC's name."""
        return {LinkKey(uid, nic): link for uid, links in self._links.items() for nic, link in links.items()}

    def links_of(self, uid: str) -> Mapping[str, Link]:
        """Return the links of a VMI by the NIC's name, in the order in which they were added."""
        return dict(self._links.get(uid, {}))

    def cluster_link(self, uid: str) -> GuestLink | None:
        """Return the link of a VMI's cluster NIC, None where it has none."""
        return next((link for link in self.links_of(uid).values() if isinstance(link, GuestLink)), None)

    def keys_of(self, names: Collection[str]) -> set[Key]:
        """Return the keys of the VMIs that have a tap or an address of these names, and a machine."""
        found: set[Key] = set()
        for (uid, _), link in self.links().items():
            machine = self._machines.get(uid)
            if machine is not None and not {link.device, *map(str, link.addresses)}.isdisjoint(names):
                found.add(key_of_machine(machine))
        return found

    def addresses(self) -> set[Address]:
        """Return the addresses that guests' NICs have, or are about to have."""
        return {address for link in self.links().values() for address in link.addresses}

    def open_disks(self) -> set[str]:
        """Return the identifiers of the disks that machines have open."""
        return {disk for disks in self._disks.values() for disk in disks}

    def rival(self, uid: str, disk: str, *, writes: bool) -> Key | None:
        """Return the key of another VMI whose machine has a disk open, None where none is in the way.

        Args:
            uid: Of the VMI that is about to open it.
            disk: The disk's identifier.
            writes: Whether its guest may write; who only reads is in the way of writers alone.
        """
        for other, disks in self._disks.items():
            if other == uid or disk not in disks or not (writes or disks[disk]):
                continue
            machine = self._machines.get(other)
            if other in self._launching:
                return _key_of_spec(self._launching[other])
            if machine is not None and not isinstance(machine.state, Ended):
                return key_of_machine(machine)
        return None

    def footprints(self) -> Iterable[Footprint]:
        """Yield the memory of the machines that run, and of those that are about to."""
        for uid, machine in self._machines.items():
            if not isinstance(machine.state, Ended) and uid not in self._launching:
                yield memory.footprint_of(machine.spec, pid=machine.pid)
        for spec in self._launching.values():
            yield memory.footprint_of(spec, pid=None)

    def values_in_use(self) -> set[str]:
        """Return every address, MAC, tap and user number that a machine or a link still uses."""
        values: set[str] = set()
        for machine in self._machines.values():
            values.add(str(machine.spec.user))
            values |= {value for nic in machine.spec.nics for value in (nic.device, nic.mac)}
        for link in self.links().values():
            values |= {link.device, link.mac, str(link.user), *map(str, link.addresses)}
        return values

    # What `vmi.placement` writes -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def launching(self, uid: str, spec: MachineSpec) -> Generator[None]:
        """Count the memory of a machine while it is being started."""
        self._launching[uid] = spec
        try:
            yield
        finally:
            del self._launching[uid]

    def add_machine(self, uid: str, machine: Machine) -> None:
        """Hold a machine, and look at its VMI whenever it changes."""
        self._machines[uid] = machine
        self._followers[uid] = asyncio.create_task(self._follow(machine), name=f"watch {machine.spec.name}")

    def remove_machine(self, uid: str) -> None:
        """Give a machine up that is discarded."""
        del self._machines[uid]
        self._followers.pop(uid).cancel()

    def add_link(self, uid: str, nic: str, link: Link) -> None:
        """Hold a link, before it is in the data plane: its addresses are neither freed nor announced from now on."""
        self._links.setdefault(uid, {})[nic] = link

    def remove_link(self, uid: str, nic: str) -> None:
        """Give a link up that is not in the data plane any more."""
        del self._links[uid][nic]
        if not self._links[uid]:
            del self._links[uid]

    def add_disks(self, uid: str, disks: Mapping[str, bool]) -> None:
        """Hold the disks that a VMI's machine has open, or is about to open, and whether its guest writes to them."""
        self._disks[uid] = dict(disks)

    def release(self, uid: str) -> None:
        """Give up what is left of a VMI, and have what it used freed."""
        self._disks.pop(uid, None)
        self._queues.sweep_soon()

    async def _follow(self, machine: Machine) -> None:
        async for _ in machine.changes():
            self._queues.vmis.add(key_of_machine(machine))


def key_of_machine(machine: Machine) -> Key:
    """Return the key of the VMI that a machine was made for, whether it still exists or not."""
    return _key_of_spec(machine.spec)


def _key_of_spec(spec: MachineSpec) -> Key:
    namespace, _, name = spec.name.partition("/")
    return namespace, name
