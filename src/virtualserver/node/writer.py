"""Writes objects of the API, and Events about what a status tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.objects import key_of
from virtualserver.kube.writer import Writer
from virtualserver.node.events import events_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.events import Recorder
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["NodeWriter"]


class NodeWriter(Writer):
    """The writer of all the node's controllers: every change of a status that tells something becomes an Event."""

    def __init__(self, client: Client, cache: Cache, recorder: Recorder) -> None:
        super().__init__(client, cache, field_manager=names.NODE_MANAGER)
        self._recorder = recorder

    async def patch(
        self, resource: Resource, live: Manifest, patch: Mapping[str, Any], *, subresource: str | None = None
    ) -> Manifest | None:
        """Change this very object, as `Writer.patch` does, and tell what its status tells."""
        written = await super().patch(resource, live, patch, subresource=subresource)
        if written is not None and subresource == "status":
            self._tell(resource, live, written)
        return written

    def _tell(self, resource: Resource, before: Manifest, after: Manifest) -> None:
        about = after
        if resource == kinds.VIRTUAL_MACHINE_INSTANCE:
            about = self._cache.get(kinds.VIRTUAL_MACHINE, key_of(after)) or after
        for event in events_of(resource, before, after):
            self._recorder.emit(about, event)
