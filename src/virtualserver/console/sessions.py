"""Who is signed in: kept in this process's memory alone, and bounded in time and number."""

from __future__ import annotations

import dataclasses
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from virtualserver.console.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["LASTS_SECONDS", "Session", "Sessions"]

LASTS_SECONDS: Final = 12 * 3600.0
_MOST: Final = 256
"""So many sessions there may be; one more ends the oldest."""

_MOST_OF_ONE: Final = 32
"""The same of one user, so that nobody signs out another."""


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One browser's sign-in.

    Attributes:
        place: The first segment of its pages' path. No secret, but nobody guesses it: a browser sends a cookie to every
            port of a host, and this one's to no path but this.
        cookie: What the browser shows with each request; never told to a page.
        token: What a page shows with each request, so that no other site's page can make one; never in a cookie.
        user: The user's name, as the API server says it; ``""`` where it did not say it.
        credentials: Whose rights it has.
        ends: When it is over, on the clock of `Sessions`.
    """

    place: str
    cookie: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)
    user: str
    credentials: Credentials = dataclasses.field(repr=False)
    ends: float


class Sessions:
    """All sessions."""

    def __init__(self, *, clock: Callable[[], float] = now) -> None:
        """Have none yet.

        Args:
            clock: Seconds, from any beginning.
        """
        self._clock = clock
        self._open: dict[str, Session] = {}

    def begin(self, credentials: Credentials, *, user: str) -> Session:
        """Sign somebody in.

        Args:
            credentials: Whose rights it has.
            user: As the attribute of `Session`.
        """
        own = [place for place, session in self._open.items() if session.user == user]
        if len(own) >= _MOST_OF_ONE or len(self._open) >= _MOST:
            del self._open[own[0] if len(own) >= _MOST_OF_ONE else next(iter(self._open))]
        session = Session(
            place=secrets.token_hex(16),
            cookie=secrets.token_urlsafe(32),
            token=secrets.token_urlsafe(32),
            user=user,
            credentials=credentials,
            ends=self._clock() + LASTS_SECONDS,
        )
        self._open[session.place] = session
        return session

    def find(self, place: str, *, cookie: str) -> Session | None:
        """Return the session of a place whose cookie was shown, None where it is over or there is none."""
        session = self._open.get(place)
        if session is None or not hmac.compare_digest(session.cookie.encode(), cookie.encode()):
            return None
        if self.remaining(session) <= 0:
            del self._open[place]
            return None
        return session

    def remaining(self, session: Session) -> float:
        """Return the seconds until it is over, 0 or less once it is."""
        return session.ends - self._clock() if session.place in self._open else 0.0

    def is_open(self, place: str) -> bool:
        """Return whether a place has a session."""
        return place in self._open

    def end(self, session: Session) -> None:
        """Sign somebody out; a session that is over already stays so."""
        self._open.pop(session.place, None)
