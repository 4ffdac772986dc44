"""Codes that sign somebody in: each works once, and for ten minutes."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from virtualserver.console.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["VALID_SECONDS", "Codes"]

VALID_SECONDS: Final = 600.0
_MOST: Final = 256
"""So many may wait to be used; one more ends the oldest."""

_MOST_OF_ONE: Final = 8
"""The same of one user, so that nobody pushes out another's."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Waiting:
    user: str
    until: float
    credentials: Credentials = dataclasses.field(repr=False)


class Codes:
    """The codes that nobody has used yet."""

    def __init__(self, *, clock: Callable[[], float] = now) -> None:
        """Know none yet.

        Args:
            clock: Seconds, from any beginning.
        """
        self._clock = clock
        self._waiting: dict[bytes, _Waiting] = {}

    def issue(self, credentials: Credentials, *, user: str) -> str:
        """Return a new code, for whoever has it to sign in as the user of these credentials.

        Args:
            credentials: Whose rights.
            user: The user's name.
        """
        code = secrets.token_urlsafe(32)
        own = [digest for digest, one in self._waiting.items() if one.user == user]
        if len(own) >= _MOST_OF_ONE or len(self._waiting) >= _MOST:
            del self._waiting[own[0] if len(own) >= _MOST_OF_ONE else next(iter(self._waiting))]
        self._waiting[_digest(code)] = _Waiting(user, self._clock() + VALID_SECONDS, credentials)
        return code

    def redeem(self, code: str) -> Credentials | None:
        """Return whom a code signs in, None where it was used, is too old, or never was one."""
        # Looked up by its digest: how long that takes says nothing about codes that there are.
        waiting = self._waiting.pop(_digest(code), None)
        return waiting.credentials if waiting and self._clock() < waiting.until else None


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
