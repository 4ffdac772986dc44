"""Whether a component's event loop stands still: decided from what its pulse shows, and when one looks at it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from virtualserver.host.pulse import Beat

__all__ = ["DOUBT_SECONDS", "LIMIT_SECONDS", "LOOK_SECONDS", "Watchdog"]

LOOK_SECONDS: Final = 1.0
"""How often one looks."""

DOUBT_SECONDS: Final = 5.0
"""After this long without a beat a component counts as not ready."""

LIMIT_SECONDS: Final = 20.0
"""After this long it is ended and started again."""

_LATE_SECONDS: Final = 3.0
"""Whoever looks later than this has stood still as well, with the machine: that time says nothing of the component."""


class Watchdog:
    """Counts for how long one process has shown no beat, while others had their time.

    A suspended machine, or one on which nothing gets its turn, holds up whoever looks too: such time does not count.

    Args:
        pid: The process; the pulse of another one, such as its predecessor's, is none.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last: Beat | None = None
        self._looked: float | None = None
        self._silent = 0.0

    def look(self, beat: Beat | None, *, now: float) -> float:
        """Return for how many seconds the loop has stood still; 0 for a process that has not begun to beat.

        Args:
            beat: What the pulse shows; None where there is none.
            now: Seconds of a clock that nobody sets, here and at the last look.
        """
        passed = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        if beat is None or beat.pid != self._pid:
            self._last, self._silent = None, 0.0
        elif self._last is None or beat.count != self._last.count:
            self._last, self._silent = beat, 0.0
        elif passed <= _LATE_SECONDS:
            self._silent += passed
        return self._silent
