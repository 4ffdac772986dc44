"""What of an installation runs, where it is reached, and what of the host it uses."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
from typing import TYPE_CHECKING, Any

from virtualserver import controlplane
from virtualserver.api.conditions import ConditionType
from virtualserver.controlplane import site
from virtualserver.fabric import repairs
from virtualserver.installation import ranges
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.objects import key_of
from virtualserver.local import inventory, listening
from virtualserver.local.errors import MissingError
from virtualserver.local.kubectl import Kubectl
from virtualserver.node.allocation import pools
from virtualserver.node.volumes import grants
from virtualserver.plan.ownership import VIRTUAL_SERVER, living_owner
from virtualserver.storage import space

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.api.faults import Fault
    from virtualserver.fabric.blockers import Blocker
    from virtualserver.fabric.desired.state import Network
    from virtualserver.fabric.repairs import RecordedRepair
    from virtualserver.installation.installation import Installation
    from virtualserver.kube.objects import Key, Manifest, Resource
    from virtualserver.storage.space import Space

__all__ = [
    "AcceleratorFound",
    "AddressHolder",
    "DisksFound",
    "InstallationStatus",
    "PoolUse",
    "ServerFound",
    "accelerator_of",
    "disks_of",
    "holders_of",
    "of",
    "pools_of",
    "require",
    "servers_of",
]


@dataclasses.dataclass(frozen=True, slots=True)
class PoolUse:
    """One pool of load balancer addresses.

    Attributes:
        name: Such as ``public``.
        networks: Where its addresses come from.
        size: How many addresses it has.
        in_use: How many of them Services hold.
    """

    name: str
    networks: tuple[Network, ...]
    size: int
    in_use: int


@dataclasses.dataclass(frozen=True, slots=True)
class ServerFound:
    """One VirtualServer.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        reason: Of its Ready; ``""`` before the operator has seen it.
        external: The address at which clients reach it, ``""`` for none.
        internal: Its own, ``""`` for none.
    """

    namespace: str
    name: str
    reason: str
    external: str
    internal: str


@dataclasses.dataclass(frozen=True, slots=True)
class AddressHolder:
    """Whose a load balancer address is.

    Attributes:
        address: The address.
        service: ``NAMESPACE/NAME`` of the Service that shows it.
        server: ``NAMESPACE/NAME`` of the VirtualServer that the Service was made for, ``""`` for a user's own.
    """

    address: str
    service: str
    server: str


@dataclasses.dataclass(frozen=True, slots=True)
class AcceleratorFound:
    """What the node found out about KVM at its last start.

    Attributes:
        name: ``kvm``, ``tcg``, or ``unknown`` before the first start.
        reason: Why, in words.
    """

    name: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class DisksFound:
    """How far the disks of all servers are promised, in bytes.

    Attributes:
        promised: What those that exist may grow to.
        bound: What all may grow to together: ``disks.overcommit`` times the file system.
        total: The size of the file system that they are on.
        free: What is free of it.
    """

    promised: int
    bound: int
    total: int
    free: int


@dataclasses.dataclass(frozen=True, slots=True)
class InstallationStatus:
    """How an installation is.

    Attributes:
        installation: The installation.
        control_plane: Its processes.
        pools: Its load balancer pools; empty before the first start.
        accelerator: What guests run with.
        blockers: Rules of others that drop our packets; only root sees them.
        listen: Where the API server is reached from other machines; None: nowhere.
        repairs: What others took away of the data plane lately and the node put back, the last one last.
        site_faults: What is wrong with the administrator's ``site.yaml``: what held before it goes on holding.
        servers: All VirtualServers, by namespace and name; none while the API server does not answer.
        holders: Whose each load balancer address is, likewise.
        disks: How far disks are promised; None while the API server does not answer.
    """

    installation: Installation
    control_plane: controlplane.ControlPlaneStatus
    pools: tuple[PoolUse, ...]
    accelerator: AcceleratorFound
    blockers: tuple[Blocker, ...]
    listen: listening.Listening | None
    repairs: tuple[RecordedRepair, ...]
    site_faults: tuple[Fault, ...]
    servers: tuple[ServerFound, ...] = ()
    holders: tuple[AddressHolder, ...] = ()
    disks: DisksFound | None = None

    @property
    def summary(self) -> str:
        """Whether it runs, in a few words."""
        now = self.control_plane
        if now.running:
            return "ready" if now.ready else f"waiting for {now.waiting_for}"
        if now.supervisor_pid is None and any(part.pid for part in now.components):
            return "its supervisor has ended; what runs goes on, and the node starts another one, or `vs up`"
        if now.components:
            return f"its supervisor, PID {now.supervisor_pid}, does not answer; what runs goes on"
        if now.supervisor_pid is not None:
            run = self.installation.run
            return f"supervisor {now.supervisor_pid} has this data and does not answer in {run}: see `vs up`"
        return "stopped"


def require(installation: Installation) -> None:
    """Refuse to go on where there is no such installation.

    Raises:
        MissingError: It was never started, or it was removed.
    """
    if not installation.state.exists():
        raise MissingError(
            f"there is no instance {installation.name!r} in {installation.root}.", remedy="Start it with `vs up`."
        )


def of(installation: Installation, *, with_objects: bool = True) -> InstallationStatus:
    """Return how an installation is.

    Args:
        installation: The installation.
        with_objects: False asks the API server for nothing, as if it did not answer: no servers, holders or disks, and
            pools of which nothing is in use.

    Raises:
        MissingError: There is none.
    """
    require(installation)
    found = controlplane.status(installation)
    readable = os.access(installation.kubeconfig, os.R_OK)
    is_asked = with_objects and found.ready and readable
    asked = Kubectl(installation).list("services,virtualservers,persistentvolumeclaims") if is_asked else []
    services, servers, claims = (
        [one for one in asked if one["kind"] == kind]
        for kind in ("Service", VIRTUAL_SERVER.kind, "PersistentVolumeClaim")
    )
    return InstallationStatus(
        installation=installation,
        control_plane=found,
        pools=pools_of(installation, services),
        accelerator=accelerator_of(installation),
        blockers=tuple(inventory.blockers(installation)) if os.getuid() == 0 else (),
        listen=listening.now(installation),
        repairs=tuple(repairs.read(installation.fabric_run)),
        site_faults=site.faults(installation),
        servers=servers_of(servers),
        holders=holders_of(services, servers),
        disks=_disks(installation, claims) if is_asked else None,
    )


def _disks(installation: Installation, claims: Iterable[Manifest]) -> DisksFound:
    return disks_of(claims, space.space_of(installation.state), overcommit=site.look(installation).site.disk_overcommit)


def disks_of(claims: Iterable[Manifest], room: Space, *, overcommit: float) -> DisksFound:
    """Return how far disks are promised; pure.

    Args:
        claims: All of them.
        room: The file system that disks are on.
        overcommit: All may grow to so many times its size.
    """
    most = space.bound(room, overcommit=overcommit)
    return DisksFound(sum(grants.promised(claims).values()), most, room.total, room.free)


def servers_of(servers: Iterable[dict[str, Any]]) -> tuple[ServerFound, ...]:
    """Return how VirtualServers are, by namespace and name; pure."""
    return tuple(sorted(map(_server, servers), key=lambda one: (one.namespace, one.name)))


def _server(server: dict[str, Any]) -> ServerFound:
    metadata, network = server["metadata"], fields.mapping(server, "status", "network")
    ready = condition_of(server, ConditionType.READY) or {}
    return ServerFound(
        namespace=metadata["namespace"],
        name=metadata["name"],
        reason=str(ready.get("reason", "")),
        external=str(network.get("externalIP", "")),
        internal=str(network.get("internalIP", "")),
    )


def holders_of(services: Iterable[Manifest], servers: Iterable[Manifest]) -> tuple[AddressHolder, ...]:
    """Return whose the load balancer addresses are that Services show, in the order of the addresses; pure.

    Args:
        services: All Services.
        servers: All VirtualServers, to which a Service belongs as the node judges it.
    """
    known = {key_of(server): server for server in servers}

    def find(resource: Resource, key: Key) -> Manifest | None:
        return known.get(key) if resource == VIRTUAL_SERVER else None

    def words(manifest: Manifest | None) -> str:
        return "/".join(key_of(manifest)) if manifest else ""

    found = [
        AddressHolder(address, words(service), words(living_owner(service, find)))
        for service in services
        for address in fields.load_balancer_addresses(service)
    ]
    return tuple(sorted(found, key=lambda one: (ipaddress.ip_address(one.address).packed, one.service)))


def pools_of(installation: Installation, services: Iterable[dict[str, Any]]) -> tuple[PoolUse, ...]:
    """Return the load balancer pools with their sizes and how many of their addresses Services hold."""
    recorded = installation.record().ranges
    if recorded is None:
        return ()
    used = {address for service in services for address in fields.load_balancer_addresses(service)}
    return tuple(
        PoolUse(
            name=pool.name,
            networks=pool.networks,
            size=sum(pool.size(family) for family in pool.families),
            in_use=pool.used(used),
        )
        for pool in pools.pools_of(ranges.decode(recorded)).values()
    )


def accelerator_of(installation: Installation) -> AcceleratorFound:
    """Return what the node found out about KVM at its last start."""
    try:
        found = json.loads(installation.accelerator.read_bytes())
    except (OSError, ValueError):
        return AcceleratorFound("unknown", "the node has not tried yet")
    return AcceleratorFound(found["name"], found["reason"])
