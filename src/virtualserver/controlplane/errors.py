"""The one error of this package."""

from __future__ import annotations

__all__ = ["ControlPlaneError"]


class ControlPlaneError(Exception):
    """The control plane cannot do what was asked; the text is for people: what failed, why, and what to do."""
