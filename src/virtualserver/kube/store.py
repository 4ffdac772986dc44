"""What is known of one kind's objects: by name and by index, never older than our own writes.

A store is written by its reflector, and by ``remember`` with what our own writes returned, so that the next pass sees
them before the watch delivers them. Entries are shared: nobody changes one.
Resource versions are compared as numbers where events and remembered writes are concerned; a new listing wins over all
that was known before it began, so that a server restored from a backup, whose versions went backwards, is believed.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from virtualserver.kube.objects import key_of, owner_uid
from virtualserver.kube.trouble import FAULTS_OF_CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from virtualserver.kube.objects import Key, Manifest

__all__ = ["Change", "Store", "version_of"]

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object.

    Attributes:
        old: As it was when last reported; None = it is new.
        new: As it is; None = it is deleted.
        is_own: Nothing but writes that were remembered happened to it: it tells the writer nothing new.
    """

    old: Manifest | None
    new: Manifest | None
    is_own: bool = False

    @property
    def key(self) -> Key:
        """The object's (namespace, name)."""
        manifest = self.new if self.new is not None else self.old
        assert manifest is not None  # noqa: S101 - one of both is always there
        return key_of(manifest)


@dataclasses.dataclass(slots=True)
class _Unconfirmed:
    """Writes of ours to one object whose events are still to come.

    Attributes:
        reported: What was last reported of the object.
        versions: The resource versions of these writes.
        is_mixed: Others wrote between them, which our last write's answer hides.
    """

    reported: Manifest | None
    versions: set[int] = dataclasses.field(default_factory=set[int])
    is_mixed: bool = False


def version_of(manifest: Manifest) -> int:
    """Return the object's resource version as a number, 0 where it has none."""
    return int(manifest["metadata"].get("resourceVersion") or 0)


