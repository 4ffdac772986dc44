"""Kubernetes objects as they travel: plain JSON mappings, and how their kinds are addressed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from virtualserver.kube.errors import NotFound

__all__ = ["Key", "Manifest", "Resource", "age_of", "controller_of", "controller_reference", "key_of", "owner_uid"]

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON. Whoever holds one never changes it: stores share them."""

Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is ``""``."""

_SEGMENT: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """How one kind is addressed in the API.

    Attributes:
        group: ``""`` for core.
        version: Such as ``v1``.
        plural: The resource's name in paths.
        kind: The object's ``kind``.
        namespaced: False for cluster-scoped kinds.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def is_metadata(self) -> bool:
        """Whether only the metadata of its objects are listed and watched: that they change, not what they hold."""
        return self.kind == "PartialObjectMetadata"

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path below the server's address; no namespace means all of them.

        Raises:
            NotFound: No object can have such a name. Users write names into fields of their objects, and with a slash
                in it one would ask, with our rights, for something else.
        """
        for part in filter(None, (namespace, name)):
            if part in (".", "..") or not _SEGMENT.fullmatch(part):
                raise NotFound(f"{self.plural} {part!r}: no object can have this name", status=404)
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


def key_of(manifest: Manifest) -> Key:
    """Return the object's (namespace, name)."""
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def controller_reference(resource: Resource, owner: Manifest) -> dict[str, Any]:
    """Return the entry of ``ownerReferences`` that makes an object its child's controller.

    The child is deleted with its controller, and before it where the controller is deleted in the foreground.

    Args:
        resource: The owner's kind.
        owner: The owner, of which only name and UID are read.
    """
    metadata = owner["metadata"]
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def age_of(manifest: Manifest) -> tuple[str, str]:
    """Return what sorts objects, the oldest first; of the same second, the first by namespace and name is older."""
    return manifest["metadata"].get("creationTimestamp") or "", "/".join(key_of(manifest))


def controller_of(manifest: Manifest) -> Mapping[str, Any] | None:
    """Return the owner reference of the object's controller, None where it has none."""
    references: Iterable[Mapping[str, Any]] = manifest["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def owner_uid(manifest: Manifest) -> str | None:
    """Return the UID of the object's controller, None where it has none."""
    controller = controller_of(manifest)
    return controller["uid"] if controller else None
