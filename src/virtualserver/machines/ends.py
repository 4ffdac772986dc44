"""What a machine does, and why it no longer does: pure."""

from __future__ import annotations

import dataclasses
import enum

__all__ = ["EndReason", "Ended", "MachineState", "Running"]


class EndReason(enum.StrEnum):
    """Why a machine no longer runs."""

    GUEST_SHUTDOWN = "guest-shutdown"
    """The guest powered itself off, by itself or because the power button was pressed."""
    CRASH = "crash"
    """QEMU died, was killed, or went down with the host."""
    QUIT = "quit"
    """QEMU was told to end, by us or by a signal that asks."""
    DISMISSED = "dismissed"
    """It ended because the installation was being stopped, whichever of the above it was; it is to run again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """The QEMU process is there.

    Attributes:
        message: Why the guest stands still although nobody wants that; empty where it does not.
        is_paused: Whether a user has the guest stand still.
    """

    message: str = ""
    is_paused: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The QEMU process is gone, so that its disks and its user are free.

    Attributes:
        reason: Why.
        message: One sentence for people.
    """

    reason: EndReason
    message: str


MachineState = Running | Ended
"""What a machine does."""
