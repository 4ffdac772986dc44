"""What exists of the names that a server needs, by kind and name; whose it is, is a question of its own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.plan import ownership

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.objects import Manifest

__all__ = ["MADE_FROM", "Children"]

MADE_FROM: Final = {"VirtualMachineInstance": "VirtualMachine", "PersistentVolumeClaim": "DataVolume"}
"""Kinds that nobody applies: KubeVirt and CDI, or the node, make one of each out of the child of its name."""


def _nothing() -> dict[tuple[str, str], Manifest]:
    return {}


@dataclasses.dataclass(frozen=True, slots=True)
class Children:
    """Objects of one namespace, each once.

    Attributes:
        objects: By kind and name. An object of a name that a server needs belongs here whoever it belongs to.
    """

    objects: Mapping[tuple[str, str], Manifest] = dataclasses.field(default_factory=_nothing)

    @classmethod
    def of(cls, manifests: Iterable[Manifest | None]) -> Children:
        """Return the objects that there are; None stands for one that does not exist."""
        return cls({(item["kind"], item["metadata"]["name"]): item for item in manifests if item is not None})

    def get(self, kind: str, name: str) -> Manifest | None:
        """Return an object, None where it does not exist."""
        return self.objects.get((kind, name))

    def ours(self, server: VirtualServer) -> Children:
        """Return the objects that belong to a server: its own, and what was made from them."""
        own = {key: item for key, item in self.objects.items() if ownership.is_ours(server, item)}
        for (kind, name), item in self.objects.items():
            if kind in MADE_FROM and ownership.living_owner(item, lambda maker, key: own.get((maker.kind, key[1]))):
                own[kind, name] = item
        return Children(own)

    def leaving(self, kind: str, name: str) -> bool:
        """Return whether an object exists and is being deleted."""
        found = self.get(kind, name)
        return found is not None and bool(found["metadata"].get("deletionTimestamp"))
