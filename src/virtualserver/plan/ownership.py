"""Whose an object is: judged here, for operator and node alike, and the metadata that makes one ours.

Who may write an object may write any owner and any label into it, so neither proves anything by itself. An owner counts
when it lives, when namespace, kind, name and UID are the ones that the child refers to, and when the child's name is
one that this owner gives to such a child: whoever makes the owner chooses those names, in a namespace of its own.

A disk that outlives its server has no owner. It is the next server's of that namespace and name where the operator's
mark says so. Nobody else can write that mark, nor the label of a server's UID: `kept-policy.yaml` sees to it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import Resource, controller_of, controller_reference, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.objects import Key, Manifest

__all__ = [
    "PINNED_SUFFIXES",
    "SERVICE_NAME",
    "SUFFIXES",
    "VIRTUAL_SERVER",
    "claim_name",
    "claimed_owner",
    "describe_owner",
    "is_of_former",
    "is_ours",
    "kept_for",
    "labels",
    "living_owner",
    "machine_labels",
    "metadata",
    "pinned_names",
    "was_kept",
]

VIRTUAL_SERVER: Final = Resource(names.GROUP, names.VERSION, names.PLURAL, names.KIND)

SERVICE_NAME: Final = "kubernetes.io/service-name"
"""Label of an EndpointSlice: the Service that it is of."""

PINNED_SUFFIXES: Final = tuple(f"-f{number}" for number in range(10))
"""What follows a server's name in those of the Services that hold the addresses which its manifest names literally."""

SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "VirtualMachine": ("",),
    "DataVolume": ("",),
    "Secret": ("-cloud-init",),
    "Service": ("-tcp", "-udp", "", *PINNED_SUFFIXES),
    "EndpointSlice": (),
}
"""What follows a server's name in the names of all objects that it may ever have, by kind; an EndpointSlice, its claim
to a Service, is named after that: `claim_name`."""

_MAKERS: Final[Mapping[str, tuple[Resource, tuple[str, ...]]]] = {
    **{kind: (VIRTUAL_SERVER, suffixes) for kind, suffixes in SUFFIXES.items()},
    "VirtualMachineInstance": (kinds.VIRTUAL_MACHINE, ("",)),
    "PersistentVolumeClaim": (kinds.DATA_VOLUME, ("",)),
    "EndpointSlice": (kinds.SERVICE, ("-ipv4", "-ipv6")),
}
"""By kind: what makes such objects, and what follows its name in theirs."""


def labels(server: VirtualServer) -> dict[str, str]:
    """Return the labels of everything that is made for a server, its machine included."""
    return {names.NAME: server.name, names.UID: server.uid}


def machine_labels(server: VirtualServer) -> dict[str, str]:
    """Return the labels of a server's machine: the server's own too, so that Services find it by them."""
    given = {key: value for key, value in server.metadata.labels.items() if not key.startswith(f"{names.DOMAIN}/")}
    return {**given, **labels(server)}


def metadata(
    server: VirtualServer, name: str, *, annotations: Mapping[str, str] | None = None, owned: bool = True
) -> dict[str, Any]:
    """Return the metadata of a child.

    Args:
        server: The owner.
        name: The child's name.
        annotations: None or empty: none.
        owned: False for what outlives the server (a kept disk).
    """
    result: dict[str, Any] = {"name": name, "namespace": server.namespace, "labels": labels(server)}
    if annotations:
        result["annotations"] = dict(annotations)
    if owned:
        owner = {"metadata": {"name": server.name, "uid": server.uid}}
        result["ownerReferences"] = [controller_reference(VIRTUAL_SERVER, owner)]
    return result


def pinned_names(server: str) -> tuple[str, ...]:
    """Return the names that the Services may have which hold a server's literal floating addresses."""
    return tuple(f"{server}{suffix}" for suffix in PINNED_SUFFIXES)


def claim_name(service: str) -> str:
    """Return the name of the EndpointSlice by which a server claims a Service, so that one server has it.

    Args:
        service: The Service's name.
    """
    return f"{service}-floating"


