"""The node process: takes over what runs on this host, then follows the API and brings the host to it.

Order matters at the start: allocations are read before anything is granted, the cache is synced before anything is
freed, and the whole data plane is synchronised once before controllers change parts of it. When the process ends,
guests and data plane stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.mac import MacKey
from virtualserver.controlplane import site
from virtualserver.controlplane.keeper import keep_supervisor
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.repair import Adjustment
from virtualserver.fabric.desired.state import DataPlaneState
from virtualserver.host.files import write_atomically
from virtualserver.host.followed import Followed
from virtualserver.host.process import boot_id
from virtualserver.host.pulse import Pulse
from virtualserver.installation import ranges, users
from virtualserver.installation.errors import InstallationError
from virtualserver.kube import kinds
from virtualserver.kube.aside import Aside
from virtualserver.kube.cache import Cache
from virtualserver.kube.client import Client
from virtualserver.kube.controller import Oversight
from virtualserver.kube.errors import ApiError
from virtualserver.kube.events import Recorder
from virtualserver.kube.objects import key_of
from virtualserver.machines import accelerator
from virtualserver.machines.ends import Ended, EndReason
from virtualserver.machines.hypervisor import Hypervisor
from virtualserver.node import events, nodeobject
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.allocation.host_pool import HostPool
from virtualserver.node.allocation.nics import Nics
from virtualserver.node.allocation.uplink import UplinkPools
from virtualserver.node.allocation.vacancies import Vacancies
from virtualserver.node.held import Held, key_of_machine
from virtualserver.node.overseer import Overseer
from virtualserver.node.prober import Prober
from virtualserver.node.published_host import PublishedHost
from virtualserver.node.queues import Queues
from virtualserver.node.reserve import Reserve
from virtualserver.node.served import registration
from virtualserver.node.served.networking import Networking
from virtualserver.node.served.paths import Paths
from virtualserver.node.served.subresources import Subresources
from virtualserver.node.services.controller import ServiceController
from virtualserver.node.sweep import Sweeper
from virtualserver.node.vm.controller import VmController
from virtualserver.node.vmi.controller import VmiController
from virtualserver.node.vmi.links import Links
from virtualserver.node.vmi.placement import Placement
from virtualserver.node.vmi.preparation import Preparation
from virtualserver.node.vmi.probes import Probes
from virtualserver.node.vmi.seeds import Seeds
from virtualserver.node.volumes.controller import VolumeController
from virtualserver.node.watches import WATCHES, Watches
from virtualserver.node.writer import NodeWriter
from virtualserver.plan.sites.site import BetweenNamespaces
from virtualserver.storage.disks import DiskStore
from virtualserver.storage.images import ImageStore

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation
    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.accelerator import Accelerator
    from virtualserver.machines.machine import Machine

__all__ = ["Agent", "run"]

_PORT: Final = "subresources-port"
"""Under what the allocations keep the port of the aggregated API, so that it is the same after a restart."""

_NODE_NAME: Final = "node-name"
_REGISTRATION_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.03

_logger = logging.getLogger(__name__)


class Agent:
    """All parts of the node of one installation, put together: each is made after what it reads."""

    def __init__(
        self,
        installation: Installation,
        client: Client,
        allocations: Allocations,
        found: Accelerator,
        oversight: Oversight,
    ) -> None:
        record = installation.record()
        if record.ranges is None or not record.identifier:
            raise InstallationError(
                f"{installation.state}: no ranges are recorded yet: start the instance with `vs up`"
            )
        self._installation = installation
        self._client = client
        self._allocations = allocations
        self._accelerator = found
        # The Node keeps the name of its first start: a host that is called otherwise later is the same.
        self._name = name = allocations.fact(_NODE_NAME) or nodeobject.node_name()
        allocations.remember(_NODE_NAME, name)
        networks = ranges.decode(record.ranges)
        self._site = Followed(installation.site_file, lambda: site.renew(installation))

        # What the API has, and what is to be looked at.
        self._cache = cache = Cache(client, WATCHES)
        self._recorder = Recorder(client, component=names.NODE_MANAGER)
        folders = (installation.root, installation.run_root)
        writer = NodeWriter(client, cache, self._recorder, folders=folders)
        overseer = Overseer(cache, writer, oversight)
        self._queues = queues = Queues()
        self._watches = Watches(cache, queues)

        # What the host has.
        self._held = held = Held(queues)
        uids = users.recorded(installation)
        self._hypervisor = hypervisor = Hypervisor(
            machines=installation.machines, run=installation.machines_run, installation=installation.name
        )
        self._dataplane = dataplane = DataPlane(
            installation=installation.name,
            identifier=record.identifier,
            ranges=networks,
            run=installation.fabric_run,
            dhcp_user=uids.dnsmasq,
            holders=hypervisor,
        )
        vacancies = Vacancies()
        self._addresses = addresses = Addresses(
            allocations,
            networks,
            host=HostPool(allocations, PublishedHost(dataplane), networks.host) if networks.host else None,
            uplink=UplinkPools(allocations, vacancies, networks) if networks.uplink else None,
        )
        nics = Nics(allocations, uids.guests)
        self._uplink = networks.uplink
        self._prober = Prober(cache, queues, vacancies, addresses, dataplane) if networks.uplink else None
        disks = DiskStore(installation.disks)
        disks.remove_unfinished()
        images = ImageStore(installation.images)
        installation.seeds.mkdir(mode=0o711, exist_ok=True)

        # What brings the one to the other.
        self._volumes = volumes = VolumeController(cache, writer, queues, held, images, disks, overseer, self._site)
        self._services = services = ServiceController(
            cache, writer, queues, held, addresses, dataplane, overseer, self._site, node=name
        )
        links = Links(cache, queues, addresses, nics, services, _mac_key(installation), is_closed=self._is_closed)
        seeds = Seeds(client, installation.seeds)
        seeds.remove_unfinished()
        probe = functools.partial(accelerator.probe, cache=installation.accelerator)
        preparation = Preparation(client, cache, held, nics, volumes, links, seeds, probe)
        self._placement = placement = Placement(cache, held, volumes, links, seeds, hypervisor, dataplane)
        probes = Probes(queues.vmis, dataplane.open_socket)
        self._vmis = VmiController(
            cache, writer, queues, held, services, preparation, placement, probes, dataplane, overseer, node=name
        )
        self._vms = VmController(client, cache, writer, queues, overseer)
        self._reserve = Reserve(held, state=installation.state)
        self._sweeper = Sweeper(cache, queues, held, addresses, services, volumes)
        paths = Paths(cache, held, services, dataplane)
        network = Networking(cache, allocations, dataplane, lambda: self._site.value.site, paths)
        self._subresources = Subresources(
            client, cache, writer, held, dataplane.open_socket, network, pki=installation.pki
        )

    async def run(self, standing_by: int | None) -> None:
        """Take over, then work until cancelled.

        Args:
            standing_by: As for `run`: the host is made ready before.
        """
        await self._dataplane.start()
        if standing_by is not None:
            await _ended(standing_by)
        tasks = [asyncio.create_task(self._cache.run(self._watches.receive), name="cache")]
        try:
            await self._cache.synced()
            await self._take_over()
            parts = (
                self._recorder.run(),
                self._vms.run(),
                self._vmis.run(),
                self._services.run(),
                self._volumes.run(),
                self._sweeper.run(),
                self._reserve.run(),
                self._dataplane.supervise(),
                self._dataplane.defend(),
                keep_supervisor(self._installation),
                self._watches.follow_leases(self._dataplane.lease_changes()),
                self._follow_bounds(),
            )
            tasks += [asyncio.create_task(part) for part in parts]
            async with self._subresources.serve(int(self._allocations.fact(_PORT) or 0)) as port:
                self._allocations.remember(_PORT, str(port))
                node = await self._announce(port)
                tasks.append(asyncio.create_task(self._tell_of_repairs(node)))
                tasks.append(asyncio.create_task(self._stay_registered(port)))
                tasks.append(asyncio.create_task(self._follow_site(node)))
                tasks.append(asyncio.create_task(self._tell_of_occupied(node)))
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._hypervisor.close()

    async def _take_over(self) -> None:
        """Adopt the machines and bring the whole data plane to what they and the Services need."""
        machines = await self._without_interrupted(await self._hypervisor.adopt())
        self._placement.adopt(machines)
        self._addresses.remember_attachments()
        desired = DataPlaneState(links=self._held.links(), services=await self._services.adopt())
        changes = await self._dataplane.synchronise(desired)
        _logger.info("took over %d machines, %d changes in the data plane", len(machines), changes)

    async def _without_interrupted(self, machines: dict[str, Machine]) -> dict[str, Machine]:
        """Forget the machines that went down with the host: their VMIs start again as if for the first time."""
        boot = boot_id()
        if self._allocations.fact("boot") != boot:
            for uid, machine in list(machines.items()):
                if isinstance(machine.state, Ended) and machine.state.reason != EndReason.GUEST_SHUTDOWN:
                    await self._hypervisor.discard(uid)
                    del machines[uid]
            self._allocations.remember("boot", boot)
        return machines

    async def _announce(self, port: int) -> Manifest:
        """Say in the API that the node is there, and to the supervisor that it works."""
        await self._register(port)
        node = await nodeobject.write(self._client, name=self._name, accelerator=self._accelerator.name)
        ready = self._installation.ready("node")
        write_atomically(ready, f"{os.getpid()}\n", mode=0o644)
        _logger.info("ready: %d machines run, subresources on port %d", len(self._held.links()), port)
        return node

    def _authority(self) -> bytes:
        return (self._installation.pki / "ca.crt").read_bytes()

    async def _register(self, port: int) -> None:
        """Tell of our API, and wait a while until kube-apiserver hands on what is asked of it."""
        end = time.monotonic() + _REGISTRATION_SECONDS
        while (began := time.monotonic()) < end:
            await registration.register(self._client, port=port, authority=self._authority(), now=time.time())
            while time.monotonic() < began + 1:
                if not await registration.missing(self._client):
                    return
                await asyncio.sleep(_LOOK_SECONDS)
        _logger.warning("kube-apiserver does not hand on the API of guests yet")

    async def _stay_registered(self, port: int) -> None:
        """Tell of our API again where somebody took it away, as the supervisor does while we do not answer."""
        while True:
            await asyncio.sleep(_REGISTRATION_SECONDS)
            try:
                if await registration.register(self._client, port=port, authority=self._authority(), now=time.time()):
                    _logger.warning("the API of guests was not registered any more, and is again")
            except ApiError as error:
                _logger.debug("looking at the registration of the API of guests: %s", error)

    async def _follow_bounds(self) -> None:
        """Look again at every VMI whose guest meets the bound of its flows, or does not any more."""
        async for changed in self._dataplane.bound_changes():
            for key in self._held.keys_of(changed):
                self._queues.vmis.add(key)

    async def _tell_of_repairs(self, node: Manifest) -> None:
        """Tell of what somebody else took away of the data plane: as Events of the Node, and in VMIs' status."""
        async for told in self._dataplane.repairs():
            event = events.event_of_data_plane(told)
            _logger.warning("%s", event.message)
            self._recorder.emit(node, event)
            for machine in self._held.machines().values():
                self._queues.vmis.add(key_of_machine(machine))
            if isinstance(told, Adjustment):  # the machine may have another address, which is some Services' too
                for service in self._cache.all(kinds.SERVICE):
                    self._queues.services.add(key_of(service))

    async def _tell_of_occupied(self, node: Manifest) -> None:
        """Tell, as Events of the Node, of addresses that somebody on the uplink has, or has no more."""
        if self._prober is None:
            return
        async for changed in self._prober.found():
            event = events.event_of_occupied(self._uplink, changed)
            _logger.warning("%s", event.message)
            self._recorder.emit(node, event)

    async def _follow_site(self, node: Manifest) -> None:
        """Tell of the administrator's file what was refused, and each change of it, as Events of the Node."""
        if self._site.value.faults:
            self._tell_of_site(node, self._site.value)
        async for found in self._site.changes():
            if isinstance(found, Exception):
                _logger.error("%s: %s", self._installation.site_file, found)
            else:
                self._tell_of_site(node, found)
                self._watches.site_changed()

    def _is_closed(self) -> bool:
        """Return whether guests reach the guests of other namespaces at load balancer addresses only."""
        return self._site.value.site.between_namespaces is BetweenNamespaces.CLOSED

    def _tell_of_site(self, node: Manifest, found: site.SiteFound) -> None:
        event = events.event_of_site(self._installation.site_file, found.faults)
        _logger.log(logging.WARNING if found.faults else logging.INFO, "%s", event.message)
        self._recorder.emit(node, event)


