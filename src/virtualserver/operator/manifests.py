"""What the operator reads from manifests as they are, without decoding them: they may be invalid. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import names
from virtualserver.api.mac import canonical, unkeyed
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of
from virtualserver.plan import labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.mac import MacKey
    from virtualserver.kube.objects import Key, Manifest

__all__ = [
    "is_image",
    "machine_labels",
    "machine_mac",
    "selects",
    "server_mac",
    "server_macs",
    "source_claim",
]


def server_macs(server: Manifest, mac_key: MacKey) -> tuple[str, ...]:
    """Return every MAC address that a VirtualServer may claim, whatever its machine has now; none without a NIC."""
    claimed = (server_mac(server, None, mac_key), server_mac(server, unkeyed("/".join(key_of(server))), mac_key))
    return tuple(dict.fromkeys(address for address in claimed if address is not None))


def server_mac(server: Manifest, present: str | None, mac_key: MacKey) -> str | None:
    """Return the MAC address that a VirtualServer claims, None where it has no cluster NIC.

    Args:
        server: The VirtualServer.
        present: The address that its own machine has now; None: it has none.
        mac_key: From which the address follows where the manifest names none.
    """
    network = fields.mapping(server, "spec", "network")
    if network.get("disableK8sNetworking"):
        return None
    given = network.get("macAddress")
    if given:
        return canonical(str(given))
    return mac_key.of_server(*key_of(server), uid=server["metadata"].get("uid", ""), present=present)


def machine_labels(machine: Manifest) -> Mapping[str, str]:
    """Return the labels by which a Service finds a VirtualMachine's guest, or a VirtualMachineInstance."""
    return labels.seen(machine, None) if machine["kind"] == "VirtualMachineInstance" else labels.of_vm(machine)


def selects(service: Manifest, machine: Manifest) -> bool:
    """Return whether a Service's selector matches a machine; one without a selector matches none."""
    return labels.selects(service, machine_labels(machine))


def machine_mac(machine: Manifest) -> str | None:
    """Return the MAC address of a VirtualMachine, None where it has none."""
    interfaces = fields.items(machine, "spec", "template", "spec", "domain", "devices", "interfaces")
    return next((str(interface["macAddress"]) for interface in interfaces if interface.get("macAddress")), None)


def source_claim(server: Manifest) -> Key | None:
    """Return the key of the PersistentVolumeClaim that a VirtualServer's root disk is cloned from, None for none."""
    claim = fields.mapping(server, "spec", "storage", "root", "source", "pvc")
    namespace, name = claim.get("namespace"), claim.get("name")
    return (str(namespace), str(name)) if namespace and name else None


def is_abandoned(claim: Manifest) -> bool:
    """Return whether a PersistentVolumeClaim stands for no image, since whoever made that is gone."""
    annotations = fields.annotations_of(claim)
    return names.IMAGE not in annotations and annotations.get(names.IMAGE_PROGRESS) == names.IMAGE_ABANDONED


def is_image(claim: Manifest) -> bool:
    """Return whether a PersistentVolumeClaim is an image of a store, and not another name of one."""
    annotations = fields.annotations_of(claim)
    return names.IMAGE in annotations and names.ALIAS_OF not in annotations
