"""Sees to it that no object holds up the node's others, and that each says what the node could not do for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.conditions import with_conditions
from virtualserver.kube.controller import Oversight, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest, Resource
    from virtualserver.kube.trouble import Trouble
    from virtualserver.node.writer import NodeWriter

__all__ = ["Overseer", "conditions_of"]

_TOLD_BY: Final[Mapping[Resource, tuple[str, str]]] = {
    kinds.VIRTUAL_MACHINE: ("Failure", "True"),
    kinds.VIRTUAL_MACHINE_INSTANCE: ("Synchronized", "False"),
    kinds.SERVICE: (names.PORTS_PUBLISHED, "False"),
    kinds.DATA_VOLUME: ("Ready", "False"),
}
"""The condition, and its status, by which an object of each kind says what it waits for."""


def conditions_of(resource: Resource, live: Manifest, trouble: Trouble, *, now: float) -> list[Mapping[str, Any]]:
    """Return the conditions of an object that is in trouble, those of other types as they are: pure."""
    type_, status = _TOLD_BY[resource]
    told = {"type": type_, "status": status, "reason": trouble.reason, "message": trouble.message}
    return with_conditions(live, [told], now=now, owned=(type_,))


class Overseer:
    """Watches over the passes of the node's controllers.

    Args:
        cache: What the API has.
        writer: Writes the conditions.
        oversight: Of this process.
    """

    def __init__(self, cache: Cache, writer: NodeWriter, oversight: Oversight) -> None:
        self._cache = cache
        self._writer = writer
        self.oversight = oversight

    def subject(self, resource: Resource) -> Subject[Key]:
        """Return what the keys of a controller of this kind stand for."""

        def find(key: Key) -> Manifest | None:
            return self._cache.get(resource, key)

        async def tell(key: Key, trouble: Trouble) -> None:
            live = find(key)
            if live is not None:
                conditions = conditions_of(resource, live, trouble, now=time.time())
                await self._writer.write_status(resource, live, {"conditions": conditions})

        return Subject(find, tell)
