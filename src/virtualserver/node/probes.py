"""Readiness and liveness probes of guests. Tests: ``tests/unit/node/test_probes.py``."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from virtualserver.fabric.state import GuestLink
    from virtualserver.kube.objects import Manifest

__all__ = ["Health", "Probes"]


class Health(enum.Enum):
    """What the probes of a guest say."""

    READY = "ready"
    NOT_READY = "not-ready"
    DEAD = "dead"


class Probes:
    """Runs the probes of all guests."""

    def health(self, vmi: Manifest, link: GuestLink | None) -> Health:
        """Return what the probes of an instance say now."""
        return Health.READY

    def forget(self, uid: str) -> None:
        """Stop the probes of an instance."""
