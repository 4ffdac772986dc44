"""Keeps a part of etcd's database for the control plane: while what is live nears the end, users make nothing new.

How it is stands in an annotation of our Namespace, which `manifests/room-policy.yaml` reads: it is there for whoever
comes after us, and written only where it changes. The Node's condition and an Event tell the administrator.
"""

from __future__ import annotations

import enum
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.controlplane.rest import Rest
from virtualserver.kube import kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.fields import annotations_of
from virtualserver.kube.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.controlplane.database import Database
    from virtualserver.installation.installation import Installation

__all__ = ["Room", "Stage", "largest", "stage_of"]

_log = logging.getLogger("supervisor")

_NAMESPACE: Final = "virtualserver-system"
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_COMPONENT: Final = "virtualserver-supervisor"

_LIMITS: Final = (0.5, 0.7)
"""The parts of the greatest size from which on nothing new is taken, and nothing is let grow."""
_MARGIN: Final = 0.1
"""So much below that there must be room again."""

_CALM_SECONDS: Final = 3.0
_BUSY_SECONDS: Final = 0.5
_BUSY_SHARE: Final = 0.2
"""From this part of the greatest size on it is looked at more often: users write tens of MiB in a second."""
_MEASURE_SECONDS: Final = 10.0
"""While nothing is taken, it is measured so often whether there is room again."""
_TOLD: Final = 5
"""So many namespaces are named."""


class Stage(enum.IntEnum):
    """What users may write."""

    OPEN = 0
    """Anything."""
    FULL = 1
    """Nothing new, and nothing that grows."""
    CLOSED = 2
    """Only what makes objects smaller."""


def stage_of(live: int, *, limit: int, before: Stage) -> Stage:
    """Return what users may write from now on: pure.

    Args:
        live: How many bytes the objects take that there are.
        limit: The greatest size of the database in bytes.
        before: What they may write until now, which goes on within a margin.
    """
    reached = sum(live >= part * limit for part in _LIMITS)
    kept = sum(live >= (part - _MARGIN) * limit for part in _LIMITS)
    return Stage(max(reached, min(before, kept)))


def largest(holders: Mapping[str, int]) -> str:
    """Return the namespaces that hold most, for people: pure."""
    most = sorted(((size, name) for name, size in holders.items() if name), reverse=True)[:_TOLD]
    return ", ".join(f"{name} {size / (1 << 20):.1f} MiB" for size, name in most)


class Room:
    """Looks at the database and says in the API what users may write; for one thread at a time.

    Args:
        installation: The installation's files.
        url: The API server's address.
        database: What has a size.
    """

    def __init__(self, installation: Installation, url: str, database: Database) -> None:
        self._installation = installation
        self._url = url
        self._database = database
        self._stage: Stage | None = None
        self._measured = 0.0
        self._told = ""

    @property
    def told(self) -> str:
        """Why users may not write what they like, and which namespaces hold most; ``""`` where they may."""
        return self._told

    def keep(self, *, is_served: bool) -> float:
        """Look once, do what is to be done, and return how many seconds may pass until the next look.

        Args:
            is_served: Whether kube-apiserver has our manifests. Until then former states go all the same: it may wait
                for just that.

        Raises:
            OSError: etcd or kube-apiserver does not answer.
            RestError: One of them refuses.
        """
        now = time.monotonic()
        is_known = self._stage == Stage.OPEN or (self._stage and now - self._measured < _MEASURE_SECONDS)
        space = self._database.look()
        live = self._database.make_room(space, anyway=is_served and not is_known)
        if live is not None and is_served:
            self._judge(live)
            self._measured = now
        return _BUSY_SECONDS if space.in_use > _BUSY_SHARE * self._database.limit else _CALM_SECONDS

    def _judge(self, live: int) -> None:
        """Say what users may write, first of all; then to whom it matters who holds most."""
        with Rest.as_administrator(self._installation, self._url, timeout_seconds=10) as server:
            path = kinds.NAMESPACE.path(name=_NAMESPACE)
            said = annotations_of(server.call("GET", path)).get(names.DATABASE, "")
            before = _stage_said(said)
            stage = stage_of(live, limit=self._database.limit, before=before)
            if stage != before:
                how = f"{stage.name.lower()}: {live >> 20} of {self._database.limit >> 20} MiB are taken"
                annotations = {names.DATABASE: how if stage else None}
                server.call("PATCH", path, {"metadata": {"annotations": annotations}}, content_type=_MERGE)
                _log.warning("etcd's database is %s", how)
            if stage != before or bool(stage) != bool(self._told):
                self._told = self._describe(live) if stage else ""
            _tell_nodes(server, self._told)
            self._stage = stage

    def _describe(self, live: int) -> str:
        return (
            f"{live >> 20} of {self._database.limit >> 20} MiB are taken, so users make nothing new; "
            f"most hold the namespaces {largest(self._database.holders())}"
        )


def _stage_said(annotation: str) -> Stage:
    name = annotation.partition(":")[0].upper()
    return Stage[name] if name in Stage.__members__ else Stage.OPEN


def _tell_nodes(server: Rest, told: str) -> None:
    """Set the condition of every Node where it says something else, and tell an Event where its status changes."""
    now = timestamp(time.time())
    wanted = {
        "type": names.DATABASE_FULL,
        "status": "True" if told else "False",
        "reason": "NamespacesHoldTooMuch" if told else "HasRoom",
        "message": told or "there is room for new objects",
    }
    for node in server.call("GET", kinds.NODE.path())["items"]:
        live = condition_of(node, names.DATABASE_FULL)
        if not told if live is None else all(live.get(key) == wanted[key] for key in ("status", "message")):
            continue
        metadata = node["metadata"]
        condition = {**wanted, "lastTransitionTime": now, "lastHeartbeatTime": now}
        path = f"{kinds.NODE.path(name=metadata['name'])}/status"
        server.call("PATCH", path, {"status": {"conditions": [condition]}}, content_type=_STRATEGIC)
        if live is None or live["status"] != wanted["status"]:
            server.call(
                "POST", "/api/v1/namespaces/default/events", _event(metadata, wanted["message"], bool(told), now)
            )


def _event(about: Mapping[str, Any], message: str, is_full: bool, now: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{about['name']}.{secrets.token_hex(8)}", "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": about["name"], "uid": about["uid"]},
        "type": "Warning" if is_full else "Normal",
        "reason": "DatabaseFull" if is_full else "DatabaseHasRoom",
        "message": f"etcd's database: {message}"[:1024],
        "source": {"component": _COMPONENT},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
