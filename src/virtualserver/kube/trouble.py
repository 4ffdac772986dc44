"""Why an object is not looked after, where the reason lies with us: a fault of ours, or how long a look at it takes."""

from __future__ import annotations

import dataclasses
import hashlib
import traceback
from typing import Final, Literal

__all__ = ["ERROR", "FAULTS_OF_CONTENT", "SET_ASIDE", "Trouble", "fault_of", "number_of"]

FAULTS_OF_CONTENT: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What is raised at an object of a shape that nobody foresaw. Who goes through many objects leaves that one out; any
other error is not the object's doing, and would be met at the next one too."""

ERROR: Final = "Error"
SET_ASIDE: Final = "SetAside"


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """What is said of an object in a condition of its own.

    Attributes:
        reason: The condition's reason.
        message: For the object's owner, who sees no log.
    """

    reason: Literal["Error", "SetAside"]
    message: str


def number_of(error: BaseException) -> str:
    """Return the number of a fault of ours: the same one for the same kind of error at the same place."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [type(error).__name__, *(f"{frame.name}:{frame.lineno}" for frame in frames)]
    return hashlib.sha256("\n".join(places).encode()).hexdigest()[:8]


def fault_of(error: BaseException) -> Trouble:
    """Return what is said of an object whose pass raised what nobody foresaw; it has no word of the error itself."""
    message = (
        f"a fault of this program, number {number_of(error)}, ended the last look at this object; it is tried again, "
        "ever more slowly, and at once after a change: tell the administrator the number, which the log has too"
    )
    return Trouble(ERROR, message)
