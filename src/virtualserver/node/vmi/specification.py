"""What a VirtualMachineInstance (VMI) asks for, in the node's words: pure.

What the node does not honour is named, never dropped in silence.
Source: KubeVirt API v1.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names, quantity, resolver
from virtualserver.api.mac import canonical
from virtualserver.api.support.field import obstacles
from virtualserver.api.support.virtual_machine import INSTANCE
from virtualserver.kube import fields
from virtualserver.node.objects import cluster_network, vpc_of, vpcs_of
from virtualserver.node.vmi.disks import disks_of, repeated
from virtualserver.plan.sites.local import LEAST_MEMORY, MOST_CPUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from virtualserver.kube.objects import Manifest
    from virtualserver.node.vmi.disks import CloudInit, DiskWish

__all__ = [
    "PAUSED",
    "MachineWish",
    "NicWish",
    "Unsupported",
    "grace_seconds",
    "nic_names",
    "wish_of",
]

PAUSED: Final = "Paused"
"""The one start strategy: the guest stands still until it is unpaused."""

_DEFAULT_GRACE_SECONDS: Final = 30
_TOPOLOGY: Final = ("cores", "sockets", "threads")
_MOST_VPCS: Final = 10
"""As a VirtualServer may have."""
_MAC: Final = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")


class Unsupported(Exception):
    """The VMI asks for what this node does not do; the message names the fields."""


@dataclasses.dataclass(frozen=True, slots=True)
class NicWish:
    """One network card.

    Attributes:
        name: What the network and the interface are called.
        mac: Lower case with colons; None: the node derives one.
        vpc: The NetworkAttachmentDefinition of the VMI's namespace; None: the card is on the cluster network.
    """

    name: str
    mac: str | None
    vpc: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MachineWish:
    """The machine.

    Attributes:
        cpus: At least 1.
        memory_bytes: What the guest has.
        disks: In boot order, then in the order of the specification.
        nics: In the order of the specification's interfaces; at most one on the cluster network, and one on each VPC.
        cloud_init: None: no seed.
        uefi: Whether it boots by UEFI.
        uuid: SMBIOS UUID.
        serial: SMBIOS serial number.
        virtio_transitional: For old guests.
        paused: Whether it stands still at first.
    """

    cpus: int
    memory_bytes: int
    disks: tuple[DiskWish, ...]
    nics: tuple[NicWish, ...]
    cloud_init: CloudInit | None
    uefi: bool
    uuid: str | None
    serial: str | None
    virtio_transitional: bool
    paused: bool


def grace_seconds(vmi: Manifest) -> float:
    """Return how long the guest has between the power button and the end."""
    value = vmi["spec"].get("terminationGracePeriodSeconds")
    return float(_DEFAULT_GRACE_SECONDS if value is None else value)


def wish_of(vmi: Manifest) -> MachineWish:
    """Return what a VMI asks for.

    Raises:
        Unsupported: It asks for something that this node does not do; all such fields are named.
    """
    spec: Mapping[str, Any] = vmi["spec"]
    domain: Mapping[str, Any] = spec["domain"]
    devices = fields.mapping(domain, "devices")
    firmware = fields.mapping(domain, "firmware")
    faults = [*_unsupported(vmi), *_unsupported_networks(spec, devices, vmi["metadata"]["namespace"])]
    disks, cloud_init = disks_of(spec, faults)
    cpus, memory_bytes = _cpus(domain, faults), _memory(domain, faults)
    if faults:
        raise Unsupported("this machine cannot be run here: " + "; ".join(faults))
    return MachineWish(
        cpus=cpus,
        memory_bytes=memory_bytes,
        disks=disks,
        nics=_nics(spec, devices),
        cloud_init=cloud_init,
        uefi="efi" in fields.mapping(firmware, "bootloader"),
        uuid=firmware.get("uuid"),
        serial=firmware.get("serial"),
        virtio_transitional=bool(devices.get("useVirtioTransitional")),
        paused=spec.get("startStrategy") == PAUSED,
    )


def nic_names(spec: Mapping[str, Any]) -> list[str]:
    """Return what the NICs of a VMI's ``spec`` are called, in the guest's order, whether it can be run here or not."""
    devices = fields.mapping(spec, "domain", "devices")
    # The order of the interfaces decides, as with KubeVirt.
    if interfaces := fields.items(devices, "interfaces"):
        return [one["name"] for one in interfaces]
    name = cluster_network(spec)
    return [name] if name is not None and devices.get("autoattachPodInterface", True) else []


def _nics(spec: Mapping[str, Any], devices: Mapping[str, Any]) -> tuple[NicWish, ...]:
    macs = {one["name"]: canonical(one.get("macAddress") or "") for one in fields.items(devices, "interfaces")}
    vpcs = {network["name"]: vpc_of(network) for network in fields.items(spec, "networks")}
    return tuple(NicWish(name, macs.get(name) or None, vpcs.get(name)) for name in nic_names(spec))


def _cpus(domain: Mapping[str, Any], faults: list[str]) -> int:
    """Return how many processors the guest sees; a number of 0 stands for nothing, as with KubeVirt."""
    cpu, product = fields.mapping(domain, "cpu"), 1
    if not any(cpu.get(field) for field in _TOPOLOGY):
        product = _cpus_of_resources(domain, faults)
    for field in _TOPOLOGY:
        count = cpu.get(field) or 1
        if count < 0:
            faults.append(f"spec.domain.cpu.{field}: {count} is less than 1: write how many the guest sees")
        product *= count
    if product > MOST_CPUS:
        faults.append(
            f"spec.domain.cpu: cores x sockets x threads are {product}, {MOST_CPUS} are allowed: ask for less"
        )
    return product


def _cpus_of_resources(domain: Mapping[str, Any], faults: list[str]) -> int:
    """Return how many processors the resources ask for, whole ones; 1 where they ask for none."""
    for kind in ("requests", "limits"):
        value = fields.mapping(domain, "resources", kind).get("cpu")
        if value is not None:
            try:
                return max(1, math.ceil(quantity.parse(value)))
            except quantity.QuantityError as error:
                faults.append(f"spec.domain.resources.{kind}.cpu: {error}")
    return 1


def _memory(domain: Mapping[str, Any], faults: list[str]) -> int:
    places = (("memory", "guest"), ("resources", "requests", "memory"), ("resources", "limits", "memory"))
    values = {path: fields.mapping(domain, *path[:-1]).get(path[-1]) for path in places}
    path = next((path for path, value in values.items() if value is not None), places[0])
    field, value = f"spec.domain.{'.'.join(path)}", values[path]
    if value is None:
        faults.append(f"{field} is missing: write how much memory the machine has, such as 8Gi")
        return 0
    try:
        size = quantity.in_bytes(value)
    except quantity.QuantityError as error:
        faults.append(f"{field}: {error}")
        return 0
    if size < LEAST_MEMORY:
        faults.append(f"{field}: {value!r} is less than the 16Mi that a guest needs: write an amount such as 8Gi")
    return size + -size % (1 << 20)


def _unsupported(vmi: Manifest) -> Iterable[str]:
    spec: Mapping[str, Any] = vmi["spec"]
    for path, field in obstacles(INSTANCE, vmi).items():
        yield f"{path} is not supported: {field.note or 'remove it'}"
    if spec.get("startStrategy") not in (None, PAUSED):
        yield f"spec.startStrategy: {spec['startStrategy']!r} is not supported: write {PAUSED}, or nothing"
    if {"bios", "efi"} <= fields.mapping(spec, "domain", "firmware", "bootloader").keys():
        yield "spec.domain.firmware.bootloader: bios and efi exclude each other: remove one"
    yield from map(str, resolver.faults(fields.mapping(spec, "dnsConfig"), path="spec.dnsConfig"))
    hostname = spec.get("hostname")
    if hostname and not names.DNS_LABEL.fullmatch(hostname):
        yield f"spec.hostname: {hostname!r} is no DNS label: use lower-case letters, digits and dashes"


def _unsupported_networks(spec: Mapping[str, Any], devices: Mapping[str, Any], namespace: str) -> Iterable[str]:
    interfaces, networks = fields.items(devices, "interfaces"), fields.items(spec, "networks")
    attached = nic_names(spec)
    known = [network["name"] for network in networks] or [cluster_network(spec)]
    named = [interface["name"] for interface in interfaces]
    yield from repeated("spec.networks", [network["name"] for network in networks])
    yield from repeated("spec.domain.devices.interfaces", named)
    for name in sorted({*named} - {*known}):
        yield f"spec.domain.devices.interfaces[{name}] has no network of its name in spec.networks: name both alike"
    for one in interfaces:
        mac = canonical(one.get("macAddress") or "")
        path = f"spec.domain.devices.interfaces[{one['name']}].macAddress: {one.get('macAddress')!r}"
        if mac and not _MAC.fullmatch(mac):
            yield f"{path} is no MAC address: write six octets, such as 52:54:00:12:34:56"
        elif mac and int(mac[:2], 16) & 1:
            yield f"{path} is the address of a group: use one whose first octet is even"
        elif mac and not int(mac.replace(":", ""), 16):
            yield f"{path} is no card's address, and no guest takes it: use one such as 52:54:00:12:34:56"
    for network in networks:
        path = f"spec.networks[{network['name']}]"
        if network["name"] not in attached:
            yield f"{path} has no interface of its name in spec.domain.devices.interfaces: name both alike"
        if {"multus", "pod"} <= network.keys():
            yield f"{path}: pod and multus exclude each other: remove one, or make it two networks"
        elif "multus" in network:
            yield from _unsupported_vpc(path, network["multus"], namespace)
        elif "pod" not in network:
            yield f"{path}: only pod and multus networks are supported"
    if len([network for network in networks if "pod" in network]) > 1:
        yield "spec.networks has more than one pod network: name one"
    vpcs = vpcs_of(spec)
    if len(vpcs) > _MOST_VPCS:
        yield f"spec.networks has {len(vpcs)} multus networks: use {_MOST_VPCS} at most"
    for vpc in {one for one in vpcs if vpcs.count(one) > 1}:
        yield f"spec.networks has {vpc} more than once: a machine has one NIC on a VPC"
    bound_otherwise = [one["name"] for one in interfaces if {"sriov", "masquerade"} & one.keys()]
    on_vpcs = {network["name"] for network in networks if "multus" in network}
    for name in (one for one in bound_otherwise if one in on_vpcs):
        yield f"spec.domain.devices.interfaces[{name}] is on a VPC: write bridge: {{}} as its binding"


def _unsupported_vpc(path: str, multus: Mapping[str, Any], namespace: str) -> Iterable[str]:
    name = str(multus.get("networkName") or "")
    where, _, vpc = name.rpartition("/")
    if where not in ("", namespace):
        yield f"{path}.multus.networkName: {name} is in another namespace: a machine joins VPCs of its own only"
    if not names.DNS_SUBDOMAIN.fullmatch(vpc):
        yield f"{path}.multus.networkName: {name!r} is no name of a NetworkAttachmentDefinition"
