"""Writes objects that a cache follows, so that the cache knows each write before the watch delivers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.kube import fields
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import key_of
from virtualserver.kube.patch import merge_patch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["Writer"]


class Writer:
    """Creates objects and changes some of their fields; what others write into the other fields stays.

    Args:
        client: An entered client.
        cache: Follows every kind that is written here.
        field_manager: Owns the fields written here.
    """

    def __init__(self, client: Client, cache: Cache, *, field_manager: str) -> None:
        self._client = client
        self._cache = cache
        self._field_manager = field_manager

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create an object and return it as written.

        Raises:
            AlreadyExists: There is one of this name.
            Invalid: It breaks its schema or a rule.
        """
        written = await self._client.create(resource, manifest, field_manager=self._field_manager)
        return self._cache.remember(resource, written)

    async def delete(self, resource: Resource, live: Manifest) -> None:
        """Delete this very object; one that is gone is no error, another of its name is not touched."""
        namespace, name = key_of(live)
        await self._client.delete(resource, name, namespace=namespace, uid=live["metadata"]["uid"])

    async def patch(
        self, resource: Resource, live: Manifest, patch: Mapping[str, Any], *, subresource: str | None = None
    ) -> Manifest | None:
        """Change this very object by a merge patch.

        Args:
            resource: The kind.
            live: The object as it is known; another object of its name is not touched.
            patch: The merge patch. A ``metadata.resourceVersion`` in it makes the write fail if anything changed.
            subresource: Such as ``status``; None for the object itself.

        Returns:
            The object as written; None where it is gone.

        Raises:
            Conflict: The object is another one, or changed.
        """
        metadata = live["metadata"]
        try:
            written = await self._client.patch(
                resource,
                metadata["name"],
                {**patch, "metadata": {**fields.mapping(patch, "metadata"), "uid": metadata["uid"]}},
                namespace=metadata.get("namespace", ""),
                subresource=subresource,
                field_manager=self._field_manager,
            )
        except NotFound:
            return None
        return self._cache.remember(resource, written)

    async def write_status(
        self, resource: Resource, live: Manifest, status: Mapping[str, Any], *, locked: bool = False
    ) -> Manifest | None:
        """Make these fields of an object's status so, if any differs.

        Args:
            resource: The kind; it has a status subresource.
            live: The object as it is known.
            status: The fields; None removes one. Fields that are not named stay.
            locked: Fail if anything of the object changed since ``live``.

        Returns:
            The object as written, ``live`` where there was nothing to write; None where the object is gone.

        Raises:
            Conflict: The object is another one, or changed (``locked``).
        """
        changes = merge_patch(fields.status_of(live), status, partial=True)
        if not changes:
            return live
        metadata = {"resourceVersion": live["metadata"]["resourceVersion"]} if locked else {}
        return await self.patch(resource, live, {"metadata": metadata, "status": changes}, subresource="status")
