"""Consoles that a test's browser, or the test itself, speaks to: in a thread here, or in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from harness.waiting import eventually
from virtualserver.console.serving import Served, serving
from virtualserver.installation import ports
from virtualserver.kube.kubeconfig import Credentials, load_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from harness.control_plane import ControlPlane

__all__ = ["RunningConsole", "a_cluster_console", "a_console", "a_console_process", "a_port"]


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


@contextlib.contextmanager
def a_console_process(control_plane: ControlPlane, folder: Path, *, port: int, **flags: object) -> Generator[Path]:
    """Yield the log of a console that is a process as an installation or a pod starts it; it ends with the context.

    Args:
        control_plane: The API that it speaks to, unless ``server`` says another one.
        folder: Where its files are.
        port: Where it listens.
        flags: Its other arguments.
    """
    ready, log = folder / "ready", folder / "log"
    told = {
        "port": port,
        "server": control_plane.url,
        "authority": control_plane.installation.pki / "ca.crt",
        "ready-file": ready,
        **flags,
    }
    argv = [sys.executable, "-m", "virtualserver.console", *(f"--{name}={value}" for name, value in told.items())]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        eventually(
            lambda: ready.exists() and ready.read_text().strip() == str(process.pid), what="the console to serve"
        )
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0


def a_port() -> int:
    """Return a free port."""
    (port,) = ports.choose(["console"], is_free=ports.is_free, start=os.getpid()).values()
    return port


@contextlib.contextmanager
def a_cluster_console(
    control_plane: ControlPlane, folder: Path, *, server: str = "", **settings: Any
) -> Generator[tuple[str, Path]]:
    """Yield the address and the log of a console as a pod on a cluster starts it.

    Args:
        control_plane: The API that it speaks to; the console shows the certificate of its server.
        folder: Where its files are.
        server: Another address of that API; ``""`` for its own.
        settings: What its settings say besides.
    """
    port, file, pki = a_port(), folder / "settings.yaml", control_plane.installation.pki
    url = f"https://127.0.0.1:{port}"
    certificate = pki / "kube-apiserver/server"
    said = {"url": url, "certificate": f"{certificate}.crt", "key": f"{certificate}.key", **settings}
    file.write_text(json.dumps(said))
    server = server or control_plane.url
    with a_console_process(control_plane, folder, port=port, settings=file, server=server) as log:
        yield url, log
