from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import test_utils, web

from virtualserver.console import gateway
from virtualserver.console.gateway import Gateway, NobodyError, is_offered
from virtualserver.kube.kubeconfig import Credentials


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/events",
        "/apis/virtualservers.coreweave.com/v1alpha1/namespaces/shop/virtualservers/web",
        "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines/web/start",
        "/openapi/v3/apis/virtualservers.coreweave.com/v1alpha1",
        "/version",
    ],
)
def test_what_pages_ask_for_is_relayed(path: str) -> None:
    assert is_offered(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/apis",
        "/metrics",
        "/logs/kube-apiserver.log",
        "/debug/pprof/heap",
        "/api/v1/../../metrics",
        "/api/v1/%2E%2e/metrics",
        "/api/./metrics",
        "/api//v1",
        "//api/v1",
        "/api/v1/pods\n",
        "/version/..",
    ],
)
def test_what_no_page_asks_for_is_not(path: str) -> None:
    assert not is_offered(path)


async def test_who_takes_a_connection_and_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_CONNECT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = Gateway(Credentials(server=f"http://127.0.0.1:{silent.getsockname()[1]}"))
        try:
            with pytest.raises(TimeoutError):
                async with way.socket("/api/v1/namespaces?watch=1", protocols=()):
                    pass
        finally:
            await way.close()


async def test_attack_an_answer_that_sends_on_has_the_console_ask_nobody_else() -> None:
    """What an API serves may be a tenant's words, and the console stands on the machine's own loopback."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/metrics"})

    api = web.Application()
    api.router.add_route("*", "/{path:.*}", answer)
    async with test_utils.TestServer(api) as server:
        way = Gateway(Credentials(server=str(server.make_url("")).rstrip("/")))

        async def passed(request: web.Request) -> web.StreamResponse:
            return await way.request(request, "/api/v1/namespaces/m/services/s/proxy/")

        relay = web.Application()
        relay.router.add_get("/", passed)
        try:
            async with test_utils.TestClient(test_utils.TestServer(relay)) as page:
                told = await page.get("/", allow_redirects=False)
                assert (told.status, told.headers.get("Location")) == (302, None)
            with pytest.raises(aiohttp.WSServerHandshakeError, match="302"):
                async with way.socket("/api/v1/namespaces/m/services/s/proxy/chat", protocols=()):
                    pass
            with pytest.raises(NobodyError):
                await way.user()
        finally:
            await way.close()
    proxy = "/api/v1/namespaces/m/services/s/proxy/"
    assert asked == [proxy, f"{proxy}chat", "/apis/authentication.k8s.io/v1/selfsubjectreviews"]