class Store:
    """The objects of one kind, with indexes.

    Args:
        indexes: For each index's name, a pure function from an object to the values under which it is found. ``owner``
            (the UID of the controller among its owners) is always there. An object at which one fails is found by its
            name, and by no value of that index.
    """

    def __init__(self, *, indexes: Mapping[str, Callable[[Manifest], Iterable[str]]] | None = None) -> None:
        self._index_functions = {"owner": _owner_values, **(indexes or {})}
        self._indexes: dict[str, dict[str, set[Key]]] = {name: {} for name in self._index_functions}
        self._objects: dict[Key, Manifest] = {}
        self._unconfirmed: dict[Key, _Unconfirmed] = {}
        self._remembered_since: set[Key] = set()
        self._unread: set[tuple[str, Key]] = set()
        self._version = 0

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Manifest | None:
        """Return one object, None where there is none; the namespace of a cluster-scoped one is ``""``."""
        return self._objects.get((namespace, name))

    def all(self) -> Sequence[Manifest]:
        """Return all objects, in no order; the store may change while they are gone through."""
        return list(self._objects.values())

    def by_index(self, index: str, value: str) -> Sequence[Manifest]:
        """Return the objects that an index has under a value, ordered by namespace and name.

        Raises:
            KeyError: There is no such index.
        """
        return [self._objects[key] for key in sorted(self._indexes[index].get(value, ()))]

    def remember(self, manifest: Manifest) -> None:
        """Take in what a write of ours returned, unless the reflector is that far already.

        An answer that comes so late that the object was changed or deleted since, changes nothing. The reflector still
        reports the write when it sees it: others than the writer may wait for it.
        """
        key = key_of(manifest)
        known = self._objects.get(key)
        if version_of(manifest) <= self._version or (known and version_of(known) >= version_of(manifest)):
            return
        self._unconfirmed.setdefault(key, _Unconfirmed(known)).versions.add(version_of(manifest))
        self._remembered_since.add(key)
        self._set(key, manifest)

    def put(self, manifest: Manifest) -> Change | None:
        """Take in an object that the watch added or changed.

        Returns:
            What changed; None where that was known, as with an event that comes twice.
        """
        key, version = key_of(manifest), version_of(manifest)
        known = self._objects.get(key)
        if version <= self._version:
            return None
        self.advance(version)
        unconfirmed = self._unconfirmed.get(key)
        if known and version_of(known) > version:
            # An event from before our own last write; that write's event is still to come.
            if unconfirmed and version not in unconfirmed.versions:
                unconfirmed.is_mixed = True
            return None
        is_own = unconfirmed is not None and version in unconfirmed.versions and not unconfirmed.is_mixed
        if unconfirmed:
            known = unconfirmed.reported
            del self._unconfirmed[key]
        self._set(key, manifest)
        return Change(known, manifest, is_own)

    def drop(self, manifest: Manifest) -> Change | None:
        """Take in that an object was deleted.

        Args:
            manifest: The object as it was last, with the version of its deletion.

        Returns:
            What changed; None where the object was not known, or the event came before.
        """
        key = key_of(manifest)
        known = self._objects.get(key)
        if version_of(manifest) <= self._version:
            return None
        self.advance(version_of(manifest))
        if known is None:
            return None
        if _uid(known) != _uid(manifest) and version_of(known) > version_of(manifest):
            # We have made another one of its name since: only what was reported of the old one is over.
            unconfirmed = self._unconfirmed.get(key)
            if unconfirmed is None:
                return None
            if unconfirmed.reported is None:
                unconfirmed.is_mixed = True
                return None
            reported, unconfirmed.reported = unconfirmed.reported, None
            return Change(reported, None)
        return self._remove(key, known)

    def advance(self, version: int) -> None:
        """Say that all changes up to a resource version were taken in, as a bookmark does."""
        self._version = max(self._version, version)

    def begin_replace(self) -> None:
        """Say that a listing is about to be asked for: all that was remembered before this will be in it."""
        self._remembered_since.clear()

    def replace(self, manifests: Iterable[Manifest], *, version: int) -> list[Change]:
        """Take in a listing: what it has not is deleted, except what was remembered since and is newer.

        Args:
            manifests: All objects, as they were at one moment after ``begin_replace``.
            version: The resource version of that moment.

        Returns:
            What changed, deletions first.
        """
        listed = {key_of(manifest): manifest for manifest in manifests}
        ahead = {key for key in self._remembered_since if version_of(self._objects[key]) > version}
        gone = [key for key in self._objects if key not in listed and key not in ahead]
        changes = [self._remove(key, self._objects[key]) for key in gone]
        for key in ahead:
            # The event of that write is still to come; what else the listing shows is reported with it.
            unconfirmed = self._unconfirmed[key]
            unconfirmed.is_mixed |= not _is_same(unconfirmed.reported, listed.pop(key, None))
        for key, manifest in listed.items():
            unconfirmed = self._unconfirmed.pop(key, None)
            reported = unconfirmed.reported if unconfirmed else self._objects.get(key)
            self._set(key, manifest)
            if not _is_same(reported, manifest):
                changes.append(Change(reported, manifest))
        self._version = version
        return changes

    def _remove(self, key: Key, known: Manifest) -> Change:
        """Remove an entry and return the change to report."""
        unconfirmed = self._unconfirmed.pop(key, None)
        self._set(key, None)
        return Change((unconfirmed and unconfirmed.reported) or known, None)

    def _set(self, key: Key, manifest: Manifest | None) -> None:
        """Replace an entry, None for no entry, and its places in the indexes."""
        known = self._objects.pop(key, None)
        if manifest is None:
            self._remembered_since.discard(key)
        else:
            self._objects[key] = manifest
        for name, index in self._indexes.items():
            before, after = self._values(name, known), self._values(name, manifest)
            for value in before - after:
                index[value].discard(key)
                if not index[value]:
                    del index[value]
            for value in after - before:
                index.setdefault(value, set()).add(key)
        if manifest is None:
            self._unread -= {(name, key) for name in self._indexes}

    def _values(self, index: str, manifest: Manifest | None) -> set[str]:
        """Return under which values an index has an object; none where its function fails: the others are found."""
        if manifest is None:
            return set()
        try:
            return set(self._index_functions[index](manifest))
        except FAULTS_OF_CONTENT:
            where = index, key_of(manifest)
            if where not in self._unread:
                self._unread.add(where)
                _logger.exception("%s: index %s cannot read it, so it does not have it", "/".join(where[1]), index)
            return set()


def _is_same(one: Manifest | None, other: Manifest | None) -> bool:
    """Return whether two are one object in one version, or both absent."""
    if one is None or other is None:
        return one is other
    return _uid(one) == _uid(other) and version_of(one) == version_of(other)


def _uid(manifest: Manifest) -> str:
    return manifest["metadata"].get("uid", "")


def _owner_values(manifest: Manifest) -> Iterable[str]:
    uid = owner_uid(manifest)
    return () if uid is None else (uid,)
