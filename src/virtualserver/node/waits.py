"""Why something that an object asks for cannot be done yet: one value for every room of the node."""

from __future__ import annotations

import dataclasses
from typing import Final

__all__ = ["CLONE_IN_PROGRESS", "FORMER_GUEST_STOPS", "SOURCE_NOT_READY", "Wait"]

FORMER_GUEST_STOPS: Final = "FormerGuestStops"
"""Reason of a wait for what the guest of a deleted machine has until it has ended; the wait ends by itself."""

CLONE_IN_PROGRESS: Final = "CloneInProgress"
"""Reason of a wait for the copy of a disk, and the phase of its DataVolume meanwhile; CDI's word."""

SOURCE_NOT_READY: Final = "SourceNotReady"
"""Reason of a wait for the image or the disk that a disk starts from, which is being made; it ends by itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Why an object has to wait; a status shows the reason and the message.

    Attributes:
        reason: A condition's reason.
        message: Field, value, cause and what to do.
        retry_seconds: A VMI or a DataVolume that waits is looked at again after this time, and after each change that
            may end the wait; a Service after changes only.
        is_final: True where only a change of the object itself can end the wait, so that its phase is Failed.
    """

    reason: str
    message: str
    retry_seconds: float = 5.0
    is_final: bool = False
