"""What the console answers: the routes, and what is asked of a request before any of them sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from virtualserver.console import body, guard, sockets
from virtualserver.console.connections import Connections
from virtualserver.console.drafts import LARGEST, Drafts
from virtualserver.console.entrance import Entrance
from virtualserver.console.gateway import LARGEST_BODY, NobodyError, is_offered
from virtualserver.console.planned import planned
from virtualserver.console.told import TOLD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from pathlib import Path

    from virtualserver.console.pages import Pages
    from virtualserver.console.sessions import Session
    from virtualserver.kube.kubeconfig import Credentials

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["Console"]

_COOKIE: Final = "console"
_PLACE: Final = "/{place:[0-9a-f]{32}}"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_LARGEST_SHOWN: Final = 32 << 10
"""Bytes of what somebody sends who is not signed in."""


class _Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody signs in with."""

    token: str


class Console:
    """What is served, and to whom.

    Attributes:
        connections: Those of its users, and of others.
    """

    def __init__(
        self,
        pages: Pages,
        *,
        origins: Collection[str],
        site: Path | None = None,
        api: Credentials | None = None,
    ) -> None:
        """Let nobody in yet.

        Args:
            pages: What is shown.
            origins: The addresses that lead here.
            site: As for `planned`.
            api: As for `Entrance`.
        """
        self._site = site
        self._pages = pages
        self._origins = origins
        self._entrance = Entrance(api)
        self._drafts = Drafts()
        self.connections = Connections()

    def invite(self, credentials: Credentials, *, user: str = "") -> str:
        """Return the path of a link that signs in, once and within ten minutes, as the user of these credentials."""
        return f"/sign-in/{self._entrance.issue(credentials, user=user)}"

    def application(self) -> web.Application:
        """Return the application that serves it all."""
        application = web.Application(middlewares=[self._guarded], client_max_size=LARGEST_BODY)
        application.on_response_prepare.append(_with_headers)
        application.on_cleanup.append(self._close)
        application.router.add_get("/sign-in", self._ways)
        application.router.add_get("/sign-in/{code}", self._by_link, name="link", allow_head=False)
        application.router.add_post("/sign-in/token", self._by_token)
        application.router.add_get("/", self._pages.index, name="home")
        application.router.add_get(f"{_PLACE}/", self._pages.index, name="place")
        application.router.add_get(f"{_PLACE}/terminal/", self._pages.terminal, name="terminal")
        application.router.add_get("/assets/{name}", self._pages.asset)
        application.router.add_get(f"{_PLACE}/told", _told)
        application.router.add_post(f"{_PLACE}/planned", self._planned)
        application.router.add_get(f"{_PLACE}/session", self._session)
        application.router.add_delete(f"{_PLACE}/session", self._sign_out)
        application.router.add_route("*", f"{_PLACE}/drafts/{{name:.+}}", self._draft)
        application.router.add_route("*", f"{_PLACE}/k8s{{path:/.*}}", self._relay)
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route.name
        asked = guard.Asked(
            method=request.method,
            host=request.headers.get("Host", ""),
            origin=request.headers.get("Origin", ""),
            site=request.headers.get("Sec-Fetch-Site", ""),
            is_socket="Upgrade" in request.headers,
            enters=route in ("link", "home", "place", "terminal"),
        )
        if reason := guard.refusal(asked, origins=self._origins):
            raise web.HTTPForbidden(text=reason)
        return await handler(request)

    async def _ways(self, request: web.Request) -> web.Response:
        """Tell a page by what somebody may sign in here."""
        del request
        return web.json_response({"token": self._entrance.takes_tokens}, headers=_NO_STORE)

    async def _by_link(self, request: web.Request) -> web.Response:
        """Take a link's code away, and lead to the pages without it."""
        if "prefetch" in request.headers.get("Sec-Purpose", ""):
            raise web.HTTPServiceUnavailable(text="a link that works once is not fetched before it is followed")
        session = await self._entrance.by_code(request.match_info["code"])
        # Without one, the page says what to do; it finds that nobody is signed in.
        path = f"/{session.place}/" if session else "/"
        answer = web.Response(status=303, headers={"Location": path, **_NO_STORE})
        return self._let_in(request, answer, session) if session else answer

    async def _by_token(self, request: web.Request) -> web.Response:
        """Let in whoever has a token, and tell the page where it is signed in."""
        try:
            shown = await body.read(request.clone(client_max_size=_LARGEST_SHOWN))
            session = await self._entrance.by_token(msgspec.json.decode(shown, type=_Shown).token)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except NobodyError as error:
            raise web.HTTPUnauthorized(text=str(error)) from None
        return self._let_in(request, web.json_response({"place": session.place}, headers=_NO_STORE), session)

    def _let_in(self, request: web.Request, answer: web.Response, session: Session) -> web.Response:
        """Give a browser its session's cookie."""
        answer.set_cookie(
            _COOKIE,
            session.cookie,
            path=f"/{session.place}/",
            max_age=int(self._entrance.remaining(session)),
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return answer

    async def _session(self, request: web.Request) -> web.Response:
        """Tell a page who is signed in, and what it has to show."""
        session = self._signed_in(request)
        told = {
            "token": session.token,
            "server": session.credentials.server,
            "namespace": session.credentials.namespace,
            "user": session.user,
            "seconds": int(self._entrance.remaining(session)),
        }
        return web.json_response(told, headers=_NO_STORE)

    async def _sign_out(self, request: web.Request) -> web.Response:
        session = self._signed_in(request)
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        await self._entrance.end(session)
        answer = web.Response(status=204)
        answer.del_cookie(_COOKIE, path=f"/{session.place}/")
        return answer

    async def _planned(self, request: web.Request) -> web.Response:
        """Tell what would be made of a manifest."""
        session = self._signed_in(request)
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        try:
            manifest = msgspec.json.decode(await body.read(request), type=dict[str, Any])
            # Beside the loop: a manifest that takes long holds up nobody else's pages.
            objects = await asyncio.to_thread(planned, manifest, site=self._site)
        except (ValueError, RecursionError) as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from None
        return web.json_response(objects, headers=_NO_STORE)

    async def _draft(self, request: web.Request) -> web.Response:
        """Keep a text, give it back, or forget it: the same user's, however often signed in since."""
        session = self._signed_in(request)
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        # Who has no name has texts of this session alone.
        user, name = session.user or session.place, request.match_info["name"]
        if request.method == "GET":
            text = self._drafts.find(user, name)
            return web.Response(status=204 if text is None else 200, text=text, headers=_NO_STORE)
        if request.method == "DELETE":
            self._drafts.drop(user, name)
            return web.Response(status=204)
        if request.method != "PUT":
            raise web.HTTPMethodNotAllowed(request.method, ("GET", "PUT", "DELETE"))
        try:
            text = (await body.read(request)).decode()
        except UnicodeDecodeError as error:
            raise web.HTTPBadRequest(text=f"the text is no UTF-8 ({error}): send it as UTF-8") from None
        if not self._drafts.keep(user, name, text):
            raise web.HTTPRequestEntityTooLarge(LARGEST, request.content_length or 0)
        return web.Response(status=204)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        session = self._signed_in(request)
        prefix = f"/{session.place}/k8s"
        path = request.rel_url.raw_path.removeprefix(prefix)
        if not is_offered(path):
            raise web.HTTPNotFound(text=f"{path}: the console has no use for it, and does not ask for it")
        asked, gateway = request.rel_url.raw_path_qs.removeprefix(prefix), self._entrance.gateway(session)
        if "Upgrade" in request.headers:
            self._shown(session, sockets.offered(request)[0])
            return await sockets.relay(request, gateway, asked, seconds=self._entrance.remaining(session))
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        return await gateway.request(request, asked)

    def _signed_in(self, request: web.Request) -> Session:
        """Return whose request it is.

        Raises:
            HTTPUnauthorized: Nobody's.
        """
        session = self._entrance.find(request.match_info["place"], cookie=request.cookies.get(_COOKIE, ""))
        if session is None:
            raise web.HTTPUnauthorized(text="nobody is signed in here, or not any more: `vs ui` prints a new link")
        self.connections.name(request, session.user or session.place)
        return session

    def _shown(self, session: Session, token: str) -> None:
        if not guard.is_token(token, session.token):
            raise web.HTTPForbidden(text=f"{guard.PROOF_HEADER}: is not this session's: load the page again")

    async def _close(self, application: web.Application) -> None:
        del application
        await self._entrance.close()


async def _told(request: web.Request) -> web.Response:
    """Tell what is in the documentation too, and so no secret."""
    del request
    return web.json_response(TOLD)


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in (guard.HEADERS | guard.OF_TLS if request.secure else guard.HEADERS).items():
        response.headers.setdefault(name, value)
