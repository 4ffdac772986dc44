"""Codes that sign somebody in: each works once, and for ten minutes."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from virtualserver.console.clock import now
from virtualserver.console.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["VALID_SECONDS", "Codes"]

VALID_SECONDS: Final = 600.0


class Codes:
    """The codes that nobody has used yet."""

    def __init__(self, *, clock: Callable[[], float] = now) -> None:
        """Know none yet.

        Args:
            clock: Seconds, from any beginning.
        """
        self._waiting: Shelf[Credentials] = Shelf(most=256, most_of_one=8, clock=clock)

    def issue(self, credentials: Credentials, *, user: str) -> str:
        """Return a new code, for whoever has it to sign in as the user of these credentials.

        Args:
            credentials: Whose rights.
            user: The user's name.
        """
        code = secrets.token_urlsafe(32)
        self._waiting.put(_digest(code), credentials, owner=user, seconds=VALID_SECONDS)
        return code

    def redeem(self, code: str) -> Credentials | None:
        """Return whom a code signs in, None where it was used, is too old, or never was one."""
        # Looked up by its digest: how long that takes says nothing about codes that there are.
        return self._waiting.take(_digest(code))


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
