"""Foreign rules of the host that would drop guests' packets: found and named, never touched.

Tests: ``tests/unit/fabric/test_blockers.py``; with packets: ``tests/integration/fabric``.
"""

from __future__ import annotations

import dataclasses

__all__ = ["Blocker", "find_blockers"]


@dataclasses.dataclass(frozen=True, slots=True)
class Blocker:
    """A foreign rule that would drop our packets.

    Attributes:
        where: The chain, as ``family table chain``, or the setting.
        reason: What it does to our packets.
        remedy: The one command that lets them pass.
    """

    where: str
    reason: str
    remedy: str


async def find_blockers(device: str) -> list[Blocker]:
    """Return the foreign rules of the host that would drop packets from or to our veth pair."""
    return []
