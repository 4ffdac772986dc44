"""The console with a whole instance behind it: what is made in a browser runs, and what runs is seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from harness.browser import a_browser, a_page
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route

    from e2e.internet import Internet
    from e2e.product import Product

_START_SECONDS = 120


@pytest.fixture(scope="module")
def page(product: Product) -> Iterator[Page]:
    """The list of servers, signed in by the link that `vs ui` prints."""
    with a_browser() as browser, a_page(browser) as page:
        page.goto(product.vs("ui").strip())
        expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
        try:
            yield page
        finally:
            product.delete("vs", "browsed", "browsed-2")


def emptied(route: Route) -> None:
    """Answer what the API answers of pools, with nothing free in any."""
    answer = route.fetch()
    pools = answer.json()
    for pool in pools["items"]:
        pool["status"]["free"] = 0
    route.fulfill(response=answer, json=pools)


def test_a_server_that_is_made_with_switches_answers_at_its_port(
    page: Page, product: Product, client: Internet
) -> None:
    page.get_by_role("link", name="New server").click()
    page.get_by_label("Name", exact=True).fill("browsed")
    for port in ("8080", "9090"):
        page.get_by_label("Add a TCP port").fill(port)
        page.get_by_label("Add a TCP port").press("Enter")
    page.get_by_text("Hardware").click()
    page.get_by_label("Memory").fill("96Mi")
    page.get_by_text("Operating system").click()
    page.get_by_label("Image").fill("tiny")
    page.get_by_label("Root disk").fill("128Mi")
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.route("**/namespacepools", emptied)
    page.get_by_label("Root disk").fill("129Mi")
    expect(page.get_by_text("The pool public has no free address")).to_be_visible()
    page.unroute("**/namespacepools")
    page.get_by_label("Root disk").fill("128Mi")
    expect(page.get_by_text("The pool public has no free address")).to_have_count(0)
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    row = page.get_by_role("row").filter(has_text="browsed")
    expect(row).to_contain_text("Ready", timeout=_START_SECONDS * 1000)
    address = product.get("vs", "browsed")["status"]["network"]["externalIP"]
    expect(row).to_contain_text(address)
    product.guest("browsed").serve("tcp", 8080)
    eventually(lambda: client.probe("tcp", address, 8080).get("answer"), what="port 8080")


def test_the_ways_to_it_are_seen_and_where_packets_are_lost(page: Page) -> None:
    page.get_by_label("All about browsed").click()
    # Something listens at 8080, and nothing at 9090, which its manifest publishes too.
    picture = page.get_by_role("img", name="The way of packets")
    expect(picture.locator(".box").filter(has_text="8080/TCP")).to_contain_text("answers")
    expect(picture.locator(".box").filter(has_text="9090/TCP")).to_contain_text("refused")
    page.get_by_text("In words").click()
    expect(page.get_by_role("listitem").filter(has_text="8080/TCP").last).to_contain_text("answers")
    expect(page.get_by_role("listitem").filter(has_text="9090/TCP").last).to_contain_text("refused Lost at Port")
    expect(page.get_by_role("button", name="Look again")).to_be_visible()
    page.get_by_label("All about browsed").click()
    page.get_by_role("link", name="Addresses").click()
    expect(page.get_by_role("list", name="Pools").get_by_text("public", exact=True)).to_be_visible()
    expect(page.get_by_role("meter", name="How much of public is used")).to_be_visible()
    page.get_by_role("link", name="Virtual servers").click()


def test_it_is_stopped_cloned_with_its_disk_and_started_in_the_browser(page: Page, product: Product) -> None:
    product.guest("browsed").run("echo kept | dd of=/dev/vda conv=fsync 2>/dev/null; sync")
    row = page.get_by_role("row").filter(has=page.get_by_label("All about browsed", exact=True))
    page.get_by_label("All about browsed", exact=True).click()
    page.get_by_role("button", name="Clone").click()
    dialog = page.get_by_role("dialog", name="Stop browsed and clone it?")
    dialog.get_by_role("button", name="Stop it, then clone").click()
    expect(page.get_by_role("heading", name="Clone browsed")).to_be_visible(timeout=_START_SECONDS * 1000)
    expect(page.get_by_label("Name", exact=True)).to_have_value("browsed-2")
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(row).to_contain_text("Stopped")
    clone = page.get_by_role("row").filter(has_text="browsed-2")
    expect(clone).to_contain_text("Ready", timeout=_START_SECONDS * 1000)
    assert product.guest("browsed-2").run("dd if=/dev/vda bs=4 count=1 2>/dev/null") == "kept"
    row.get_by_role("button", name="Start").click()
    expect(row).to_contain_text("Ready", timeout=_START_SECONDS * 1000)


def test_its_deletion_names_its_disk_and_its_address(page: Page, product: Product) -> None:
    address = product.get("vs", "browsed")["status"]["network"]["externalIP"]
    page.get_by_label("All about browsed", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete browsed?")
    expect(dialog).to_contain_text("Its root disk of 128Mi goes, with everything on it.")
    expect(dialog).to_contain_text(f"The address {address} goes back to its pool.")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_label("All about browsed", exact=True)).to_have_count(0, timeout=_START_SECONDS * 1000)
