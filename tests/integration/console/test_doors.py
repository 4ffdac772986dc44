"""Who is let in, and what for: requests as browsers and others send them, with the real kube-apiserver behind."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from harness.console_client import Browser, ask, connected, let_in
from virtualserver.console.gateway import MOST_SOCKETS

if TYPE_CHECKING:
    from harness.api_server import Server
    from harness.console import RunningConsole
    from harness.control_plane import ControlPlane


def sign_in(console: RunningConsole, control_plane: ControlPlane) -> Browser:
    link = urlsplit(console.link(control_plane.kubeconfig))
    answer = ask(console.url, "GET", link.path, headers={"Host": link.netloc})
    assert answer.status == 303
    return let_in(console.url, answer, answer.headers["Location"].strip("/"))


@pytest.fixture
def browser_of(console: RunningConsole, control_plane: ControlPlane) -> Browser:
    return sign_in(console, control_plane)


def test_a_page_reads_with_the_users_rights(browser_of: Browser) -> None:
    answer = browser_of.ask("GET", browser_of.servers)
    assert (answer.status, answer.json()["kind"]) == (200, "VirtualServerList")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": ""}, 401),
        ({"Cookie": "console=another"}, 401),
        ({"X_Console_Token": ""}, 403),
        ({"X_Console_Token": "another"}, 403),
        ({"Host": "attacker.example:80"}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),  # another port of this host
        # A byte that is no UTF-8.
        ({"Cookie": "console=\xff"}, 401),
        ({"X_Console_Token": "\xff"}, 403),
        ({"Host": "\xff"}, 403),
        ({"Origin": "\xff"}, 403),
    ],
)
def test_what_another_sites_page_can_send_is_refused(browser_of: Browser, headers: dict[str, str], status: int) -> None:
    assert browser_of.ask("GET", browser_of.servers, **headers).status == status


def test_a_change_without_an_origin_is_refused(browser_of: Browser, server: Server) -> None:
    path = f"/{browser_of.place}/k8s{server.servers}"
    answer = browser_of.ask("POST", path, body="{}", Origin="", Content_Type="application/json")
    assert (answer.status, answer.text.partition(":")[0]) == (403, "Origin")


@pytest.mark.parametrize(
    "path", ["/metrics", "/logs/", "/api/../metrics", "/api/v1/%2e%2e/%2e%2e/metrics", "/", "/apis"]
)
def test_paths_that_no_page_asks_for_are_not_relayed(browser_of: Browser, path: str) -> None:
    with connected(browser_of) as raw:
        raw.sendall(
            f"GET /{browser_of.place}/k8s{path} HTTP/1.1\r\nHost: {browser_of.host}\r\nConnection: close\r\n"
            f"Cookie: console={browser_of.cookie}\r\nX-Console-Token: {browser_of.token}\r\n\r\n".encode()
        )
        assert b" 404 " in raw.makefile("rb").readline()


def test_a_draft_that_is_no_text_is_refused(browser_of: Browser) -> None:
    path = f"/{browser_of.place}/drafts/new"
    assert browser_of.ask("PUT", path, body="\xff").status == 400
    assert browser_of.ask("PUT", path, body="text", Content_Type="text/plain; charset=none").status == 204


def test_a_page_cannot_be_somebody_else(browser_of: Browser) -> None:
    path = f"/{browser_of.place}/k8s/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = '{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}'
    answer = browser_of.ask(
        "POST", path, body=body, Content_Type="application/json", Impersonate_User="mallory", Authorization="Bearer x"
    )
    assert answer.json()["status"]["userInfo"]["username"] != "mallory"


def test_what_would_be_made_is_told_to_who_is_signed_in(browser_of: Browser, server: Server) -> None:
    manifest: dict[str, Any] = {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": "web", "namespace": server.namespace},
        "spec": {
            "os": {"type": "linux"},
            "resources": {"memory": "1Gi"},
            "storage": {"root": {"size": "4Gi", "storageClassName": "local", "source": {"blank": {}}}},
            "network": {"tcp": {"ports": [22]}},
        },
    }
    stored = server.create(manifest, dry_run=True)
    answer = browser_of.ask("POST", f"/{browser_of.place}/planned", body=json.dumps(stored))
    assert [one["metadata"]["name"] for one in answer.json() if one["kind"] == "Service"] == ["web-tcp"]
    assert browser_of.ask("POST", f"/{browser_of.place}/planned", body='{"kind": "VirtualServer"}').status == 422
    assert browser_of.ask("POST", f"/{browser_of.place}/planned", body="{}", X_Console_Token="").status == 403


def test_a_link_is_not_used_up_by_who_only_looks_ahead(console: RunningConsole, control_plane: ControlPlane) -> None:
    link = urlsplit(console.link(control_plane.kubeconfig))
    ahead = ask(console.url, "GET", link.path, headers={"Host": link.netloc, "Sec-Purpose": "prefetch"})
    assert (ahead.status, ask(console.url, "GET", link.path, headers={"Host": link.netloc}).status) == (503, 303)
    again = ask(console.url, "GET", link.path, headers={"Host": link.netloc})
    assert (again.status, again.headers["Location"]) == (303, "/")


def test_signing_out_ends_the_session(browser_of: Browser) -> None:
    assert browser_of.ask("DELETE", f"/{browser_of.place}/session").status == 204
    assert browser_of.ask("GET", browser_of.servers).status == 401


def test_no_page_has_a_secret_in_it_and_scripts_are_ours_alone(browser_of: Browser) -> None:
    page = browser_of.ask("GET", f"/{browser_of.place}/")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert all(secret not in page.text for secret in (browser_of.token, browser_of.cookie))


def handshake(browser_of: Browser, path: str, **headers: str) -> bytes:
    """Return what a page sends to open a websocket."""
    sent = {
        "Host": browser_of.host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": f"console-token.{browser_of.token}",
        "Origin": browser_of.url,
        "Cookie": f"console={browser_of.cookie}",
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def _handshake(browser_of: Browser, path: str, **headers: str) -> tuple[bytes, bytes]:
    """Open a websocket, and return the answer's first line and what came within a moment after its headers."""
    with connected(browser_of) as raw:
        raw.sendall(handshake(browser_of, path, **headers))
        reader = raw.makefile("rb")
        first = reader.readline()
        while reader.readline().strip():
            pass
        return first, reader.read1() if b" 101 " in first else b""


