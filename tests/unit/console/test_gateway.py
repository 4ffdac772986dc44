from __future__ import annotations

import pytest

from virtualserver.console.gateway import is_offered


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
