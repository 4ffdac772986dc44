"""A user who floods kube-apiserver, and ends none of it, holds up neither the control plane nor another user."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from harness.api_server import connected
from harness.waiting import eventually
from virtualserver.controlplane import turns
from virtualserver.controlplane.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from harness.control_plane import ControlPlane
    from harness.tenant import Tenant

HELD = 40
"""So many requests of each kind are held: more than all users of Kubernetes' own levels may have at once."""
SOON_SECONDS = 5
"""Less than the 15 s for which kube-apiserver lets a request wait for its turn."""
CONSOLE = "/apis/subresources.kubevirt.io/v1/namespaces/a/virtualmachineinstances/b"
OURS = "virtualserver-components"
LEVELS = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"


def maps(tenant: Tenant) -> str:
    return f"/api/v1/namespaces/{tenant.namespace}/configmaps"


def a_map(size: int = 1) -> dict[str, object]:
    return {"metadata": {"name": f"m-{secrets.token_hex(4)}"}, "data": {"large": "x" * size}}


@contextlib.contextmanager
def asked(
    control_plane: ControlPlane, tenant: Tenant, method: str, path: str, length: int = 0
) -> Generator[ssl.SSLSocket]:
    """Send a request without its body, and read nothing."""
    token = tenant.kubeconfig["users"][0]["user"]["token"]
    context = ssl.create_default_context(cafile=str(control_plane.installation.pki / "ca.crt"))
    server = urlsplit(control_plane.url)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(30)
        plain.connect((server.hostname, server.port))
        with context.wrap_socket(plain, server_hostname=server.hostname) as connection:
            connection.sendall(head.encode())
            yield connection


@contextlib.contextmanager
def component(control_plane: ControlPlane, name: str) -> Generator[Rest]:
    pki = control_plane.installation.pki
    with Rest(
        control_plane.url, authority=pki / "ca.crt", client=pki / "clients" / name, timeout_seconds=SOON_SECONDS
    ) as rest:
        yield rest


def test_attack_requests_that_a_user_never_ends_hold_up_nobody_else(
    control_plane: ControlPlane, tenants: Callable[[], Tenant]
) -> None:
    thief, other = tenants(), tenants()
    for _ in range(6):
        assert thief.status("POST", maps(thief), a_map(1_000_000)) == 201
    attacks = [("GET", maps(thief), 0), ("GET", f"{maps(thief)}?watch=true", 0), ("POST", maps(thief), 1000)]
    with contextlib.ExitStack() as held:
        for _ in range(HELD):
            for attack in attacks:
                held.enter_context(asked(control_plane, thief, *attack))
        for name in ("operator", "node"):
            with component(control_plane, name) as rest:
                assert rest.status("/api/v1/services") == 200
        with connected(control_plane) as admin:
            assert admin.status("/api/v1/nodes") == 200
        began = time.monotonic()
        assert other.status("GET", maps(other)) == 200
        assert other.status("POST", maps(other), a_map()) == 201
        assert time.monotonic() - began < SOON_SECONDS
        own = held.enter_context(asked(control_plane, thief, "GET", f"{maps(thief)}?limit=1"))
        own.settimeout(1)
        answer = b""
        with contextlib.suppress(TimeoutError):
            answer = own.recv(100)
        assert not answer or b" 429 " in answer, "it is no attack: the user has turns left"


def level_of(control_plane: ControlPlane, path: str, *, user: str, group: str) -> str:
    """Return the name of the level in which kube-apiserver carries out what one asks."""
    pki = control_plane.installation.pki
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "clients/admin.crt", pki / "clients/admin.key")
    server = urlsplit(control_plane.url)
    assert server.hostname
    headers = {"Impersonate-User": user, "Impersonate-Group": group}
    with contextlib.closing(http.client.HTTPSConnection(server.hostname, server.port, context=context)) as connection:
        connection.request("GET", path, headers=headers)
        uid = connection.getresponse().headers["X-Kubernetes-PF-PriorityLevel-UID"]
    with connected(control_plane) as admin:
        return next(
            one["metadata"]["name"] for one in admin.call("GET", LEVELS)["items"] if one["metadata"]["uid"] == uid
        )


@pytest.mark.parametrize(
    ("user", "group", "path", "level"),
    [
        ("virtualserver:operator", "virtualserver:components", "/api/v1/services", OURS),
        ("system:kube-controller-manager", "system:authenticated", "/api/v1/services", OURS),
        (
            "system:serviceaccount:kube-system:a",
            "system:serviceaccounts:kube-system",
            "/api",
            OURS,
        ),
        ("somebody", "system:authenticated", "/readyz", "exempt"),
        ("somebody", "system:authenticated", "/api/v1/services", "global-default"),
        ("somebody", "system:authenticated", f"{CONSOLE}/console", "exempt"),
        ("somebody", "system:authenticated", f"{CONSOLE}/vnc", "exempt"),
    ],
)
def test_who_is_asked_in_which_level(control_plane: ControlPlane, user: str, group: str, path: str, level: str) -> None:
    assert level_of(control_plane, path, user=user, group=group) == level


def test_whoever_a_user_acts_as_has_the_users_turns_and_a_start_gives_them_to_who_has_none(
    control_plane: ControlPlane, tenants: Callable[[], Tenant]
) -> None:
    tenant = tenants()
    name, account = turns.name_of(tenant.namespace), f"system:serviceaccount:{tenant.namespace}:robot"
    group = f"system:serviceaccounts:{tenant.namespace}"
    eventually(lambda: level_of(control_plane, maps(tenant), user=account, group=group) == name)
    control_plane.kubectl("delete", turns.KINDS, name)
    eventually(lambda: level_of(control_plane, maps(tenant), user=account, group=group) != name)
    turns.give_all(control_plane.installation, control_plane.url)
    eventually(lambda: level_of(control_plane, maps(tenant), user=account, group=group) == name)


def test_attack_one_connection_carries_few_watches(control_plane: ControlPlane) -> None:
    """RFC 9113: of the settings, which come first, the third one is how many streams there may be at once."""
    context = ssl.create_default_context(cafile=str(control_plane.installation.pki / "ca.crt"))
    context.set_alpn_protocols(["h2"])
    server = urlsplit(control_plane.url)
    with (
        socket.create_connection((server.hostname, server.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=server.hostname) as connection,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answers = connection.makefile("rb")
        head = answers.read(9)
        settings = dict(struct.iter_unpack("!HI", answers.read(int.from_bytes(head[:3]))))
    assert head[3] == 4
    assert settings[3] == 25
