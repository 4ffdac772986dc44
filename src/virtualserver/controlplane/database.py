"""etcd's database: how large it is, what in it is in use, whose that is, and that former states go in time.

etcd holds every former state of every object until it is compacted, which kube-apiserver does every five minutes: who
writes one large object again and again fills the database before that. Once it has its greatest size, etcd raises an
alarm and refuses every write of everybody, and takes it back only when it is told so. So former states go as soon as
the database is tight, and the alarm with them. Who follows a state that went lists its objects anew, as always.
What is left then is live: `room` judges it.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from virtualserver.controlplane.rest import Rest, RestError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["Database", "DatabaseSize", "is_tight"]

_log = logging.getLogger("supervisor")

_TIGHT: Final = 0.4
"""The part of the greatest size from which on former states go."""
_GROWN: Final = 0.1
"""By this part of the greatest size it must have grown since the last time to be looked through again."""
_LOOSE: Final = 0.8
"""The file gives room back to the machine from this part on; etcd answers nobody meanwhile."""
_SETTLED_SECONDS: Final = 1.0
"""At most so long until what was let go is counted as free: some commits of etcd, one each 0.1 s while it writes."""
_PAGE: Final = 16
"""So many objects are read at once, each of 1.5 MiB at most."""


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseSize:
    """How large the database is.

    Attributes:
        size: Of its file, in bytes.
        in_use: How many of them hold something, former states among it.
        revision: The number of its last change.
        alarms: What etcd raised because it is full, as it is taken back.
    """

    size: int
    in_use: int
    revision: int
    alarms: tuple[dict[str, Any], ...]


def is_tight(space: DatabaseSize, *, limit: int, before: int) -> bool:
    """Return whether former states are to go: pure.

    Args:
        space: How large the database is.
        limit: Its greatest size in bytes.
        before: How much was in use when they went last, 0 where they never did.
    """
    return bool(space.alarms) or space.in_use > max(_TIGHT * limit, before + _GROWN * limit)


class Database:
    """One etcd's database, for one thread at a time.

    Args:
        url: Where etcd answers.
        authority: The CA that signed its certificate.
        client: Certificate and key to show, as ``CLIENT.crt`` and ``CLIENT.key``.
        limit: The greatest size of the database in bytes.
    """

    def __init__(self, url: str, *, authority: Path, client: Path, limit: int) -> None:
        self.limit = limit
        self._rest = Rest(url, authority=authority, client=client, timeout_seconds=60)
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
            in_use=int(status["dbSizeInUse"]),
            revision=int(status["header"]["revision"]),
            alarms=tuple(alarm for alarm in alarms if alarm.get("alarm") == "NOSPACE"),
        )

    def make_room(self, space: DatabaseSize, *, anyway: bool = False) -> int | None:
        """Let former states go where the database is tight; return how many bytes are live, None where it is not.

        Args:
            space: How large it is.
            anyway: Whether they go where it is not tight, too.

        Raises:
            OSError: etcd does not answer.
            RestError: It refuses.
        """
        self._before = min(self._before, space.in_use)
        if not (is_tight(space, limit=self.limit, before=self._before) or anyway):
            return None
        self._let_go(space.revision)
        if space.alarms or space.size > _LOOSE * self.limit:
            _log.warning("etcd's file has %d of %d MiB: writing it anew", space.size >> 20, self.limit >> 20)
            self._rest.call("POST", "/v3/maintenance/defragment", {})
        for alarm in space.alarms:
            self._rest.call("POST", "/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm})
        self._before = self._settled(space.in_use)
        _log.info("etcd: of %d MiB in use %d are live", space.in_use >> 20, self._before >> 20)
        return self._before

    def _let_go(self, revision: int) -> None:
        try:
            self._rest.call("POST", "/v3/kv/compaction", {"revision": str(revision), "physical": True})
        except RestError as error:
            if "has been compacted" not in str(error):
                raise

    def _settled(self, before: int) -> int:
        """Return how much is in use once that does not become less any more."""
        end = time.monotonic() + _SETTLED_SECONDS
        least = before
        while (now := self.look().in_use) <= least and time.monotonic() < end:
            least = now
            time.sleep(0.1)
        return min(now, least)

    def holders(self) -> dict[str, int]:
        """Return how many bytes the objects of each namespace take, ``""`` standing for those of none.

        It reads all of them, which takes seconds.

        Raises:
            OSError: etcd does not answer.
            RestError: It refuses.
        """
        namespaces = {key.rpartition(b"/")[2].decode() for key, _ in self._entries(b"/registry/namespaces/")}
        found: collections.Counter[str] = collections.Counter()
        for key, size in self._entries(b"/registry/"):
            # /registry/[GROUP/]RESOURCE/NAMESPACE/NAME
            _, _, parent = key.decode(errors="replace").rpartition("/")[0].rpartition("/")
            found[parent if parent in namespaces else ""] += size
        return dict(found)

    def _entries(self, prefix: bytes) -> Generator[tuple[bytes, int]]:
        """Yield each key with the bytes that it and its value take."""
        start, more = prefix, True
        while more:
            end = prefix[:-1] + bytes([prefix[-1] + 1])
            asked = {"key": _encoded(start), "range_end": _encoded(end), "limit": _PAGE, "serializable": True}
            answer = self._rest.call("POST", "/v3/kv/range", asked)
            for entry in answer.get("kvs", []):
                start = base64.b64decode(entry["key"])
                yield start, len(start) + len(entry.get("value", "")) * 3 // 4
            start, more = start + b"\0", answer.get("more", False)


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()
