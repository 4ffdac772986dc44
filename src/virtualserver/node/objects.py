"""What the node's rooms read off each other's objects, so that each such reading is written once: pure.

A VMI is a VirtualMachineInstance.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.api.reasons import Reason
from virtualserver.api.support.field import without_effect
from virtualserver.kube import fields
from virtualserver.kube.objects import controller_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from virtualserver.api.support.field import Table
    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.objects import Manifest

__all__ = [
    "addresses_of",
    "attached_service",
    "cluster_network",
    "families_of",
    "is_final",
    "partly_applied",
    "template_spec",
    "volume_claims",
    "vpc_of",
    "vpcs_of",
]

_DEFAULT_NETWORK: Final = "default"
"""What KubeVirt calls the pod network of a machine that names no networks."""


def attached_service(template: Manifest) -> str | None:
    """Return the name of the Service whose addresses the cluster NIC of a machine has, None: its own address."""
    return fields.annotations_of(template).get(names.ATTACH_LOAD_BALANCER)


def cluster_network(spec: Manifest) -> str | None:
    """Return what a VMI's ``spec`` calls the cluster network, and so its NIC there; None where it names others only."""
    networks = fields.items(spec, "networks")
    if not networks:
        return _DEFAULT_NETWORK
    return next((network["name"] for network in networks if "pod" in network), None)


def vpc_of(network: Manifest) -> str | None:
    """Return the VPC that an entry of a VMI's ``spec.networks`` names, without its namespace; None: it names none."""
    return str(fields.mapping(network, "multus").get("networkName") or "").rpartition("/")[2] or None


def vpcs_of(spec: Manifest) -> list[str]:
    """Return the VPCs, of its own namespace, that a VMI's ``spec`` names, in the order of its networks."""
    return [vpc for network in fields.items(spec, "networks") if (vpc := vpc_of(network))]


def addresses_of(vmi: Manifest) -> tuple[Address, ...]:
    """Return the addresses that a running VMI's cluster NIC has in the data plane; none while it does not run."""
    status = fields.status_of(vmi)
    if status.get("phase") != "Running":
        return ()
    name = cluster_network(fields.mapping(vmi, "spec"))
    found = (one for one in fields.items(status, "interfaces") if one.get("name") == name)
    texts = next((one.get("ipAddresses") or () for one in found), ())
    return tuple(ipaddress.ip_address(text) for text in texts)


def families_of(service: Manifest) -> tuple[int, ...]:
    """Return the IP versions of a Service's addresses, in its order."""
    named = fields.mapping(service, "spec").get("ipFamilies") or ("IPv4",)
    return tuple(6 if family == "IPv6" else 4 for family in named)


def is_final(vmi: Manifest | None) -> bool:
    """Return whether a VMI has ended."""
    return vmi is not None and fields.status_of(vmi).get("phase") in ("Succeeded", "Failed")


def template_spec(vm: Manifest) -> Manifest:
    """Return the ``spec`` of a VirtualMachine's VMI, empty where its template has none, as KubeVirt's schema allows."""
    return fields.mapping(vm, "spec", "template", "spec")


def volume_claims(spec: Manifest) -> dict[str, bool]:
    """Return the claims that a machine's specification names, and whether each is named as a DataVolume."""
    claims: dict[str, bool] = {}
    for volume in fields.items(spec, "volumes"):
        if name := fields.mapping(volume, "dataVolume").get("name"):
            claims[name] = True
        for path in (("persistentVolumeClaim",), ("ephemeral", "persistentVolumeClaim")):
            if name := fields.mapping(volume, *path).get("claimName"):
                claims[name] = False
    return claims


def partly_applied(
    table: Table,
    manifest: Manifest,
    *,
    served: Mapping[str, Collection[str]] | None = None,
    also: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the condition that names what of an object has no effect here, by the table of its kind; none for nothing.

    Nor for what is made for a VirtualServer, which says it itself, in the words of its own manifest.

    Args:
        table: Of its kind.
        manifest: The object.
        served: By path of a field: the values that this place serves.
        also: What belongs to it and has no effect, in words.
    """
    owner = controller_of(manifest)
    is_servers = owner is not None and (owner["apiVersion"], owner["kind"]) == (names.API_VERSION, names.KIND)
    told = [] if is_servers else [*without_effect(table, manifest, served=served), *also]
    if not told:
        return []
    message = f"{', '.join(told)}: no effect here"
    return [{"type": names.FULLY_APPLIED, "status": "False", "reason": Reason.PARTLY_APPLIED.value, "message": message}]