def _mac_key(installation: Installation) -> MacKey:
    try:
        return MacKey.decode(installation.mac_key.read_bytes())
    except (OSError, ValueError) as error:
        raise InstallationError(f"{installation.mac_key}: {error}") from error


async def run(installation: Installation, standing_by: int | None = None) -> None:
    """Be the node of an installation until SIGTERM or SIGINT; guests and data plane stay.

    Args:
        installation: The installation.
        standing_by: A pipe whose end of file says that the API server is there; None: it is.
    """
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - a coroutine that runs has its task
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    folder = installation.run_of("node")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    pulse = Pulse(folder / "pulse")
    async with pulse.beating():
        await _work(installation, Oversight(pulse, Aside(folder)), standing_by)


async def _ended(descriptor: int) -> None:
    """Wait until a pipe that nobody writes to is at its end; a file, such as ``/dev/null``, is at once."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, over.set)
    except PermissionError:  # epoll: it is never waited for
        return
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)


async def _work(installation: Installation, oversight: Oversight, standing_by: int | None) -> None:
    found = await accelerator.probe(cache=installation.accelerator)
    _logger.info("guests run with %s: %s", found.name, found.reason)
    allocations = Allocations(installation.allocations)
    try:
        kubeconfig = installation.kubeconfigs / "node"
        async with Client.from_kubeconfig(kubeconfig, user_agent="virtualserver-node") as client:
            with contextlib.suppress(asyncio.CancelledError):
                await Agent(installation, client, allocations, found, oversight).run(standing_by)
    finally:
        allocations.close()
