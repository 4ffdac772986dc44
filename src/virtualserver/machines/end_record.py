"""How a machine ended: written down by whoever sees it first, and judged from what it left where nobody saw it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from virtualserver.host.files import write_atomically
from virtualserver.machines.ends import Ended, EndReason

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.host.process import Process
    from virtualserver.machines.files import Files

__all__ = ["EndRecord", "last_lines"]

_VERSION: Final = 1


class EndRecord:
    """The end of one machine."""

    def __init__(self, files: Files) -> None:
        """Name the machine's folders."""
        self._files = files

    def write(self, reason: EndReason, message: str) -> None:
        """Write how the machine ended, unless it is written already: the first cause is the cause."""
        if not self._files.end.exists() and self._files.machine.exists():
            content = {"formatVersion": _VERSION, "reason": reason, "message": message}
            write_atomically(self._files.end, json.dumps(content))

    def read(self, process: Process | None) -> Ended:
        """Return how the machine ended, from what is written and what it left.

        Args:
            process: QEMU's, which is gone; None: it never was.
        """
        if self._files.dismissed.exists():
            return Ended(EndReason.DISMISSED, "it ended with the instance")
        try:
            content = json.loads(self._files.end.read_bytes())
        except FileNotFoundError:
            return self._judged(process)
        return Ended(EndReason(content["reason"]), content["message"])

    def _judged(self, process: Process | None) -> Ended:
        """Say how a process ended that nobody was watching: QEMU removes its PID file unless it crashes."""
        if process is None:
            return Ended(EndReason.CRASH, "the start was interrupted before QEMU ran")
        if not process.is_of_this_boot:
            return Ended(EndReason.CRASH, "the host was started again")
        if self._files.pid.exists():
            tail = last_lines(self._files.log)
            return Ended(EndReason.CRASH, f"QEMU died unexpectedly{': ' + tail if tail else ' without a message'}")
        return Ended(EndReason.QUIT, "QEMU was ended")


def last_lines(log: Path, *, count: int = 5) -> str:
    """Return the end of a log as one line; empty where there is none."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return "; ".join(lines[-count:])
