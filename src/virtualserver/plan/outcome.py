"""What a plan says: what to apply in which order, what to remove, and what the status is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from virtualserver.api.virtualserver import Status
    from virtualserver.kube.objects import Manifest

__all__ = ["Apply", "Plan", "Removal"]


@dataclasses.dataclass(frozen=True, slots=True)
class Apply:
    """One object to be as written.

    Attributes:
        manifest: Everything that we want of the object, and nothing else.
        locked: Fields beside it whose value depends on what was observed: written under an optimistic lock.
    """

    manifest: Manifest
    locked: Manifest = dataclasses.field(default_factory=dict[str, Any])

    @property
    def key(self) -> tuple[str, str]:
        """The object's kind and name."""
        return self.manifest["kind"], self.manifest["metadata"]["name"]


@dataclasses.dataclass(frozen=True, slots=True)
class Removal:
    """One object of ours to be deleted; the UID is a precondition."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one server.

    Attributes:
        stages: Objects to apply. Those of one stage do not depend on each other; each stage follows the one before.
        removals: Objects to delete after all stages.
        status: The whole ``status``; its conditions have no times yet.
    """

    stages: tuple[tuple[Apply, ...], ...]
    removals: tuple[Removal, ...]
    status: Status
