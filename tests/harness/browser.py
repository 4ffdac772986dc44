"""Debian's Chromium, as tests open it: with nothing that it would do by itself, and no mercy for a page's errors."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page

__all__ = ["a_browser", "a_page"]

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=15_000)


@contextlib.contextmanager
def a_browser() -> Generator[Browser]:
    """Yield a browser; its driver has an event loop that runs meanwhile, so that no other one can in this thread."""
    with sync_playwright() as playwright:
        program = os.environ.get("VS_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def a_page(browser: Browser) -> Generator[Page]:
    """Yield a page of a browser without cookies, that fails the test where it logs an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # What a browser says of an answer that is no success, and of a style that it would itself give to text that is
    # typed over other text, is not the page's fault.
    known = ("Failed to load resource", "Applying inline style")
    assert [error for error in errors if not error.startswith(known)] == []
