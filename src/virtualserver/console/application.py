"""What the console answers: the routes, and what is asked of a request before any of them sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from virtualserver.console import guard, sockets
from virtualserver.console.codes import Codes
from virtualserver.console.drafts import LARGEST, Drafts
from virtualserver.console.gateway import LARGEST_BODY, Gateway, is_offered
from virtualserver.console.planned import planned
from virtualserver.console.sessions import LASTS_SECONDS, Session, Sessions
from virtualserver.console.told import TOLD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from pathlib import Path

    from virtualserver.console.pages import Pages
    from virtualserver.kube.kubeconfig import Credentials

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["Console"]

_COOKIE: Final = "console"
_PLACE: Final = "/{place:[0-9a-f]{32}}"
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Console:
    """Who may come in, who is in, and their ways to the API server."""

    def __init__(self, pages: Pages, *, hosts: Collection[str], site: Path | None = None) -> None:
        """Let nobody in yet.

        Args:
            pages: What is shown.
            hosts: The names, with the port, that lead here.
            site: As for `planned`.
        """
        self._site = site
        self._pages = pages
        self._hosts = hosts
        self._codes = Codes()
        self._sessions = Sessions()
        self._drafts = Drafts()
        self._gateways: dict[str, Gateway] = {}
        self._ending: set[asyncio.Future[None]] = set()

    def invite(self, credentials: Credentials, *, user: str = "") -> str:
        """Return the path of a link that signs in, once and within ten minutes, as the user of these credentials."""
        return f"/sign-in/{self._codes.issue(credentials, user=user)}"

    def application(self) -> web.Application:
        """Return the application that serves it all."""
        application = web.Application(middlewares=[self._guarded], client_max_size=LARGEST_BODY)
        application.on_response_prepare.append(_with_headers)
        application.on_cleanup.append(self._close)
        application.router.add_get("/sign-in/{code}", self._sign_in, name="link", allow_head=False)
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
        if reason := guard.refusal(asked, hosts=self._hosts):
            raise web.HTTPForbidden(text=reason)
        return await handler(request)

    async def _sign_in(self, request: web.Request) -> web.Response:
        """Take a link's code away, and lead to the pages without it."""
        if "prefetch" in request.headers.get("Sec-Purpose", ""):
            raise web.HTTPServiceUnavailable(text="a link that works once is not fetched before it is followed")
        credentials = self._codes.redeem(request.match_info["code"])
        if credentials is None:
            # The page says what to do; it finds that nobody is signed in.
            return web.Response(status=303, headers={"Location": "/", **_NO_STORE})
        gateway = Gateway(credentials)
        session = self._sessions.begin(credentials, user=await gateway.user())
        self._gateways[session.place] = gateway
        over = [place for place in self._gateways if not self._sessions.is_open(place)]
        for ended in [self._gateways.pop(place) for place in over]:
            await ended.close()
        asyncio.get_running_loop().call_later(LASTS_SECONDS, self._expire, session)
        path = f"/{session.place}/"
        answer = web.Response(status=303, headers={"Location": path, **_NO_STORE})
        answer.set_cookie(
            _COOKIE, session.cookie, path=path, max_age=int(LASTS_SECONDS), httponly=True, samesite="Strict"
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
            "seconds": int(self._sessions.remaining(session)),
        }
        return web.json_response(told, headers=_NO_STORE)

    async def _sign_out(self, request: web.Request) -> web.Response:
        session = self._signed_in(request)
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        await self._end(session)
        answer = web.Response(status=204)
        answer.del_cookie(_COOKIE, path=f"/{session.place}/")
        return answer

    async def _planned(self, request: web.Request) -> web.Response:
        """Tell what would be made of a manifest."""
        session = self._signed_in(request)
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        try:
            manifest = msgspec.json.decode(await request.read(), type=dict[str, Any])
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
        if not self._drafts.keep(user, name, await request.text()):
            raise web.HTTPRequestEntityTooLarge(LARGEST, request.content_length or 0)
        return web.Response(status=204)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        session = self._signed_in(request)
        prefix = f"/{session.place}/k8s"
        path = request.rel_url.raw_path.removeprefix(prefix)
        if not is_offered(path):
            raise web.HTTPNotFound(text=f"{path}: the console has no use for it, and does not ask for it")
        asked, gateway = request.rel_url.raw_path_qs.removeprefix(prefix), self._gateways[session.place]
        if "Upgrade" in request.headers:
            self._shown(session, sockets.offered(request)[0])
            return await sockets.relay(request, gateway, asked, seconds=self._sessions.remaining(session))
        self._shown(session, request.headers.get(guard.PROOF_HEADER, ""))
        return await gateway.request(request, asked)

    def _signed_in(self, request: web.Request) -> Session:
        """Return whose request it is.

        Raises:
            HTTPUnauthorized: Nobody's.
        """
        session = self._sessions.find(request.match_info["place"], cookie=request.cookies.get(_COOKIE, ""))
        if session is None:
            raise web.HTTPUnauthorized(text="nobody is signed in here, or not any more: `vs ui` prints a new link")
        return session

    def _shown(self, session: Session, token: str) -> None:
        if not guard.is_token(token, session.token):
            raise web.HTTPForbidden(text=f"{guard.PROOF_HEADER}: is not this session's: load the page again")

    def _expire(self, session: Session) -> None:
        work = asyncio.ensure_future(self._end(session))
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)

    async def _end(self, session: Session) -> None:
        self._sessions.end(session)
        if gateway := self._gateways.pop(session.place, None):
            await gateway.close()

    async def _close(self, application: web.Application) -> None:
        del application
        for gateway in self._gateways.values():
            await gateway.close()
        self._gateways.clear()


async def _told(request: web.Request) -> web.Response:
    """Tell what is in the documentation too, and so no secret."""
    del request
    return web.json_response(TOLD)


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    del request
    for name, value in guard.HEADERS.items():
        response.headers.setdefault(name, value)
