"""The node process: takes over what runs on this host, then follows the API and brings the host to it.

Order matters at the start: allocations are read before anything is granted, the cache is synced before anything is
freed, and the whole data plane is synchronised once before controllers change parts of it. When the process ends,
guests and data plane stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState
from virtualserver.fabric.kernel.namespace import Namespace
from virtualserver.host.files import write_atomically
from virtualserver.host.process import boot_id
from virtualserver.installation import ranges, users
from virtualserver.installation.errors import InstallationError
from virtualserver.kube.client import Client
from virtualserver.machines import accelerator
from virtualserver.machines.hypervisor import Hypervisor
from virtualserver.machines.machine import Ended, EndReason, Machine
from virtualserver.node import nodeobject
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.observed import Observed
from virtualserver.node.served import registration
from virtualserver.node.served.subresources import Subresources
from virtualserver.node.services.controller import Services
from virtualserver.node.vm.controller import VirtualMachines
from virtualserver.node.vmi.controller import Instances
from virtualserver.node.vmi.preparation import Preparation
from virtualserver.node.vmi.probes import Probes
from virtualserver.node.volumes.controller import Volumes
from virtualserver.node.watches import Routing
from virtualserver.storage.disks import DiskStore
from virtualserver.storage.images import ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from virtualserver.installation.installation import Installation
    from virtualserver.machines.accelerator import Accelerator

__all__ = ["Agent", "run"]

_PORT: Final = "subresources-port"
"""Under what the allocations keep the port of the aggregated API, so that it is the same after a restart."""

_logger = logging.getLogger(__name__)


class Agent:
    """All parts of the node of one installation, put together."""

    def __init__(
        self, installation: Installation, client: Client, allocations: Allocations, found: Accelerator
    ) -> None:
        record = installation.record()
        if record.ranges is None or not record.identifier:
            raise InstallationError(
                f"{installation.state}: no ranges are recorded yet: start the instance with `vs up`"
            )
        networks = ranges.decode(record.ranges)
        name = nodeobject.node_name()
        self.installation = installation
        self.allocations = allocations
        self.accelerator = found
        self.name = name
        self.observed = Observed(client)
        self.addresses = Addresses(allocations, networks, users=users.recorded(installation).guests)
        self.dataplane = DataPlane(
            installation=installation.name,
            identifier=record.identifier,
            ranges=networks,
            run=installation.fabric_run,
        )
        self.hypervisor = Hypervisor(
            machines=installation.machines, run=installation.machines_run, installation=installation.name
        )
        disks = DiskStore(installation.disks)
        disks.remove_unfinished()
        self.volumes = Volumes(self.observed, ImageStore(installation.images), disks)
        self.services = Services(self.observed, self.addresses, self.dataplane, {}, node=name)
        self.probes = Probes(self._open_socket)
        self.instances = Instances(
            self.observed, self.services, self.volumes, self.hypervisor, self.dataplane, self.probes, node=name
        )
        seeds = installation.seeds
        seeds.mkdir(mode=0o711, exist_ok=True)
        self.instances.preparation = Preparation(
            self.observed,
            self.addresses,
            self.services,
            self.volumes,
            accelerator=found,
            seeds=seeds,
            footprints=self.instances.footprints,
        )
        self.probes.on_change = self.instances.controller.queue.add
        self.machines = VirtualMachines(self.observed)
        self.subresources = Subresources(self.observed, self.instances.machines, pki=installation.pki)
        self.routing = Routing(
            self.observed, self.machines, self.instances, self.services, self.volumes, self.addresses
        )

    async def run(self) -> None:
        """Take over, then work until cancelled."""
        await self.dataplane.start()
        tasks = [asyncio.create_task(reflector.run(handler)) for reflector, handler in self.routing.reflectors.items()]
        try:
            for reflector in self.routing.reflectors:
                await reflector.synced.wait()
            await self._take_over()
            for part in self._parts():
                tasks.append(asyncio.create_task(part()))
            async with self.subresources.serve(int(self.allocations.fact(_PORT) or 0)) as port:
                self.allocations.remember(_PORT, str(port))
                await self._announce(port)
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.hypervisor.close()

    async def _announce(self, port: int) -> None:
        """Say in the API that the node is there, and to the supervisor that it works."""
        client = self.observed.client
        authority = (self.installation.pki / "ca.crt").read_bytes()
        await registration.register(client, port=port, authority=authority)
        await nodeobject.write(client, name=self.name, accelerator=self.accelerator.name)
        write_atomically(self._ready_file(), f"{os.getpid()}\n", mode=0o644)
        _logger.info("ready: %d machines run, subresources on port %d", len(self.instances.links), port)

    def _parts(self) -> list[Callable[[], Coroutine[None, None, None]]]:
        return [
            self.observed.recorder.run,
            self.machines.controller.run,
            self.instances.controller.run,
            self.services.controller.run,
            self.volumes.controller.run,
            self.routing.sweeper.run,
            self.dataplane.supervise,
            self._follow_leases,
        ]

    async def _take_over(self) -> None:
        """Adopt the machines and bring the whole data plane to what they and the Services need."""
        adopted = await self.hypervisor.adopt()
        adopted = await self._without_interrupted(adopted)
        links = self.instances.adopt(adopted)
        changes = await self.dataplane.synchronise(DataPlaneState(links=links, services=self.services.adopt()))
        _logger.info("took over %d machines, %d changes in the data plane", len(adopted), changes)
        for key in self.instances.names_of_machines():
            self.instances.controller.queue.add(key)

    async def _without_interrupted(self, machines: dict[str, Machine]) -> dict[str, Machine]:
        """Forget the machines that went down with the host: their instances start again as if for the first time."""
        boot = boot_id()
        if self.allocations.fact("boot") != boot:
            for uid, machine in list(machines.items()):
                if isinstance(machine.state, Ended) and machine.state.reason != EndReason.GUEST_SHUTDOWN:
                    await self.hypervisor.discard(uid)
                    del machines[uid]
            self.allocations.remember("boot", boot)
        return machines

    async def _follow_leases(self) -> None:
        async for _ in self.dataplane.lease_changes():
            self.routing.look_at_running()

    def _open_socket(self, family: int) -> socket.socket:
        """Return a TCP socket in the data plane's namespace, whence guests are reached."""
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        return Namespace(self.installation.namespace).call(lambda: socket.socket(kind, socket.SOCK_STREAM))

    def _ready_file(self) -> Path:
        file = self.installation.ready("node")
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return file


async def run(installation: Installation) -> None:
    """Be the node of an installation until SIGTERM or SIGINT; guests and data plane stay."""
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - a coroutine that runs has its task
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    found = await accelerator.probe(cache=installation.accelerator)
    _logger.info("guests run with %s: %s", found.name, found.reason)
    allocations = Allocations(installation.allocations)
    try:
        kubeconfig = installation.kubeconfigs / "node"
        async with Client.from_kubeconfig(kubeconfig, user_agent="virtualserver-node") as client:
            with contextlib.suppress(asyncio.CancelledError):
                await Agent(installation, client, allocations, found).run()
    finally:
        allocations.close()
