"""The connections to a console: so many at once, and who has the most of them gives way."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

__all__ = ["Connections"]

_MOST: Final = 1000
"""So many at once. A browser has a handful, and a process may have several thousand files open."""


class Connections:
    """Those that are open, and whose they are: nobody keeps others from being served by opening many."""

    def __init__(self) -> None:
        self._whose: dict[RequestHandler, str] = {}

    def accepting(self, server: web.Server) -> Callable[[], RequestHandler]:
        """Return what makes a protocol for each connection that is accepted, and room for it where there is none."""

        def accepted() -> RequestHandler:
            there = [one for one in server.connections if one.transport and not one.transport.is_closing()]
            self._whose = {one: self._whose[one] for one in there if one in self._whose}
            # Those that were accepted in the same turn of the loop are not there yet.
            for _ in range(len(there) - _MOST + 1):
                there.remove(self._end_one(there))
            return server()

        return accepted

    def name(self, request: web.Request, user: str) -> None:
        """Say whose the connection is on which a request came; one of which nobody has said it is nobody's."""
        self._whose[request.protocol] = user

    def _end_one(self, there: Sequence[RequestHandler]) -> RequestHandler:
        """End the oldest connection of whoever has the most, and return it."""
        ((whose, _),) = collections.Counter(self._whose.get(one, "") for one in there).most_common(1)
        oldest = next(one for one in there if self._whose.get(one, "") == whose)
        assert oldest.transport  # noqa: S101 - it is one of those that are open
        oldest.transport.abort()  # what its other side has not taken yet must not keep it
        return oldest
