"""Endpoints that somebody made by hand: they are not led to, and it is said of each whose they are; pure.

Whoever may write an EndpointSlice may name anybody's address in it: of those that are no guest's of its own namespace,
none is ever led to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of
from virtualserver.plan.ownership import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from virtualserver.kube.objects import Manifest

__all__ = ["BY_HAND", "services_by_hand", "words_of"]

BY_HAND: Final = "by hand"
"""Index of EndpointSlices that neither operator nor node says to have made: NAMESPACE/SERVICE, and NAMESPACE."""

_OURS: Final = frozenset({("default", "kubernetes"), ("virtualserver-system", names.NODE_MANAGER)})
"""The Services that the control plane makes, for itself: guests have no use for them."""

_NAMED: Final = 3
"""So many addresses of a slice are named."""


def services_by_hand(one: Manifest) -> Iterator[str]:
    """Yield what the index `BY_HAND` has of an EndpointSlice."""
    namespace, labels = one["metadata"]["namespace"], fields.labels_of(one)
    if labels.get(names.MANAGED_BY) not in (names.MANAGED_BY_NODE, names.OPERATOR_MANAGER) and labels.get(SERVICE_NAME):
        yield namespace
        yield f"{namespace}/{labels[SERVICE_NAME]}"


def words_of(service: Manifest, by_hand: Sequence[Manifest], guests: Collection[str]) -> list[str]:
    """Return what of a Service's endpoints has no effect, as it is made by hand.

    Args:
        service: The Service.
        by_hand: The EndpointSlices that others than the node made for it.
        guests: The addresses that guests of its namespace have now.
    """
    if key_of(service) in _OURS:
        return []
    spec = service["spec"]
    found = [_words_of_slice(one, guests) for one in by_hand if fields.items(one, "endpoints")]
    if not found and not spec.get("selector") and spec.get("type", "ClusterIP") == "ClusterIP":
        return ["endpoints made by hand (spec.selector is empty, so that the Service leads to nobody)"]
    return found


def _words_of_slice(one: Manifest, guests: Collection[str]) -> str:
    addresses = [str(text) for endpoint in fields.items(one, "endpoints") for text in endpoint.get("addresses") or ()]
    foreign = [text for text in addresses if text not in guests]
    why = "made by hand: a selector leads to guests"
    if foreign:
        listed = ", ".join(foreign[:_NAMED]) + (f" and {len(foreign) - _NAMED} more" if foreign[_NAMED:] else "")
        why = f"{listed}: no guest of this namespace has it now, and that is never led to"
    return f"EndpointSlice {one['metadata']['name']} ({why})"
