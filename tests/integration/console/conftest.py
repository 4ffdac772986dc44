"""A console in front of the real kube-apiserver, and a browser in front of it."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from harness.api_server import Server, connected, own_namespace
from harness.browser import a_browser, a_page
from harness.console import RunningConsole, a_console
from virtualserver.kube.kubeconfig import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from harness.control_plane import ControlPlane

UserOf = Callable[[str], Credentials]


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> Iterator[Server]:
    """The API server and a namespace of this module's own."""
    with connected(control_plane) as rest, own_namespace(rest) as server:
        yield server


@pytest.fixture(scope="module")
def console() -> Iterator[RunningConsole]:
    """A console that anybody may be let into."""
    with a_console() as console:
        yield console


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file."""
    with a_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without cookies."""
    with a_page(browser) as page:
        yield page


@pytest.fixture
def user_of(control_plane: ControlPlane, server: Server) -> UserOf:
    """Makes users of the namespace, with one of Kubernetes' own roles: ``view`` or ``edit``."""

    def made(role: str) -> Credentials:
        return a_user(control_plane, server, role, f"somebody-{uuid.uuid4().hex[:6]}", home=server.namespace)

    return made


def a_user(control_plane: ControlPlane, server: Server, role: str, name: str, *, home: str) -> Credentials:
    """Make a ServiceAccount that has a role in the server's namespace, and return what it signs in with.

    Args:
        control_plane: The control plane.
        server: Its API, and the namespace.
        role: The ClusterRole.
        name: The account's name.
        home: The account's own namespace.
    """
    namespace = server.namespace
    server.call("POST", f"/api/v1/namespaces/{home}/serviceaccounts", {"metadata": {"name": name}})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": home, "name": name}],
    }
    server.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)
    token = server.call("POST", f"/api/v1/namespaces/{home}/serviceaccounts/{name}/token", {"spec": {}})
    tls = ssl.create_default_context(cafile=control_plane.installation.pki / "ca.crt")
    return Credentials(control_plane.url, tls, token["status"]["token"], namespace=namespace)