def test_a_watch_opens_for_a_page_of_ours_alone(browser_of: Browser, server: Server) -> None:
    begun = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    path = f"{browser_of.servers}?watch=1&{begun}"
    first, said = _handshake(browser_of, path)
    assert b" 101 " in first and b'"type":"' in said
    for headers in (
        {"Origin": ""},
        {"Origin": "http://attacker.example"},
        {"Host": "attacker.example"},
        {"Sec_WebSocket_Protocol": ""},
        {"Sec_WebSocket_Protocol": "console-token.another"},
    ):
        assert b" 403 " in _handshake(browser_of, path, **headers)[0], headers
    assert b" 401 " in _handshake(browser_of, path, Cookie="")[0]


def test_one_sign_in_has_so_many_websockets_and_no_more(browser_of: Browser, server: Server) -> None:
    path = f"/{browser_of.place}/k8s{server.servers}?watch=1"
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_SOCKETS):
            raw = stack.enter_context(connected(browser_of))
            raw.sendall(handshake(browser_of, path))
            assert b" 101 " in raw.makefile("rb").readline()
        _, said = _handshake(browser_of, path)
        assert int.from_bytes(said[2:4], "big") == 4429


def test_a_refused_websocket_says_why_by_its_code(browser_of: Browser) -> None:
    path = f"/{browser_of.place}/k8s/apis/virtualservers.coreweave.com/v1alpha1/nothings?watch=1"
    _, said = _handshake(browser_of, path)
    assert int.from_bytes(said[2:4], "big") == 4404