def claimed_owner(child: Manifest) -> tuple[Resource, Key] | None:
    """Return which object a child says that it belongs to: the kind, and the key.

    Args:
        child: An object with its ``kind``.

    Returns:
        None where it names no controller, or one that cannot be: one of a kind that makes no such objects, or of a name
        that does not lead to the child's. The UID is not looked at.
    """
    reference, maker = controller_of(child), _MAKERS.get(child.get("kind", ""))
    if reference is None or maker is None:
        return None
    (namespace, name), owner = key_of(child), reference.get("name")
    resource, suffixes = maker
    given = {f"{owner}{suffix}" for suffix in suffixes}
    if child["kind"] == "EndpointSlice" and reference.get("kind") == VIRTUAL_SERVER.kind:
        resource, given = VIRTUAL_SERVER, {claim_name(child["metadata"].get("labels", {}).get(SERVICE_NAME, ""))}
    group = str(reference.get("apiVersion", "")).rpartition("/")[0]
    if (group, reference.get("kind")) != (resource.group, resource.kind):
        return None
    return (resource, (namespace, str(owner))) if name in given else None


def living_owner(child: Manifest, find: Callable[[Resource, Key], Manifest | None]) -> Manifest | None:
    """Return the living object that a child belongs to, None where it belongs to nobody: it stands for itself.

    Args:
        child: An object with its ``kind``.
        find: Returns an object that exists by kind and key, else None.
    """
    claimed, reference = claimed_owner(child), controller_of(child)
    owner = find(*claimed) if claimed else None
    if owner is None or reference is None or owner["metadata"]["uid"] != reference.get("uid"):
        return None
    return owner


def is_ours(server: VirtualServer, manifest: Manifest) -> bool:
    """Return whether an object belongs to this server, and not to an earlier one of its name.

    A kept disk has no owner: it is the server's that it was made for, and after it of any server of its namespace and
    name.
    """
    itself = {"metadata": {"namespace": server.namespace, "name": server.name, "uid": server.uid}}

    def find(resource: Resource, key: Key) -> Manifest | None:
        return itself if resource == VIRTUAL_SERVER and key == key_of(itself) else None

    if controller_of(manifest) is not None:
        return living_owner(manifest, find) is not None
    if manifest.get("kind") != "DataVolume" or key_of(manifest) != key_of(itself):
        return False
    return fields.labels_of(manifest).get(names.UID) == server.uid or _mark_of(server, manifest) is not None


def kept_for(server: VirtualServer, disk: Manifest | None) -> str:
    """Return the mark of a disk that outlives this server: the one that it bears already, else one of our own.

    Args:
        server: Whose disk it is.
        disk: The DataVolume as it exists, None where it does not.
    """
    mark = _mark_of(server, disk) if disk is not None else None
    return mark or "/".join((server.namespace, server.name, server.uid))


def was_kept(server: VirtualServer, disk: Manifest) -> bool:
    """Return whether a disk was kept for this server by another: by an earlier one of its name, or an administrator."""
    mark = _mark_of(server, disk)
    return mark is not None and mark.split("/")[2:] != [server.uid]


def _mark_of(server: VirtualServer, disk: Manifest) -> str | None:
    """Return the mark that keeps a disk for servers of this namespace and name, None where it bears none such."""
    mark = fields.annotations_of(disk).get(names.KEPT_FOR, "")
    return mark if tuple(mark.split("/")[:2]) == (server.namespace, server.name) else None


def is_of_former(server: VirtualServer, manifest: Manifest) -> bool:
    """Return whether an object that is not ours belongs to an earlier server of this name: it goes by itself."""
    controller = controller_of(manifest) or {}
    return (controller.get("kind"), controller.get("name")) == (names.KIND, server.name)


def describe_owner(server: VirtualServer, manifest: Manifest) -> str:
    """Say whose an object is that is not ours, and when its name will be free; nobody is to delete a disk for it."""
    controller, is_disk = controller_of(manifest), manifest.get("kind") in ("DataVolume", "PersistentVolumeClaim")
    whose = (
        "it was not made for a VirtualServer that exists"
        if controller is None
        else f"it belongs to {controller.get('kind')} {controller.get('name')}"
    )
    if not is_disk:
        owner = controller or {"kind": manifest["kind"], "name": manifest["metadata"]["name"]}
        # Who writes a reference may write any text in it, and people copy commands.
        what = shlex.join([str(owner.get("kind")).lower(), str(owner.get("name"))])
        return f"{whose}: choose another name, or kubectl delete {what} -n {server.namespace}"
    is_kept = controller is None and fields.labels_of(manifest).get(names.NAME) == server.name
    if is_kept and manifest["kind"] == "DataVolume":
        command = f"kubectl annotate -n {server.namespace} dv {server.name}"
        mark = f"{names.KEPT_FOR}={server.namespace}/{server.name}"
        return (
            "it is the disk of an earlier server without the mark by which it would come back; an administrator can "
            f"put it on: {command} {mark}"
        )
    return f"{whose}: choose another name for the server; spec.storage.root.source.pvc starts from a copy of a disk"
