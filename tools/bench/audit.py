"""What the API server's audit log says was written: by whom, when and to what."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

from harness import audit_log

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["Write", "writes"]

_READING = ("get", "list", "watch")


@dataclasses.dataclass(frozen=True)
class Write:
    """One request that changed something.

    Attributes:
        begun: Seconds since the epoch at which the server received it.
        ended: The same, when it had answered.
        user: Who asked.
        namespace: Of the object, ``""`` where it has none.
        resource: The plural of its kind, with ``/status`` where only that was written.
        name: Its name, ``""`` where the server chose it.
    """

    begun: float
    ended: float
    user: str
    namespace: str
    resource: str
    name: str


def writes(installation: Installation, *, namespace: str = "") -> list[Write]:
    """Return the writes that the log has and that succeeded; Leases are not logged at all.

    Args:
        installation: Whose API server.
        namespace: Only writes to objects in it; ``""`` means all.
    """
    found: list[Write] = []
    for entry in audit_log.entries(installation.audit, about=namespace):
        about: dict[str, Any] = entry.get("objectRef") or {}
        succeeded = entry["stage"] == "ResponseComplete" and entry["responseStatus"]["code"] < 300
        wanted = about.get("namespace") == namespace if namespace else bool(about)
        if succeeded and wanted and entry["verb"] not in _READING and "dryRun=" not in entry["requestURI"]:
            found.append(_write(entry, about))
    return found


def _write(entry: dict[str, Any], about: dict[str, Any]) -> Write:
    subresource = f"/{about['subresource']}" if about.get("subresource") else ""
    return Write(
        begun=_seconds(entry["requestReceivedTimestamp"]),
        ended=_seconds(entry["stageTimestamp"]),
        user=entry["user"]["username"],
        namespace=about.get("namespace", ""),
        resource=f"{about['resource']}{subresource}",
        name=about.get("name", ""),
    )


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
