"""The built pages: where they lie, and how they are handed out. They hold no secret, so that anybody may have them."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.console import guard

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MissingPagesError", "Pages"]

_INDEX: Final = "index.html"
_TERMINAL: Final = "terminal.html"
_YEAR: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


class MissingPagesError(Exception):
    """The pages were not built; the message says how they are."""


class Pages:
    """What ``web/`` was built into, read once.

    Attributes:
        files: What each file holds, by its name: ``index.html``, ``terminal.html``, and those that these name.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    @classmethod
    def read(cls, folder: Path) -> Pages:
        """Return the pages of a folder.

        Args:
            folder: Has these two and ``assets``.

        Raises:
            MissingPagesError: It has not.
        """
        try:
            pages = {name: (folder / name).read_bytes() for name in (_INDEX, _TERMINAL)}
            assets = {path.name: path.read_bytes() for path in (folder / "assets").iterdir()}
        except OSError as error:
            message = f"{folder}: the console's pages are not there: build them with `make web`"
            raise MissingPagesError(message) from error
        return cls({**pages, **assets})

    @classmethod
    def saying(cls, words: str) -> Pages:
        """Return a page that says something, and nothing else."""
        return cls(dict.fromkeys((_INDEX, _TERMINAL), html.escape(words).encode()))

    @classmethod
    def carried(cls) -> Pages:
        """Return the pages that the package carries; in a checkout they are read from their own place.

        Raises:
            MissingPagesError: Nobody has built them.
        """
        carried = Path(__file__).with_name("pages")
        return cls.read(carried if carried.is_dir() else Path(__file__).parents[3] / "web" / "dist")

    async def index(self, request: web.Request) -> web.Response:
        """Hand out the one page, which asks for all else itself."""
        del request
        return self._page(_INDEX)

    async def terminal(self, request: web.Request) -> web.Response:
        """Hand out the page of a guest's console, which is a window of its own."""
        del request
        return self._page(_TERMINAL, **guard.OF_TERMINALS)

    def _page(self, name: str, **headers: str) -> web.Response:
        headers = {"Cache-Control": "no-cache", **headers}
        return web.Response(body=self.files[name], content_type="text/html", charset="utf-8", headers=headers)

    async def asset(self, request: web.Request) -> web.Response:
        """Hand out a file that the page names; a name has the content's hash in it."""
        name = request.match_info["name"]
        if name not in self.files:
            raise web.HTTPNotFound(text=f"{name}: there is no such file")
        kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
        return web.Response(body=self.files[name], content_type=kind, headers={"Cache-Control": _YEAR})
