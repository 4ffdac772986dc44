"""Codes that sign somebody in: each works once, and for ten minutes."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from virtualserver.console.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["VALID_SECONDS", "Codes"]

VALID_SECONDS: Final = 600.0
_MOST: Final = 64
"""So many may wait to be used; one more ends the oldest."""


class Codes:
    """The codes that nobody has used yet."""

    def __init__(self, *, clock: Callable[[], float] = now) -> None:
        """Know none yet.

        Args:
            clock: Seconds, from any beginning.
        """
        self._clock = clock
        self._waiting: dict[bytes, tuple[float, Credentials]] = {}

    def issue(self, credentials: Credentials) -> str:
        """Return a new code, for whoever has it to sign in as the user of these credentials."""
        code = secrets.token_urlsafe(32)
        while len(self._waiting) >= _MOST:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[_digest(code)] = (self._clock() + VALID_SECONDS, credentials)
        return code

    def redeem(self, code: str) -> Credentials | None:
        """Return whom a code signs in, None where it was used, is too old, or never was one."""
        # Looked up by its digest: how long that takes says nothing about codes that there are.
        until, credentials = self._waiting.pop(_digest(code), (0.0, None))
        return credentials if self._clock() < until else None


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
