"""Keeps room in etcd's database, so that no user ends all writes by filling it.

etcd holds every former state of every object until it is compacted, which kube-apiserver does every five minutes: who
writes one large object again and again fills the database before that. Once it has its greatest size, etcd raises an
alarm and refuses every write of everybody, and takes it back only when it is told so. So former states go as soon as
the database is tight, and the alarm with them. Who follows a state that went lists its objects anew, as always.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, Final

from virtualserver.controlplane.rest import Rest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Database", "DatabaseSize", "is_tight"]

_log = logging.getLogger("supervisor")

_TIGHT: Final = 0.6
"""The part of the greatest size from which on former states go."""
_GROWN: Final = 1.2
"""So much larger than after the last time it must have become to be looked through again."""


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseSize:
    """How large the database is.

    Attributes:
        size: Of its file, in bytes.
        revision: The number of its last change.
        alarms: What etcd raised because it is full, as it is taken back.
    """

    size: int
    revision: int
    alarms: tuple[dict[str, Any], ...]


def is_tight(space: DatabaseSize, *, limit: int, before: int) -> bool:
    """Return whether former states are to go: pure.

    Args:
        space: How large the database is.
        limit: Its greatest size in bytes.
        before: How large it was when they went last, 0 where they never did.
    """
    return bool(space.alarms) or space.size > max(_TIGHT * limit, _GROWN * before)


class Database:
    """One etcd's database, for one thread at a time.

    Args:
        url: Where etcd answers.
        authority: The CA that signed its certificate.
        client: Certificate and key to show, as ``CLIENT.crt`` and ``CLIENT.key``.
        limit: The greatest size of the database in bytes.
    """

    def __init__(self, url: str, *, authority: Path, client: Path, limit: int) -> None:
        self._rest = Rest(url, authority=authority, client=client, timeout_seconds=60)
        self._limit = limit
        self._before = 0

    def close(self) -> None:
        """Close the connection."""
        self._rest.close()

    def look(self) -> DatabaseSize:
        """Return how large the database is.

        Raises:
            OSError: etcd does not answer.
            RestError: It refuses.
        """
        status = self._rest.call("POST", "/v3/maintenance/status", {})
        alarms: list[dict[str, Any]] = []
        if status.get("errors"):  # such as "memberID:1 alarm:NOSPACE"; how to take it back says the alarm itself
            alarms = self._rest.call("POST", "/v3/maintenance/alarm", {"action": "GET"}).get("alarms", [])
        return DatabaseSize(
            size=int(status["dbSize"]),
            revision=int(status["header"]["revision"]),
            alarms=tuple(alarm for alarm in alarms if alarm.get("alarm") == "NOSPACE"),
        )

    def make_room(self) -> bool:
        """Let former states go where the database is tight, and return whether they went.

        Raises:
            OSError: etcd does not answer.
            RestError: It refuses.
        """
        space = self.look()
        if not is_tight(space, limit=self._limit, before=self._before):
            return False
        _log.warning("etcd holds %d of %d MiB: letting former states go", space.size >> 20, self._limit >> 20)
        self._rest.call("POST", "/v3/kv/compaction", {"revision": str(space.revision), "physical": True})
        self._rest.call("POST", "/v3/maintenance/defragment", {})
        for alarm in space.alarms:
            self._rest.call("POST", "/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm})
        self._before = self.look().size
        _log.warning("etcd holds %d MiB now", self._before >> 20)
        return True
