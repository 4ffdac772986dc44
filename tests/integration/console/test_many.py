"""A list of 10,000 servers that change all the time; `harness.many_servers` stands in for the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from harness.many_servers import many_servers
from harness.waiting import eventually
from virtualserver.kube.kubeconfig import Credentials

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from harness.console import RunningConsole

_DRAWN = "() => document.querySelectorAll('tbody tr[aria-rowindex]').length"
_CHANGES = r"""(least) => [...document.querySelectorAll('tbody tr')]
    .some((row) => Number(/changed (\d+)/.exec(row.textContent)?.[1] ?? 0) >= least)"""
_SEARCH = """async (words) => {
    const input = document.querySelector('input[type=search]')
    const begin = performance.now()
    input.value = words
    input.dispatchEvent(new Event('input', { bubbles: true }))
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
    return performance.now() - begin
}"""


def test_ten_thousand_servers_are_listed_searched_and_scrolled(page: Page, console: RunningConsole) -> None:
    with many_servers(10_000) as url:
        page.goto(console.link_of(Credentials(server=url)))
        expect(page.get_by_text("10000 servers")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="server-00000")).to_be_visible()
        assert page.evaluate(_DRAWN) < 60
        for words in ("server-09999", "203.0.7", "tier=db", "web", ""):
            # The limit is a person's; what else the machine does is left out by looking again.
            eventually(lambda words=words: page.evaluate(_SEARCH, words) < 100, what=f"{words!r} within 100 ms")
        page.get_by_label("Search").fill("server-09999")
        expect(page.get_by_text("1 of 10000 servers")).to_be_visible()
        page.get_by_label("Search").fill("")
        page.mouse.wheel(0, 10_000_000)
        expect(page.get_by_role("row").filter(has_text="server-09999")).to_be_visible()
        expect(page.get_by_text("changed").first).to_be_visible()
        page.get_by_role("button", name="State").click()
        page.mouse.wheel(0, -10_000_000)
        expect(page.get_by_text("PoolExhausted").first).to_be_visible()
        page.goto("about:blank")


def test_ten_minutes_of_changes_leave_the_page_as_large_as_before(page: Page, console: RunningConsole) -> None:
    """Twelve thousand changes, which is what ten minutes bring at twenty a second, as fast as the page takes them."""
    with many_servers(10_000, pause=0.001) as url:
        page.goto(console.link_of(Credentials(server=url)))
        expect(page.get_by_text("10000 servers")).to_be_visible()
        page.get_by_label("Search").fill("server-099")  # the last ten, which every second change is one of
        heap: Any = page.context.new_cdp_session(page)  # what it answers has no type
        sizes = [_heap_after(page, heap, changes) for changes in (2_000, 8_000, 14_000)]
        page.goto("about:blank")
    assert sizes[2] < 1.05 * sizes[0] and sizes[2] < 1.05 * sizes[1], f"bytes: {sizes}"


def _heap_after(page: Page, heap: Any, changes: int) -> int:
    """Wait until the page shows so many changes, and return how many bytes of its heap are in use."""
    page.wait_for_function(_CHANGES, arg=changes, timeout=120_000)
    heap.send("HeapProfiler.collectGarbage")
    return int(heap.send("Runtime.getHeapUsage")["usedSize"])


def test_an_api_that_goes_and_comes_back_is_said_and_taken_up_again(page: Page, console: RunningConsole) -> None:
    with many_servers(3) as url:
        page.goto(console.link_of(Credentials(server=url)))
        expect(page.get_by_text("3 servers")).to_be_visible()
    expect(page.get_by_text("The API does not answer")).to_be_visible()
    expect(page.get_by_text("3 servers")).to_be_visible()
    with many_servers(5, port=int(url.rpartition(":")[2])):
        expect(page.get_by_text("The API does not answer")).to_have_count(0, timeout=20_000)
        page.get_by_label("Search").fill("server-0000")
        expect(page.get_by_text("changed").first).to_be_visible()
        page.goto("about:blank")
