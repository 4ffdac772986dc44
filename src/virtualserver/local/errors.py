"""What goes wrong with an installation in a way that a person can do something about.

    Exception
    └── LocalError
        ├── MissingError
        ├── ConflictError
        └── TimedOutError

`EXPECTED` has the errors of the rooms below, whose text is for people as well.
"""

from __future__ import annotations

from typing import Final, Self

from virtualserver.controlplane import ControlPlaneError
from virtualserver.fabric.orphans import NamespaceTaken
from virtualserver.installation.errors import InstallationError
from virtualserver.storage.disks import DiskError
from virtualserver.storage.images import ImageError

__all__ = ["EXPECTED", "ConflictError", "LocalError", "MissingError", "TimedOutError"]


class LocalError(Exception):
    """Something failed; nothing that was there before is lost.

    Attributes:
        message: What failed and why.
        remedy: What to do about it; ``""`` where the message says it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def during(self, step: str, *, remedy: str) -> Self:
        """Return the same error as one of a step; a remedy of its own is better than the step's."""
        return type(self)(f"step {step!r} failed: {self.message}", remedy=self.remedy or remedy)


class MissingError(LocalError):
    """What was to be acted on is not there."""


class ConflictError(LocalError):
    """What is there stands in the way, such as an image of the same name or servers that use it."""


class TimedOutError(LocalError):
    """The time is over, but what was begun goes on."""


EXPECTED: Final = (LocalError, ControlPlaneError, InstallationError, NamespaceTaken, ImageError, DiskError)
"""The errors whose text says to a person what is wrong and what to do; any other error is a fault of this program."""
