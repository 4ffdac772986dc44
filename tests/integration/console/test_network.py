"""Every network mode, made by the form and by its text: what arrives is what the examples say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from harness.api_server import Server
    from harness.console import RunningConsole
    from harness.control_plane import ControlPlane

_EXAMPLES = Path(__file__).parents[3] / "examples"

Deed = Callable[[Page], None]


def switch(name: str, *, on: bool) -> Deed:
    return lambda page: page.get_by_role("switch", name=name).set_checked(on)


def ports(protocol: str, text: str) -> Deed:
    def typed(page: Page) -> None:
        page.get_by_label(f"Add a {protocol} port").fill(text)
        page.get_by_label(f"Add a {protocol} port").press("Enter")

    return typed


def closed(port: int) -> Deed:
    return lambda page: page.get_by_role("button", name=f"Close TCP port {port}").click()


def more(page: Page) -> None:
    page.get_by_text("Floating addresses, VPCs").click()


def item(label: str, text: str) -> Deed:
    def typed(page: Page) -> None:
        page.get_by_label(label).fill(text)
        page.get_by_label(label).press("Enter")

    return typed


def moved_up(name: str) -> Deed:
    return lambda page: page.get_by_role("button", name=f"Move {name} up").click()


def field(label: str, text: str) -> Deed:
    return lambda page: page.get_by_label(label).fill(text)


MODES: dict[str, tuple[Deed, ...]] = {
    "public-ports": (ports("TCP", "443"), ports("UDP", "3389")),
    "private-ports": (switch("Public IP", on=False), ports("TCP", "443")),
    "direct-attach-public": (switch("LoadBalancer IP", on=True),),
    "direct-attach-private": (switch("Public IP", on=False), switch("LoadBalancer IP", on=True)),
    "headless": (switch("Public IP", on=False), closed(22)),
    "headless-with-ports": (closed(22), ports("TCP", "443"), more, switch("Its name in DNS", on=True)),
    "custom-mac": (more, field("MAC address", "a2:1f:ee:09:06:5d")),
    "floating": (closed(22), more, item("Name of a Service", "web-address")),
    "vpc": (more, item("Name of a VPC", "red"), item("Name of a VPC", "blue"), moved_up("blue")),
    "no-network": (more, closed(22), switch("Without the cluster network", on=True)),
}


@pytest.fixture(scope="module")
def signed_in(browser: Any, console: RunningConsole, control_plane: ControlPlane) -> Any:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(5_000)
    page = context.new_page()
    page.goto(console.link(control_plane.kubeconfig))
    yield page
    context.close()


def example(name: str, server: Server) -> tuple[str, dict[str, Any]]:
    """Return an example's text for the namespace, and its VirtualServer."""
    text = (_EXAMPLES / f"{name}.yaml").read_text().replace("namespace: default", f"namespace: {server.namespace}")
    return text, next(one for one in yaml.safe_load_all(text) if one["kind"] == "VirtualServer")


def begin(page: Page) -> Page:
    """Open the page of a new server, whatever is open."""
    page.evaluate("location.hash = '#/'")
    page.get_by_role("link", name="New server").click()
    return page


@pytest.mark.parametrize("name", MODES)
def test_the_form_makes_what_the_example_says(signed_in: Page, server: Server, name: str) -> None:
    page = begin(signed_in)
    _, wanted = example(name, server)
    page.get_by_label("Name", exact=True).fill(f"form-{name}")
    page.get_by_label("Namespace").fill(server.namespace)
    for deed in MODES[name]:
        deed(page)
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    made = server.get(f"form-{name}")["spec"]["network"]
    wanted["metadata"]["name"] = f"like-{name}"
    assert made == server.create(wanted, dry_run=True)["spec"]["network"]


@pytest.mark.parametrize("name", MODES)
def test_the_text_makes_what_the_example_says(signed_in: Page, server: Server, name: str) -> None:
    page = begin(signed_in)
    text, wanted = example(name, server)
    expect(page.locator(".cm-content")).to_contain_text("kind: VirtualServer")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    made = server.get(wanted["metadata"]["name"])
    wanted["metadata"]["name"] = f"like-{name}"
    assert made["spec"] == server.create(wanted, dry_run=True)["spec"]
