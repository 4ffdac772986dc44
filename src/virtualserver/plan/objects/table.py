"""Every kind of object that is made for a server: one line a kind.

A new kind is a module in this package and a line here: it is then followed by the operator, applied in its stage,
refused where its name is taken, and left alone while it is being deleted.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.api.reasons import Reason
from virtualserver.kube import kinds
from virtualserver.plan import ownership
from virtualserver.plan.objects import data_volumes, floating_claims, secret, services, virtual_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from virtualserver.kube.objects import Resource
    from virtualserver.plan.outcome import Apply, Removal
    from virtualserver.plan.situation import Situation

__all__ = ["KINDS", "STAGES", "ChildKind"]


def _no_removals(situation: Situation) -> Sequence[Removal]:
    """Nothing of a kind that a server always has is removed while it lives."""
    del situation
    return ()


@dataclasses.dataclass(frozen=True, slots=True)
class ChildKind:
    """One kind of object that is made for a server.

    Attributes:
        resource: The kind.
        taken: Why a server is not ready while one of these names is somebody else's.
        planned: Returns the objects of the kind that the server asks for.
        needed: Returns the names that it needs now. None: all that an object of this kind may ever have.
        removals: Returns the objects of ours that it no longer asks for.
    """

    resource: Resource
    taken: Reason
    planned: Callable[[Situation], Sequence[Apply]]
    needed: Callable[[Situation], Sequence[str]] | None = None
    removals: Callable[[Situation], Sequence[Removal]] = _no_removals

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What follows the server's name in each name that such an object may ever have."""
        return ownership.SUFFIXES[self.resource.kind]

    def names(self, server: str) -> tuple[str, ...]:
        """Return every name that an object of this kind may ever have for a server of this name."""
        return tuple(f"{server}{suffix}" for suffix in self.suffixes)

    def names_needed(self, situation: Situation) -> Sequence[str]:
        """Return the names of which none may be somebody else's, for the server to be carried out now."""
        return self.names(situation.server.name) if self.needed is None else self.needed(situation)

    def servers(self, name: str) -> tuple[str, ...]:
        """Return the names of the servers that may need an object of this name."""
        return tuple(name.removesuffix(suffix) for suffix in self.suffixes if name.endswith(suffix))


STAGES: Final = (
    # First, since their owner waits for the address: the pass over a new server goes on behind others after them.
    (
        ChildKind(
            kinds.SERVICE,
            Reason.SERVICE_NAME_TAKEN,
            services.services,
            needed=lambda situation: situation.network.services,
            removals=services.removals,
        ),
    ),
    (
        ChildKind(kinds.DATA_VOLUME, Reason.DATA_VOLUME_NAME_TAKEN, data_volumes.data_volumes),
        ChildKind(kinds.SECRET, Reason.SECRET_NAME_TAKEN, secret.secret),
    ),
    (
        # One that is somebody else's is no obstacle for the machine, so none is needed.
        ChildKind(
            kinds.ENDPOINT_SLICE,
            Reason.FLOATING_SERVICE_UNFIT,
            floating_claims.floating_claims,
            needed=lambda _: (),
            removals=floating_claims.removals,
        ),
        ChildKind(kinds.VIRTUAL_MACHINE, Reason.VIRTUAL_MACHINE_NAME_TAKEN, virtual_machine.virtual_machine),
    ),
)
"""The kinds in the order in which they are applied: those of one stage do not need each other."""

KINDS: Final = tuple(kind for stage in STAGES for kind in stage)
