"""One server in its situation: all that its objects are planned from and its conditions are judged from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from virtualserver.kube import fields
from virtualserver.plan import ownership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.reasons import Reason
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.children import Children
    from virtualserver.plan.floating import Floating, FloatingService
    from virtualserver.plan.network import ServerNetwork
    from virtualserver.plan.sites.site import Site
    from virtualserver.plan.user_data import UserData

__all__ = ["FailedWrite", "Refusal", "Situation", "Surroundings"]


@dataclasses.dataclass(frozen=True, slots=True)
class FailedWrite:
    """The API server refused a write in this pass.

    Attributes:
        kind: The object's kind.
        name: The object's name.
        message: What the API server said.
    """

    kind: str
    name: str
    message: str


def _no_secrets() -> dict[str, Manifest]:
    return {}


def _no_services() -> dict[str, FloatingService]:
    return {}


def _no_holders() -> dict[str, str]:
    return {}


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What matters to a server beside the objects of its names.

    Attributes:
        secrets: By name: Secrets that the manifest refers to, as far as they exist.
        source: The PersistentVolumeClaim that the root disk is cloned from, None where it does not exist.
        images: NAMESPACE/NAME of the images that are known, for messages.
        derived_mac: The MAC address of the cluster NIC where the manifest names none.
        vpc_macs: The MAC addresses of its NICs on VPCs, by the VPC's name.
        mac_holder: (namespace, name) of another server that the MAC address belongs to, None where it is free or ours.
        failures: Writes that the API server has just refused.
        floating: By name: the Services whose addresses the manifest names.
        holders: By literal address that the manifest names: the Service of the namespace that holds it.
    """

    secrets: Mapping[str, Manifest] = dataclasses.field(default_factory=_no_secrets)
    source: Manifest | None = None
    images: tuple[str, ...] = ()
    derived_mac: str = ""
    vpc_macs: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    mac_holder: tuple[str, str] | None = None
    failures: tuple[FailedWrite, ...] = ()
    floating: Mapping[str, FloatingService] = dataclasses.field(default_factory=_no_services)
    holders: Mapping[str, str] = dataclasses.field(default_factory=_no_holders)


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object, or the whole server, is not carried out; it stands in the conditions.

    Attributes:
        reason: The condition's reason.
        message: Names the field or object, and says what to do.
        kind: The kind of the object that cannot be applied; ``""``: none is applied.
        name: The name of that object.
    """

    reason: Reason
    message: str
    kind: str = ""
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One server, what it asks for, what exists of it, and where it runs.

    Attributes:
        server: As decoded.
        site: Where it runs.
        network: What it asks of its network.
        found: What exists of the names that it needs, whoever it belongs to.
        children: What of it is ours.
        surroundings: What matters beside them.
        user_data: What the guest is told at its first start.
        floating: Its floating addresses as they stand, in the manifest's order.
        refusals: Why something is not carried out, the gravest first.
    """

    server: VirtualServer
    site: Site
    network: ServerNetwork
    found: Children
    children: Children
    surroundings: Surroundings
    user_data: UserData
    floating: tuple[Floating, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def machine(self) -> Manifest | None:
        """The VirtualMachine."""
        return self.children.get("VirtualMachine", self.server.name)

    @property
    def instance(self) -> Manifest | None:
        """The VirtualMachineInstance: the machine's present, or last, run."""
        return self.children.get("VirtualMachineInstance", self.server.name)

    @property
    def running(self) -> Manifest | None:
        """The instance that runs, None where there is none or it has ended."""
        found = self.instance
        return None if found is None or fields.status_of(found).get("phase") in ("Succeeded", "Failed") else found

    @property
    def keeps_its_addresses(self) -> bool:
        """Whether the machine, where it runs, was started with its addresses from where the manifest now says."""
        nic, running = self.network.cluster_nic, self.running
        attached_to = nic.attached_to if nic else None
        return running is None or self.site.driver.attached_service(running) == attached_to

    @property
    def keeps_its_cluster_nic(self) -> bool:
        """Whether the machine, where it runs, has a NIC on the cluster network just where the manifest asks for one."""
        if self.running is None:
            return True
        has = any("pod" in network for network in fields.items(self.running, "spec", "networks"))
        return has == (self.network.cluster_nic is not None)

    @property
    def root_disk(self) -> Manifest | None:
        """The root disk's DataVolume."""
        return self.children.get("DataVolume", self.server.name)

    @property
    def keeps_disk(self) -> bool:
        """Whether deleting the server leaves its root disk: one that was kept before stays so, unless it says no."""
        disk = self.root_disk
        was_kept = disk is not None and ownership.was_kept(self.server, disk)
        return (was_kept and self.server.keep_disk is None) or self.site.keeps_disk(self.server)
