"""Writes objects of the API, and Events about what a status tells: in words that a tenant may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.host.paths import pattern_of, without_folders
from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import key_of
from virtualserver.kube.writer import Writer
from virtualserver.node.events import events_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.events import Recorder
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["NodeWriter"]


class NodeWriter(Writer):
    """The writer of all the node's controllers: every change of a status that tells something becomes an Event.

    What QEMU or the kernel complains of names files of the host. Objects are read by the users of their namespaces, so
    conditions name a file without its folders, and Events, which repeat conditions, too; the log has the whole path.
    """

    def __init__(self, client: Client, cache: Cache, recorder: Recorder, *, folders: Iterable[Path]) -> None:
        """Name what it writes by.

        Args:
            client: An entered client.
            cache: Follows every kind that is written here.
            recorder: Writes Events.
            folders: Those of the host in which our files lie.
        """
        super().__init__(client, cache, field_manager=names.NODE_MANAGER)
        self._recorder = recorder
        self._paths = pattern_of(folders)

    async def write_status(
        self, resource: Resource, live: Manifest, status: Mapping[str, Any], *, locked: bool = False
    ) -> Manifest | None:
        """Make these fields of an object's status so, as `Writer.write_status` does, without paths of the host."""
        if conditions := fields.items(status, "conditions"):
            told = [{**one, "message": without_folders(one.get("message") or "", self._paths)} for one in conditions]
            status = {**status, "conditions": told}
        return await super().write_status(resource, live, status, locked=locked)

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
