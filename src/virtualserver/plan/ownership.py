"""Whose an object is, and the metadata that makes one ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube.objects import Resource, controller_of, controller_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.objects import Manifest

__all__ = ["VIRTUAL_SERVER", "describe_owner", "is_ours", "labels", "metadata", "passed_on"]

VIRTUAL_SERVER: Final = Resource(names.GROUP, names.VERSION, names.PLURAL, names.KIND)


def labels(server: VirtualServer) -> dict[str, str]:
    """Return the labels of everything that is made for a server, its machine included."""
    return {names.NAME: server.name, names.UID: server.uid}


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


def passed_on(server: VirtualServer, allowed: Collection[str]) -> dict[str, str]:
    """Return the annotations of a server that a child gets too.

    Args:
        server: The owner.
        allowed: Their keys. None of them is a key that we write ourselves.
    """
    return {key: value for key, value in server.metadata.annotations.items() if key in allowed and value}


def is_ours(server: VirtualServer, manifest: Manifest) -> bool:
    """Return whether an object belongs to this server, and not to an earlier one of its name.

    A kept DataVolume has no owner; its label says whose it is.
    """
    controller = controller_of(manifest)
    if controller is not None:
        return controller.get("uid") == server.uid
    unowned_disk = manifest.get("kind") == "DataVolume"
    return unowned_disk and manifest["metadata"].get("labels", {}).get(names.UID) == server.uid


def describe_owner(server: VirtualServer, manifest: Manifest) -> str:
    """Say whose an object is that is not ours, and when its name will be free."""
    controller = controller_of(manifest)
    if controller is None:
        return "it was not made for a VirtualServer that exists: delete or rename it, or choose another name"
    if controller.get("kind") == names.KIND and controller.get("name") == server.name:
        return "it belongs to the deleted VirtualServer of the same name, and this waits until it is gone"
    return f"it belongs to {controller.get('kind')} {controller.get('name')}: delete that, or choose another name"
