"""A console that a test's browser, or the test itself, speaks to: it runs in a thread of the test's process."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING

from virtualserver.console.serving import Served, serving
from virtualserver.kube.kubeconfig import Credentials, load_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["RunningConsole", "a_console"]


class RunningConsole:
    """A console that is served.

    Attributes:
        url: Where, without a slash at the end.
    """

    def __init__(self, served: Served, loop: asyncio.AbstractEventLoop, ends: asyncio.Event) -> None:
        self.url = served.url
        self._ends = ends
        self._served = served
        self._loop = loop

    def end(self) -> None:
        """Have it end."""
        self._loop.call_soon_threadsafe(self._ends.set)

    def link(self, kubeconfig: Path) -> str:
        """Return a new link that signs in with the rights of a kubeconfig."""
        return self.link_of(load_kubeconfig(kubeconfig))

    def link_of(self, credentials: Credentials) -> str:
        """Return a new link that signs in with these credentials."""

        async def issued() -> str:
            return self._served.link(credentials)

        return asyncio.run_coroutine_threadsafe(issued(), self._loop).result(timeout=10)


@contextlib.contextmanager
def a_console() -> Generator[RunningConsole]:
    """Yield a console; it ends with the context."""
    begun: queue.Queue[RunningConsole | BaseException] = queue.Queue()

    async def run() -> None:
        ends = asyncio.Event()
        async with serving() as served:
            begun.put(RunningConsole(served, asyncio.get_running_loop(), ends))
            await ends.wait()

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            begun.put(error)

    thread = threading.Thread(target=main, name="console")
    thread.start()
    console = begun.get(timeout=30)
    if isinstance(console, BaseException):
        raise console
    try:
        yield console
    finally:
        console.end()
        thread.join(timeout=30)
