"""What the operator reads from manifests as they are, without decoding them: they may be invalid. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import mac, names
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of

if TYPE_CHECKING:
    from virtualserver.kube.objects import Key, Manifest

__all__ = ["is_image", "machine_mac", "server_mac", "source_claim"]


def server_mac(server: Manifest) -> str | None:
    """Return the MAC address that a VirtualServer claims, None where it has no cluster NIC."""
    network = fields.mapping(server, "spec", "network")
    if network.get("disableK8sNetworking"):
        return None
    given = network.get("macAddress")
    return str(given).replace("-", ":").lower() if given else mac.derive("/".join(key_of(server)))


def machine_mac(machine: Manifest) -> str | None:
    """Return the MAC address of a VirtualMachine, None where it has none."""
    interfaces = fields.items(machine, "spec", "template", "spec", "domain", "devices", "interfaces")
    return next((str(interface["macAddress"]) for interface in interfaces if interface.get("macAddress")), None)


def source_claim(server: Manifest) -> Key | None:
    """Return the key of the PersistentVolumeClaim that a VirtualServer's root disk is cloned from, None for none."""
    claim = fields.mapping(server, "spec", "storage", "root", "source", "pvc")
    namespace, name = claim.get("namespace"), claim.get("name")
    return (str(namespace), str(name)) if namespace and name else None


def is_image(claim: Manifest) -> bool:
    """Return whether a PersistentVolumeClaim is an image of a store, and not another name of one."""
    annotations = fields.annotations_of(claim)
    return names.IMAGE in annotations and names.ALIAS_OF not in annotations
