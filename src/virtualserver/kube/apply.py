"""Writes what a controller intends, and only where something would change.

One field manager, server-side apply. The hash of the last intent is kept in an annotation, which finds intents that got
smaller (server-side apply then removes what is no longer named); comparing the live object finds what others undid.
Servers store some values in other words (``1024Mi`` as ``1Gi``), order lists or leave out what they do not know: what
came back from a write is remembered, so that such an object is written once by each process, not for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from virtualserver.kube.patch import merge_patch

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["Applier", "contains"]

_NEVER: Final = "1"
"""A resource version that no object has (etcd's first write gets 2). Applied with it, an object can only be created."""

_MEMORIES: Final = 20_000


class Applier:
    """Brings objects to a controller's intent with as few writes as possible.

    Args:
        client: An entered client.
        field_manager: Owns all fields written here.
        hash_annotation: Key of the annotation that holds the hash of the last intent.
    """

    def __init__(self, client: Client, *, field_manager: str, hash_annotation: str) -> None:
        self._client = client
        self._field_manager = field_manager
        self._hash_annotation = hash_annotation
        # By UID (and "/status"): the hash of an intent, and of what the server made of it.
        self._normalised: dict[str, tuple[str, str]] = {}

    async def apply(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        live: Manifest | None,
        locked: Mapping[str, Any] | None = None,
    ) -> Manifest | None:
        """Create or change an object, unless it is as intended.

        It is written when the hash of its last intent is another one, or when it no longer contains the intent (lists
        count as changed when their length is). Without ``live`` it is only ever created, and with it only that very
        object is changed: an object that somebody else made meanwhile is not touched.

        Args:
            resource: The kind.
            manifest: The intent: all fields that the controller wants to own, and no others.
            live: The object as the store has it, None where there is none.
            locked: Fields beside the manifest that others write too, such as ``{"spec": {"runStrategy": "Halted"}}``.
                They do not count in the hash, and they are sent with the live object's resource version, so that the
                write fails if anything changed since it was read. Every call for an object must name the same fields
                (with the live value, where that shall stay): server-side apply removes what its manager drops.

        Returns:
            The object as written (give it to ``Cache.remember``); None where there was nothing to write.

        Raises:
            Conflict: The object exists although ``live`` is None, is not ``live`` any more, or changed (``locked``).
        """
        intent_hash = _digest(manifest)
        intent = _merged(manifest, {"metadata": {"annotations": {self._hash_annotation: intent_hash}}})
        if live is not None and contains(live, locked or {}):
            memory = self._normalised.get(live["metadata"]["uid"])
            if contains(live, intent) or memory == (intent_hash, _digest(_projection(live, intent))):
                return None
        body = _merged(_merged(intent, locked or {}), {"metadata": _guard(live, is_locked=bool(locked))})
        written = await self._client.apply(resource, body, field_manager=self._field_manager)
        outcome = None if contains(written, intent) else (intent_hash, _digest(_projection(written, intent)))
        self._keep(written["metadata"]["uid"], outcome)
        return written

    async def apply_status(self, resource: Resource, live: Manifest, status: Mapping[str, Any]) -> Manifest | None:
        """Make an object's status exactly this, unless it is.

        A merge patch with what differs: keys that are not in ``status`` are removed, lists are replaced.

        Args:
            resource: The kind; it has a status subresource.
            live: The object as the store has it.
            status: The whole status.

        Returns:
            The object as written (give it to ``Cache.remember``); None where there was nothing to write.

        Raises:
            Conflict: An object of that name exists, but it is another one.
            NotFound: The object is gone.
        """
        metadata = live["metadata"]
        before: dict[str, Any] = live.get("status") or {}
        patch = merge_patch(before, status)
        memory = f"{metadata['uid']}/status"
        if not patch or self._normalised.get(memory) == (_digest(status), _digest(before)):
            return None
        written = await self._client.patch(
            resource,
            metadata["name"],
            {"metadata": {"uid": metadata["uid"]}, "status": patch},
            namespace=metadata.get("namespace", ""),
            subresource="status",
            field_manager=self._field_manager,
        )
        after: dict[str, Any] = written.get("status") or {}
        self._keep(memory, (_digest(status), _digest(after)) if merge_patch(after, status) else None)
        return written

    async def own(self, resource: Resource, live: Manifest, owner: Mapping[str, Any]) -> Manifest | None:
        """Give an object that somebody else made an owner, unless it has one: it goes with that.

        Args:
            resource: The kind.
            live: The object as the store has it.
            owner: An owner reference.

        Returns:
            The object as written (give it to ``Cache.remember``); None where it has an owner.

        Raises:
            Conflict: It has changed since it was read.
            NotFound: It is gone.
        """
        metadata = live["metadata"]
        if metadata.get("ownerReferences"):
            return None
        guard = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        return await self._client.patch(
            resource,
            metadata["name"],
            {"metadata": {**guard, "ownerReferences": [owner]}},
            namespace=metadata.get("namespace", ""),
            field_manager=self._field_manager,
        )

    def _keep(self, key: str, memory: tuple[str, str] | None) -> None:
        """Remember what the server made of an intent; None where it took it literally. The oldest are forgotten."""
        self._normalised.pop(key, None)
        if memory:
            self._normalised[key] = memory
        while len(self._normalised) > _MEMORIES:
            del self._normalised[next(iter(self._normalised))]


def contains(live: Any, intent: Any) -> bool:
    """Say whether everything intended is in a live value: maps by key, lists of equal length by element.

    A null in the intent means that the key is absent, as it does in server-side apply.
    """
    if isinstance(intent, Mapping):
        if not isinstance(live, Mapping):
            return False
        have = cast("Mapping[str, Any]", live)
        return all(contains(have.get(key), value) for key, value in cast("Mapping[str, Any]", intent).items())
    if isinstance(intent, list | tuple):
        want = cast("list[Any]", intent)
        if not isinstance(live, list) or len(cast("list[Any]", live)) != len(want):
            return False
        return all(contains(one, other) for one, other in zip(cast("list[Any]", live), want, strict=True))
    return live == intent and isinstance(live, bool) == isinstance(intent, bool)


def _guard(live: Manifest | None, *, is_locked: bool) -> dict[str, str]:
    """Return the metadata by which a write fails unless the object is the one that was read."""
    if live is None:
        return {"resourceVersion": _NEVER}
    metadata = live["metadata"]
    return {"uid": metadata["uid"]} | ({"resourceVersion": metadata["resourceVersion"]} if is_locked else {})


def _projection(live: Any, intent: Any) -> Any:
    """Return what a live value has where the intent says something; what is missing is None."""
    if isinstance(intent, Mapping) and isinstance(live, Mapping):
        have = cast("Mapping[str, Any]", live)
        return {key: _projection(have.get(key), value) for key, value in cast("Mapping[str, Any]", intent).items()}
    if isinstance(intent, list | tuple) and isinstance(live, list):
        have_list, want_list = cast("list[Any]", live), cast("list[Any]", intent)
        if len(have_list) == len(want_list):
            return [_projection(one, other) for one, other in zip(have_list, want_list, strict=True)]
    return live  # pyright: ignore[reportUnknownVariableType] - JSON of any shape


def _merged(manifest: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with extra fields; neither is changed."""
    result = dict(manifest)
    for key, value in extra.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value))
        else:
            result[key] = value
    return result


def _digest(value: Any) -> str:
    """Return a hash that is the same for equal JSON, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:32]
