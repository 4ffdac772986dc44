"""What VMIs have on this host: put there, taken over and taken away; nobody else writes down what the host holds."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from virtualserver.fabric.refusals import Refused
from virtualserver.kube import kinds
from virtualserver.kube.objects import key_of
from virtualserver.kube.trouble import FAULTS_OF_CONTENT
from virtualserver.machines.ends import Ended
from virtualserver.node.vmi import lifecycle, resolver, specification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.fabric.desired.state import Link
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.hypervisor import Hypervisor
    from virtualserver.machines.machine import Machine
    from virtualserver.machines.spec import MachineSpec
    from virtualserver.node.held import Held
    from virtualserver.node.vmi.links import Links
    from virtualserver.node.vmi.preparation import Prepared
    from virtualserver.node.vmi.seeds import Seeds
    from virtualserver.node.volumes.controller import VolumeController

__all__ = ["Placement"]

_logger = logging.getLogger(__name__)


class Placement:
    """Machines with their links, open disks and seeds; the only writer of `held.Held`."""

    def __init__(
        self,
        cache: Cache,
        held: Held,
        volumes: VolumeController,
        links: Links,
        seeds: Seeds,
        hypervisor: Hypervisor,
        dataplane: DataPlane,
    ) -> None:
        """Name what it works with.

        Args:
            cache: What the API has.
            held: Where it writes down what it does.
            volumes: Says which disks claims have.
            links: Says which links the NICs of a running VMI have.
            seeds: Removes seeds.
            hypervisor: Starts and ends machines.
            dataplane: Where links go.
        """
        self._cache = cache
        self._held = held
        self._volumes = volumes
        self._links = links
        self._seeds = seeds
        self._hypervisor = hypervisor
        self._dataplane = dataplane
        self._unheld: set[str] = set()
        """VMIs whose machines run, and of which could not be told what they have."""

    def adopt(self, machines: Mapping[str, Machine]) -> None:
        """Hold machines that are there already, and the links and disks of those that run.

        Args:
            machines: By the UID of their VMI, which may be gone.
        """
        for uid, machine in machines.items():
            self._held.add_machine(uid, machine)
        for vmi in self._cache.all(kinds.VIRTUAL_MACHINE_INSTANCE):
            machine = machines.get(vmi["metadata"]["uid"])
            if machine is None or isinstance(machine.state, Ended):
                continue
            # Its button was pressed, and who did it is dead: what it does about that is not its own will.
            if machine.is_dismissed:
                asyncio.get_running_loop().call_later(lifecycle.DISMISSED_SECONDS, machine.retain)
            try:
                self._hold(vmi, machine.spec)
            except FAULTS_OF_CONTENT:
                # Its own pass meets the same, and says so.
                _logger.exception("%s/%s: what its machine has cannot be told: its guest has no network", *key_of(vmi))
                self._unheld.add(vmi["metadata"]["uid"])

    def _hold(self, vmi: Manifest, spec: MachineSpec) -> None:
        """Hold the disks and links that a machine was started with.

        Nothing is asked of the VMI but what its NICs are called: an earlier version may have started what this one
        refuses, and its machine goes on.
        """
        uid, nics = vmi["metadata"]["uid"], specification.nic_names(vmi["spec"])
        self._held.add_disks(uid, self._volumes.identifiers_of(spec.disks))
        links = self._links.of_running(vmi, zip(nics, spec.nics, strict=False), user=spec.user)
        for nic, link in links.items():
            self._held.add_link(uid, nic, link)

    async def start(self, uid: str, prepared: Prepared) -> Machine:
        """Start a machine and hold it; `clean` takes back what a start that failed has left.

        Raises:
            HypervisorError: It cannot be started.
            Refused: A link of it cannot be carried out.
        """
        with self._held.launching(uid, prepared.spec):
            self._held.add_disks(uid, prepared.disks)
            namespace = prepared.spec.name.partition("/")[0]
            for nic, made in prepared.links.items():
                link = self._links.regrouped(made, namespace)  # the site may have changed since
                await self._connect(uid, nic, link)
            machine = await self._hypervisor.launch(
                prepared.spec, open_tap=self._dataplane.open_tap, paused=prepared.paused
            )
        self._held.add_machine(uid, machine)
        return machine

    async def follow(self, vmi: Manifest) -> str:
        """Bring the links of a guest that runs to what host and site say now: its name servers, and its group.

        It hears of name servers at its next lease.

        Returns:
            Why a link is not in the data plane, or is there as it was before; ``""`` where all are as they are to be.
        """
        uid, machine = vmi["metadata"]["uid"], self._held.machine(vmi["metadata"]["uid"])
        is_new = uid in self._unheld
        if is_new and machine is not None:
            self._hold(vmi, machine.spec)
        refused: list[str] = []
        for nic, link in self._held.links_of(uid).items():
            wanted = self._links.as_now(link, vmi)
            if wanted == link and not is_new and not self._dataplane.why_left_out(uid, nic=nic):
                continue
            try:
                await self._dataplane.set_link(uid, wanted, nic=nic)
            except Refused as error:
                refused.append(f"network card {nic}: {error}")
            else:
                self._held.add_link(uid, nic, wanted)
        self._unheld.discard(uid)
        return "; ".join(refused)

    def network_differs(self, vmi: Manifest) -> str:
        """Return in what the VPCs of a running VMI differ from what they were at its start; ``""``: in nothing."""
        return self._links.network_differs(vmi, self._held.links_of(vmi["metadata"]["uid"]).values())

    def resolver_cut(self, vmi: Manifest) -> str:
        """Return what of its resolver a guest is not told, because DHCP has no room for it; ``""``: nothing."""
        return resolver.left_out(self._links.resolver(vmi))

    async def _connect(self, uid: str, nic: str, link: Link) -> None:
        """Hold a link as it is to be, then bring it into the data plane."""
        self._held.add_link(uid, nic, link)
        await self._dataplane.set_link(uid, link, nic=nic)

    async def clean(self, uid: str, *, is_over: bool = True) -> None:
        """Take away all that a VMI has on this host; its machine has ended.

        Args:
            uid: The VMI's.
            is_over: False where a start has failed: a machine that runs and could not be adopted goes on then.
        """
        if self._held.machine(uid) is not None:
            await self._hypervisor.discard(uid)
            self._held.remove_machine(uid)
        elif is_over and self._hypervisor.is_left_out(uid):
            await self._hypervisor.discard(uid)
        self._unheld.discard(uid)
        for nic in self._held.links_of(uid):
            await self._dataplane.remove_link(uid, nic=nic)
            self._held.remove_link(uid, nic)
        self._seeds.remove(uid)
        self._held.release(uid)
