"""Whose an object is, and the metadata that makes one ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.values import Manifest

__all__ = ["describe_owner", "is_ours", "labels", "metadata", "owner"]


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
        result["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": server.name,
                "uid": server.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return result


def is_ours(server: VirtualServer, manifest: Manifest) -> bool:
    """Return whether an object belongs to this server, and not to an earlier one of its name.

    A kept DataVolume has no owner; its label says whose it is.
    """
    controller = _controller(manifest)
    if controller is not None:
        return controller.get("uid") == server.uid
    unowned_disk = manifest.get("kind") == "DataVolume"
    return unowned_disk and manifest["metadata"].get("labels", {}).get(names.UID) == server.uid


def owner(manifest: Manifest) -> str | None:
    """Return the UID of an object's controller, None where it has none."""
    controller = _controller(manifest)
    return None if controller is None else controller.get("uid")


def describe_owner(server: VirtualServer, manifest: Manifest) -> str:
    """Say whose an object is that is not ours, and when its name will be free."""
    controller = _controller(manifest)
    if controller is None:
        return "it was not made for a VirtualServer that exists: delete or rename it, or choose another name"
    if controller.get("kind") == names.KIND and controller.get("name") == server.name:
        return "it belongs to the deleted VirtualServer of the same name, and this waits until it is gone"
    return f"it belongs to {controller.get('kind')} {controller.get('name')}: delete that, or choose another name"


def _controller(manifest: Manifest) -> Mapping[str, Any] | None:
    references: Iterable[Mapping[str, Any]] = manifest["metadata"].get("ownerReferences", ())
    return next((reference for reference in references if reference.get("controller")), None)
