"""The window of a serial console; `harness.standin_guest` is at its other end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import expect

from harness.standin_guest import a_standin_guest
from harness.waiting import eventually
from virtualserver.kube.kubeconfig import Credentials

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from harness.console import RunningConsole


def test_a_console_waits_for_its_guest_and_outlives_its_restart(page: Page, console: RunningConsole) -> None:
    with a_standin_guest() as guest:
        page.goto(console.link_of(Credentials(server=guest.url)))
        place = urlsplit(page.url).path
        page.goto(f"{console.url}{place}terminal/#default/web/serial")
        expect(page.get_by_text("Waiting until web runs")).to_be_visible()
        guest.runs("1")
        screen, paste = page.locator(".xterm-rows"), page.get_by_role("button", name="Paste as keys")
        expect(screen).to_contain_text("a guest at your service")
        page.keyboard.type("hello")
        expect(screen).to_contain_text("HELLO")
        eventually(lambda: "hello" in guest.heard, what="what was typed")
        guest.stops()
        expect(page.get_by_text("Waiting until web runs")).to_be_visible()
        guest.runs("2")
        expect(paste).to_be_enabled()
        page.keyboard.type("again")
        expect(screen).to_contain_text("AGAIN")
        guest.is_taken()
        expect(page.get_by_text("somebody else has taken it")).to_be_visible()
        page.get_by_role("button", name="Take it back").click()
        expect(paste).to_be_enabled()
        page.keyboard.type("mine")
        expect(screen).to_contain_text("MINE")
        page.goto("about:blank")


def test_what_a_guest_says_is_text(page: Page, console: RunningConsole) -> None:
    with a_standin_guest() as guest:
        guest.runs("1")
        page.goto(console.link_of(Credentials(server=guest.url)))
        page.goto(f"{console.url}{urlsplit(page.url).path}terminal/#default/web/serial")
        screen = page.locator(".xterm-rows")
        expect(screen).to_contain_text("a guest at your service")
        page.keyboard.type("<img src=x onerror=alert(1)>")
        expect(screen).to_contain_text("<IMG SRC=X ONERROR=ALERT(1)>")
        assert page.locator("img").count() == 0
        page.goto("about:blank")
