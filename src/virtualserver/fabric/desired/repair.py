"""What was put back because somebody else had taken it away or changed it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Repair"]


class Repair(NamedTuple):
    """One thing of ours that was missing or different, and was made as it should be.

    Attributes:
        what: In words, as ``route to 203.0.113.0/24``.
        where: ``host``, or ``namespace NAME``.
    """

    what: str
    where: str
