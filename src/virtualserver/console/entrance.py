"""How people come in, and who is in: each way in ends in a session, with a way to the API server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import re
import time
from typing import TYPE_CHECKING, Final

from virtualserver.console.claims import end_of
from virtualserver.console.codes import Codes
from virtualserver.console.gateway import Gateway, NobodyError
from virtualserver.console.sessions import Sessions

if TYPE_CHECKING:
    from virtualserver.console.sessions import Session
    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["Entrance"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")
"""What a bearer token may be (RFC 6750, 2.1), and no longer than any is."""

_ATTEMPTS: Final = 8
"""So many tokens are shown to the API server at once; who comes with one more waits."""


class Entrance:
    """Lets people in."""

    def __init__(self, api: Credentials | None = None) -> None:
        """Let nobody in yet.

        Args:
            api: The API server to which a token is shown that somebody signs in with, as nobody; None: by no token.
        """
        self._api = api
        self._codes = Codes()
        self._sessions = Sessions()
        self._gateways: dict[str, Gateway] = {}
        self._attempts = asyncio.Semaphore(_ATTEMPTS)
        self._ending: set[asyncio.Future[None]] = set()

    @property
    def takes_tokens(self) -> bool:
        """Whether somebody may sign in by a token."""
        return self._api is not None

    def issue(self, credentials: Credentials, *, user: str) -> str:
        """Return a new code; arguments as for `Codes.issue`."""
        return self._codes.issue(credentials, user=user)

    async def by_code(self, code: str) -> Session | None:
        """Sign in whoever has a code, None where it is none, or none any more."""
        credentials = self._codes.redeem(code)
        if credentials is None:
            return None
        gateway, user = Gateway(credentials), ""
        # The page says what is wrong, as it does when the API server goes away later.
        with contextlib.suppress(NobodyError):
            user = await gateway.user()
        return await self._begin(gateway, user)

    async def by_token(self, token: str) -> Session:
        """Sign in whoever has a token that the API server takes.

        Args:
            token: As somebody typed it.

        Raises:
            NobodyError: It is none, or none any more; the message says why, and nothing of the token.
        """
        if self._api is None:
            raise NobodyError("nobody signs in by a token here")
        token = token.strip()
        if not _TOKEN.fullmatch(token):
            raise NobodyError("this is no bearer token: paste it whole, and nothing else")
        if (end := end_of(token)) <= time.time():
            raise NobodyError(f"the token has ended {_words(end)}: get a new one")
        gateway = Gateway(dataclasses.replace(self._api, token=token))
        try:
            async with self._attempts:
                user = await gateway.user()
        except BaseException:
            await gateway.close()
            raise
        return await self._begin(gateway, user)

    def find(self, place: str, *, cookie: str) -> Session | None:
        """Return what `Sessions.find` returns."""
        return self._sessions.find(place, cookie=cookie)

    def remaining(self, session: Session) -> float:
        """Return what `Sessions.remaining` returns."""
        return self._sessions.remaining(session)

    def gateway(self, session: Session) -> Gateway:
        """Return the way to the API server of a session that is not over."""
        return self._gateways[session.place]

    async def end(self, session: Session) -> None:
        """Sign somebody out, with all that is under way."""
        self._sessions.end(session)
        if gateway := self._gateways.pop(session.place, None):
            await gateway.close()

    async def close(self) -> None:
        """End all connections."""
        for gateway in self._gateways.values():
            await gateway.close()
        self._gateways.clear()

    async def _begin(self, gateway: Gateway, user: str) -> Session:
        seconds = end_of(gateway.credentials.token) - time.time()
        session = self._sessions.begin(gateway.credentials, user=user, seconds=seconds)
        self._gateways[session.place] = gateway
        over = [place for place in self._gateways if not self._sessions.is_open(place)]
        for ended in [self._gateways.pop(place) for place in over]:
            await ended.close()
        loop = asyncio.get_running_loop()
        loop.call_later(self._sessions.remaining(session), self._expire, session)
        return session

    def _expire(self, session: Session) -> None:
        work = asyncio.ensure_future(self.end(session))
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)


def _words(seconds: float) -> str:
    try:
        return f"at {datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "long ago"
