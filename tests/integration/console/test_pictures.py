"""The pictures of the documentation, made where VS_PICTURES names a folder: pages with what customers have in them."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from playwright.sync_api import expect

from harness.api_server import Server, connected, own_namespace
from harness.network_paths import answered_with, path_of_a_shop
from integration.console.conftest import a_user
from virtualserver.api import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from harness.console import RunningConsole
    from harness.control_plane import ControlPlane

pytestmark = pytest.mark.skipif("VS_PICTURES" not in os.environ, reason="VS_PICTURES names no folder for pictures")

_READY = {"type": "Ready", "status": "True", "reason": "VirtualServerReady"}
_STATES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "web": (
        {**_READY, "message": "running, address 203.0.113.4"},
        {"internalIP": "10.42.0.5", "externalIP": "203.0.113.4"},
    ),
    "database": (
        {**_READY, "message": "running, address 198.18.0.7"},
        {"internalIP": "198.18.0.7", "externalIP": "198.18.0.7"},
    ),
    "build": (
        {"type": "Ready", "status": "False", "reason": "VirtualServerStopped", "message": "it is stopped"},
        {},
    ),
    "mail": (
        {
            "type": "Ready",
            "status": "False",
            "reason": "PoolExhausted",
            "message": "the pool public has no free address: all 16 are held",
        },
        {"internalIP": "10.42.0.9"},
    ),
}
_UP = {"web": {"days": 12, "hours": 4}, "database": {"hours": 31}, "build": {}, "mail": {}}


def _time_ago(**ago: float) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(**ago)).isoformat()


@pytest.fixture
def server(control_plane: ControlPlane) -> Iterator[Server]:
    """The API server and a customer's namespace."""
    with connected(control_plane) as rest, own_namespace(rest, "shop") as server:
        yield server


def test_pictures(page: Page, console: RunningConsole, control_plane: ControlPlane, server: Server) -> None:
    folder = Path(os.environ["VS_PICTURES"])
    root = {
        "size": "20Gi",
        "storageClassName": "local",
        "source": {"pvc": {"namespace": "vd-images", "name": "debian"}},
    }
    for name, (ready, network) in _STATES.items():
        spec: dict[str, Any] = {
            "region": "north",
            "os": {"type": "linux"},
            "resources": {"cpu": {"count": 2}, "memory": "4Gi"},
            "storage": {"root": root},
            "network": {"public": name != "database", "tcp": {"ports": [22, 443]}},
        }
        manifest = {
            "apiVersion": "virtualservers.coreweave.com/v1alpha1",
            "kind": "VirtualServer",
            "metadata": {"name": name, "namespace": server.namespace},
            "spec": spec,
        }
        server.create(manifest)
        started = {
            "type": "VirtualServerStarted",
            "status": ready["status"],
            "lastTransitionTime": _time_ago(**_UP[name]),
        }
        server.patch(name, {"status": {"conditions": [started, ready], "network": network}}, subresource="/status")
    page.set_viewport_size({"width": 1200, "height": 620})
    page.goto(console.link_of(a_user(control_plane, server, "edit", "ann", home=names.USER_NAMESPACE)))
    expect(page.get_by_text("4 servers")).to_be_visible()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    page.screenshot(path=folder / "console-servers.png")
    page.get_by_role("link", name="New server").click()
    page.get_by_label("Name", exact=True).fill("checkout")
    page.get_by_label("Add a TCP port").fill("8080")
    page.get_by_label("Add a TCP port").press("Enter")
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.set_viewport_size({"width": 1200, "height": 800})
    page.screenshot(path=folder / "console-new.png")
    answered_with(page, path_of_a_shop(server.namespace))
    page.get_by_role("link", name="Back to the servers").click()
    page.get_by_label("All about web").click()
    picture = page.locator("section", has=page.get_by_role("img", name="The way of packets"))
    for name, scheme, width in (("path", "light", 1400), ("path-dark", "dark", 1400), ("path-phone", "light", 390)):
        page.emulate_media(color_scheme=cast("Any", scheme))
        page.set_viewport_size({"width": width, "height": 1200})
        picture.screenshot(path=folder / f"console-{name}.png")
