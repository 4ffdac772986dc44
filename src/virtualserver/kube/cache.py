"""What is known of all kinds that a process follows: one cache, which everything in the process reads.

The cache holds one store and one reflector a kind. Whoever runs it names the one receiver of its changes at that
moment; everything else asks. Entries are shared: nobody changes one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING

from virtualserver.kube.reflector import Reflector
from virtualserver.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest, Resource
    from virtualserver.kube.store import Change

__all__ = ["Cache", "Watch"]


def _no_indexes() -> dict[str, Callable[[Manifest], Iterable[str]]]:
    return {}


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """How one kind is followed.

    Attributes:
        indexes: For each index's name, a pure function from an object to the values under which it is found. Every
            kind has ``owner`` (the UID of the controller among its owners) and ``namespace`` besides.
        label_selector: As ``kubectl -l`` has it; ``""`` means all objects of the kind.
    """

    indexes: Mapping[str, Callable[[Manifest], Iterable[str]]] = dataclasses.field(default_factory=_no_indexes)
    label_selector: str = ""


class Cache:
    """The objects of several kinds, as the API server has them and never older than our own writes.

    Every method that names a kind raises ``KeyError`` for one that is not followed.

    Args:
        client: An entered client.
        watches: The kinds to follow, and how.
    """

    def __init__(self, client: Client, watches: Mapping[Resource, Watch]) -> None:
        self._stores = {
            resource: Store(indexes={"namespace": _namespace, **watch.indexes}) for resource, watch in watches.items()
        }
        self._reflectors = {
            resource: Reflector(client, resource, self._stores[resource], label_selector=watch.label_selector)
            for resource, watch in watches.items()
        }

    async def run(self, receive: Callable[[Resource, Change], None]) -> None:
        """Follow all kinds until cancelled.

        Args:
            receive: Called with the kind and each change once the cache has it, also with every object that exists at
                the start; must neither block nor raise (that is logged). A change that ``is_own`` tells whoever
                remembered the write nothing new.
        """
        async with asyncio.TaskGroup() as tasks:
            for resource, reflector in self._reflectors.items():
                tasks.create_task(reflector.run(functools.partial(receive, resource)), name=f"follow {resource.plural}")

    async def synced(self) -> None:
        """Wait until everything that exists is known: before that, what seems missing may only be unread."""
        for reflector in self._reflectors.values():
            await reflector.synced.wait()

    def get(self, resource: Resource, key: Key) -> Manifest | None:
        """Return one object, None where there is none."""
        return self._stores[resource].get(*key)

    def all(self, resource: Resource) -> Sequence[Manifest]:
        """Return all objects of a kind, in no order; the cache may change while they are gone through."""
        return self._stores[resource].all()

    def in_namespace(self, resource: Resource, namespace: str) -> Sequence[Manifest]:
        """Return the objects of a kind in one namespace, ordered by name."""
        return self.by_index(resource, "namespace", namespace)

    def by_index(self, resource: Resource, index: str, value: str) -> Sequence[Manifest]:
        """Return the objects that an index has under a value, ordered by namespace and name.

        Raises:
            KeyError: The kind has no such index.
        """
        return self._stores[resource].by_index(index, value)

    def remember(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Take in what a write of ours returned, and return it: the next pass sees it before the watch delivers it."""
        self._stores[resource].remember(manifest)
        return manifest


def _namespace(manifest: Manifest) -> Iterable[str]:
    return (manifest["metadata"].get("namespace", ""),)
