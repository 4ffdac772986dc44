"""Who is signed in: kept in this process's memory alone, and bounded in time and number."""

from __future__ import annotations

import dataclasses
import secrets
from typing import TYPE_CHECKING, Final

from virtualserver.console import guard
from virtualserver.console.clock import now
from virtualserver.console.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["LASTS_SECONDS", "Session", "Sessions"]

LASTS_SECONDS: Final = 12 * 3600.0


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
    """

    place: str
    cookie: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)
    user: str
    credentials: Credentials = dataclasses.field(repr=False)


class Sessions:
    """All sessions."""

    def __init__(self, *, clock: Callable[[], float] = now) -> None:
        """Have none yet.

        Args:
            clock: Seconds, from any beginning.
        """
        self._open: Shelf[Session] = Shelf(most=256, most_of_one=32, clock=clock)

    def begin(self, credentials: Credentials, *, user: str, seconds: float = LASTS_SECONDS) -> Session:
        """Sign somebody in.

        Args:
            credentials: Whose rights it has.
            user: As the attribute of `Session`.
            seconds: How long it may last; never for longer than any.
        """
        session = Session(
            place=secrets.token_hex(16),
            cookie=secrets.token_urlsafe(32),
            token=secrets.token_urlsafe(32),
            user=user,
            credentials=credentials,
        )
        self._open.put(session.place, session, owner=user, seconds=min(seconds, LASTS_SECONDS))
        return session

    def find(self, place: str, *, cookie: str) -> Session | None:
        """Return the session of a place whose cookie was shown, None where it is over or there is none."""
        session = self._open.find(place)
        if session is None or not guard.is_token(cookie, session.cookie):
            return None
        return session

    def remaining(self, session: Session) -> float:
        """Return the seconds until it is over, 0 once it is."""
        return self._open.remaining(session.place)

    def is_open(self, place: str) -> bool:
        """Return whether a place has a session."""
        return self._open.find(place) is not None

    def end(self, session: Session) -> None:
        """Sign somebody out; a session that is over already stays so."""
        self._open.take(session.place)
