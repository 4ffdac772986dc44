"""What the node sees of the API, and how it writes a status back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.events import Event, Recorder
from virtualserver.kube.objects import key_of
from virtualserver.kube.patch import merge_patch
from virtualserver.kube.store import Store
from virtualserver.node.events import notices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest, Resource

__all__ = ["Observed", "selects"]


def _namespace(manifest: Manifest) -> Iterable[str]:
    return (manifest["metadata"].get("namespace", ""),)


class Observed:
    """The stores of every kind that the node follows, and the writer of their statuses.

    Attributes:
        client: An entered client.
        recorder: Writes the Events about what a status tells; it runs beside the controllers.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.recorder = Recorder(client, component=names.NODE_MANAGER)
        indexes = {"namespace": _namespace}
        self.stores = {
            resource: Store(indexes=indexes)
            for resource in (
                kinds.VIRTUAL_MACHINE,
                kinds.VIRTUAL_MACHINE_INSTANCE,
                kinds.SERVICE,
                kinds.DATA_VOLUME,
                kinds.PERSISTENT_VOLUME_CLAIM,
                kinds.ENDPOINT_SLICE,
            )
        }

    def get(self, resource: Resource, key: Key) -> Manifest | None:
        """Return one object, None where there is none."""
        return self.stores[resource].get(*key)

    def all(self, resource: Resource) -> list[Manifest]:
        """Return all objects of a kind."""
        return list(self.stores[resource].all())

    def in_namespace(self, resource: Resource, namespace: str) -> list[Manifest]:
        """Return the objects of a kind in one namespace, ordered by name."""
        return list(self.stores[resource].by_index("namespace", namespace))

    def remember(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Take in what a write returned, and return it."""
        self.stores[resource].remember(manifest)
        return manifest

    async def patch(
        self, resource: Resource, live: Manifest, patch: Mapping[str, Any], *, subresource: str | None = None
    ) -> Manifest | None:
        """Change this very object by a merge patch; None where it is gone."""
        metadata = live["metadata"]
        body = {**patch, "metadata": {**fields.mapping(patch, "metadata"), "uid": metadata["uid"]}}
        try:
            written = await self.client.patch(
                resource,
                metadata["name"],
                body,
                namespace=metadata.get("namespace", ""),
                subresource=subresource,
                field_manager=names.NODE_MANAGER,
            )
        except NotFound:
            return None
        if subresource == "status":
            self._tell(resource, live, written)
        return self.remember(resource, written)

    async def write_status(
        self, resource: Resource, live: Manifest, status: Mapping[str, Any], *, locked: bool = False
    ) -> Manifest | None:
        """Make these fields of the status so, if any differs; None where the object is gone.

        Args:
            resource: The kind.
            live: The object as it is known.
            status: The fields; None removes one. Others stay.
            locked: Fail with a conflict if the object changed since `live`.
        """
        changes = merge_patch(fields.status_of(live), status, partial=True)
        if not changes:
            return live
        metadata = {"resourceVersion": live["metadata"]["resourceVersion"]} if locked else {}
        return await self.patch(resource, live, {"metadata": metadata, "status": changes}, subresource="status")

    def _tell(self, resource: Resource, before: Manifest, after: Manifest) -> None:
        """Emit the Events of a change of status."""
        about = after
        if resource == kinds.VIRTUAL_MACHINE_INSTANCE:
            about = self.get(kinds.VIRTUAL_MACHINE, key_of(after)) or after
        for notice in notices(resource, before, after):
            self.recorder.emit(about, Event(notice.type, notice.reason, notice.message))


def selects(service: Manifest, vmi: Manifest) -> bool:
    """Return whether a Service's selector matches an instance; one without a selector matches nothing."""
    selector = fields.mapping(service, "spec", "selector")
    labels = fields.labels_of(vmi)
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())
