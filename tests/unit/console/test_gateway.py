from __future__ import annotations

import socket

import pytest

from virtualserver.console import gateway
from virtualserver.console.gateway import Gateway, is_offered
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
