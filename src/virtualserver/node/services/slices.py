"""The EndpointSlices of Services, which show the API whom they lead to; packets take their way without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import AlreadyExists, Forbidden, Invalid
from virtualserver.kube.objects import key_of
from virtualserver.kube.patch import merge_patch
from virtualserver.node.ownership import is_made_by
from virtualserver.node.services import rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest
    from virtualserver.node.writer import NodeWriter

__all__ = ["Slices"]


class Slices:
    """Writes them."""

    def __init__(self, cache: Cache, writer: NodeWriter, *, node: str) -> None:
        """Name what it works with.

        Args:
            cache: What the API has.
            writer: Writes them.
            node: The name of the Node that the endpoints run on.
        """
        self._cache = cache
        self._writer = writer
        self._node = node

    async def write(self, service: Manifest, members: Sequence[rules.Backend]) -> str:
        """Write what the API shows of a Service's endpoints, and return what of it is refused: nothing else waits."""
        wanted = {key_of(one): one for one in rules.endpoint_slices(service, members, node=self._node)}
        refused: list[str] = []
        for key, manifest in wanted.items():
            try:
                told = await self._write(service, self._cache.get(kinds.ENDPOINT_SLICE, key), manifest)
            except AlreadyExists:
                told = _taken(key)
            except (Forbidden, Invalid) as error:
                told = error.message
            if told:
                refused.append(f"EndpointSlice {key[1]}: {told}")
        for live in self._cache.by_index(kinds.ENDPOINT_SLICE, "owner", service["metadata"]["uid"]):
            if key_of(live) not in wanted and _is_the_nodes(live):
                await self._writer.delete(kinds.ENDPOINT_SLICE, live)
        return "; ".join(refused)

    async def _write(self, service: Manifest, live: Manifest | None, manifest: Manifest) -> str:
        """Write one, and return who is in the way, ``""`` for nobody."""
        if live is not None and not _is_the_nodes(live):
            return _taken(key_of(manifest))
        # Of an earlier Service of this name: the garbage collector is about to remove it.
        if live is not None and not is_made_by(service, live):
            await self._writer.delete(kinds.ENDPOINT_SLICE, live)
            live = None
        if live is None:
            await self._writer.create(kinds.ENDPOINT_SLICE, manifest)
        elif changes := _changes(live, manifest):
            await self._writer.patch(kinds.ENDPOINT_SLICE, live, changes)
        return ""


def _taken(key: Key) -> str:
    """Return that somebody else's EndpointSlice has a name that the node needs."""
    return f"somebody else made it: give it another name, or kubectl delete endpointslice {key[1]} -n {key[0]}"


def _is_the_nodes(live: Manifest) -> bool:
    return fields.labels_of(live).get(names.MANAGED_BY) == names.MANAGED_BY_NODE


def _changes(live: Manifest, wanted: Manifest) -> dict[str, Any]:
    return merge_patch(live, {field: wanted[field] for field in ("endpoints", "ports")}, partial=True)
