"""The one error of this package."""

from __future__ import annotations

__all__ = ["InstallationError"]


class InstallationError(Exception):
    """The installation cannot be used as it is; the text is for people: what is wrong, why, and what to do."""
