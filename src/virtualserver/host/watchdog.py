"""Whether a process stands still: decided from what its pulse shows, and when one looks at it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from virtualserver.host.pulse import Beat

if TYPE_CHECKING:
    from virtualserver.host.process import Process

__all__ = ["DOUBT_SECONDS", "LIMIT_SECONDS", "LOOK_SECONDS", "Standstill", "Watchdog"]

LOOK_SECONDS: Final = 1.0
"""How often one looks."""

DOUBT_SECONDS: Final = 5.0
"""After this long without a beat a process counts as not ready."""

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


class Standstill:
    """For how long somebody has stopped a process that has no pulse, as SIGSTOP and a debugger do.

    It beats, to a `Watchdog`, for as long as nobody has stopped it.

    Attributes:
        process: The process.
    """

    def __init__(self, process: Process) -> None:
        """Name the process; one looks at it later."""
        self.process = process
        self._dog = Watchdog(process.pid)
        self._looks = 0

    def look(self) -> float:
        """Return for how many seconds it has been stopped, as far as one looked; 0 for one that runs or has ended."""
        self._looks += 1
        count = 0 if self.process.is_stopped() else self._looks
        silent = self._dog.look(Beat(self.process.pid, count, ""), now=time.monotonic())
        return silent if count == 0 else 0.0
