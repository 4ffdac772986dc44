"""The process that keeps an installation's components running: ``python -m virtualserver.controlplane``.

It starts each component once those before it are ready, starts it again with back-off when it ends, and answers `vs`
on a unix socket. It can be killed at any time: components live in sessions of their own, and the next supervisor
adopts the ones that run.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import yaml

from virtualserver.controlplane import (
    aggregation,
    bootstrap,
    credentials,
    database,
    errors,
    image_sources,
    rest,
    site,
    storage_classes,
    turns,
)
from virtualserver.controlplane import components as parts
from virtualserver.controlplane.options import NAMES, Options
from virtualserver.controlplane.room import Room
from virtualserver.controlplane.supervisor import control, processes
from virtualserver.controlplane.supervisor.kept import KeptComponent, wait_for
from virtualserver.host import locks
from virtualserver.host.followed import Followed
from virtualserver.host.logs import bound
from virtualserver.host.process import end
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.installation.record import ControlPlaneSettings, UidRange
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.sites.site import Site

__all__ = ["Supervisor", "main", "stop_all"]

_log = logging.getLogger("supervisor")

_FIRST_DELAY: Final = 0.25
_LONGEST_DELAY: Final = 30.0
_RENEWAL_SECONDS: Final = 600.0
_CLOCK_SECONDS: Final = 5.0
_JUMP_SECONDS: Final = 60.0
"""A clock that differs so much from what it was to be has been set, or the machine was suspended."""
_ROOM_SECONDS: Final = 3.0
_SILENT_SECONDS: Final = 5
"""After so many seconds in which the node is not ready its APIs are withdrawn."""


class KeptRoom(Protocol):
    """What is kept of etcd's database for the control plane; see `room.Room`."""

    @property
    def told(self) -> str:
        """Why users may not write what they like; ``""`` where they may."""
        ...

    def keep(self, *, is_served: bool) -> float:
        """Look once, in a thread, and return how many seconds may pass until the next look."""
        ...


class Supervisor:
    """Keeps the components of one installation running until it is told to stop.

    Args:
        installation: The installation's files.
        components: What to run, in the order of their start.
        settings: The record that the components were made from; `vs` compares it with what it wants.
        prepare: Called in a thread at the start, while kube-apiserver loads, and after each change of site.yaml: reads
            the manifests as the site has them, and returns what applies them, to be called in a thread once
            kube-apiserver is ready; that returns what of it could not be carried out, in words.
        renew: Called in a thread now and then: writes the certificates that are near their end, and returns whether it
            wrote any.
        room: Kept, in a thread, now and then, so that etcd's database does not fill up.
        withdraw: Called in a thread where the node does not answer: takes its APIs out of discovery, and returns their
            names.
    """

    def __init__(
        self,
        installation: Installation,
        components: tuple[parts.Component, ...],
        *,
        settings: ControlPlaneSettings,
        prepare: Callable[[], Callable[[], list[str]]],
        renew: Callable[[], bool],
        room: KeptRoom,
        withdraw: Callable[[], list[str]],
    ) -> None:
        self._installation = installation
        self._settings = settings
        self._prepare = prepare
        self._renew = renew
        self._room = room
        self._withdraw = withdraw
        self._bootstrapped = asyncio.Event()
        self._readiness = {component.name: asyncio.Event() for component in components}
        self._readiness["bootstrap"] = self._bootstrapped
        records = processes.Records(installation.processes)
        self._kept = {
            component.name: KeptComponent(component, records, installation.log(component.name), self._readiness)
            for component in components
        }
        self._bootstrap_error = ""
        self._site_trouble = ""
        # Only that it changed: `prepare` reads it.
        self._site_file = Followed(installation.site_file, lambda: None)
        self._site_changed = asyncio.Event()
        self._over = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Keep everything running; return after a stop, or (components left running) after a detach."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, functools.partial(self._begin, "stop"))
        server = await control.serve(self._installation.socket, self._answer)
        try:
            # A fault of ours in one task ends the supervisor, with a trace in its log; the components go on.
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(kept.run()) for kept in self._kept.values()]
                tasks += [group.create_task(self._bootstrap()), group.create_task(self._bound_logs())]
                tasks += [group.create_task(self._follow_time()), group.create_task(self._guard_discovery())]
                tasks += [group.create_task(self._keep_room()), group.create_task(self._follow_site())]
                await self._over.wait()
                for task in tasks:
                    task.cancel()
            if self._stopping:
                await asyncio.to_thread(stop_all, self._installation)
        finally:
            server.close()
            self._installation.socket.unlink(missing_ok=True)

    def _begin(self, what: str) -> None:
        _log.info("told to %s", what)
        self._stopping = self._stopping or what == "stop"
        self._over.set()

    def _answer(self, do: control.Request) -> control.SupervisorReport:
        if do != "status":
            self._begin(do)
        return control.SupervisorReport(
            pid=os.getpid(),
            settings=msgspec.to_builtins(self._settings),
            stopping=self._stopping,
            bootstrapped=self._bootstrapped.is_set(),
            bootstrap_error=self._bootstrap_error,
            components=[kept.report() for kept in self._kept.values()],
            site_trouble=self._site_trouble,
            database=self._room.told,
        )

    async def _bootstrap(self) -> None:
        """Apply the manifests, also each time the site changes, and what could not be carried out once more."""
        while True:
            self._site_changed.clear()
            trouble = await self._apply()
            if trouble != self._site_trouble:
                _log.warning("%s: %s", self._installation.site_file, trouble or "all of it is carried out now")
            self._site_trouble = trouble
            self._bootstrapped.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_DELAY if trouble else None):
                    await self._site_changed.wait()

    async def _follow_site(self) -> None:
        async for _ in self._site_file.changes():
            self._site_changed.set()

    async def _apply(self) -> str:
        """Apply the manifests, again and again until it is done; return what of the site could not be carried out."""
        delay = _FIRST_DELAY
        while True:
            try:
                carry_out = await asyncio.to_thread(self._prepare)
                await wait_for(self._readiness, ("kube-apiserver",))
                if self._site_changed.is_set():  # meanwhile: it may allow less now
                    self._site_changed.clear()
                    continue
                trouble = await asyncio.to_thread(carry_out)
                break
            except (OSError, rest.RestError) as error:
                _log.warning("applying the manifests: %s", error)
                # Only what trying again will not mend is reported; the rest is a server that has just started.
                if getattr(error, "status", 500) in (400, 403, 404, 422):
                    self._bootstrap_error = str(error)
            except (errors.ControlPlaneError, ValueError, yaml.YAMLError) as error:
                _log.exception("applying the manifests")
                self._bootstrap_error = str(error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)
        self._bootstrap_error = ""
        return "; ".join(trouble)

    async def _guard_discovery(self) -> None:
        """Take the node's APIs away while it does not answer, so that it holds up nobody else's objects."""
        node = self._readiness.get("node")
        silent = 0
        while node is not None:
            await asyncio.sleep(1)
            # Before the manifests are applied it is not to be there: what is withdrawn then is what it is just telling.
            silent = silent + 1 if self._bootstrapped.is_set() and not node.is_set() else 0
            if silent < _SILENT_SECONDS:
                continue
            try:
                if withdrawn := await asyncio.to_thread(self._withdraw):
                    _log.warning("the node does not answer: withdrew its %s", ", ".join(withdrawn))
                silent = -_SILENT_SECONDS  # it may have come back, and told of them, in between
            except (OSError, rest.RestError) as error:
                _log.debug("withdrawing the node's APIs: %s", error)

    async def _keep_room(self) -> None:
        while True:
            await wait_for(self._readiness, ("etcd",))
            pause = _ROOM_SECONDS
            try:
                pause = await asyncio.to_thread(self._room.keep, is_served=self._bootstrapped.is_set())
            except (OSError, rest.RestError) as error:
                _log.warning("making room in etcd: %s", error)
            await asyncio.sleep(pause)

    async def _follow_time(self) -> None:
        """Renew certificates in time, also where nobody starts anything for a year, or sets the clock.

        Each start of a component reads them, and the start of all has just looked at them.
        """
        while True:
            await _until_renewal()
            try:
                if await asyncio.to_thread(self._renew):
                    _log.info("certificates were renewed: starting all components again")
                    for kept in reversed(self._kept.values()):
                        if kept.process:
                            await asyncio.to_thread(end, kept.process)
            except (OSError, ValueError):
                _log.exception("renewing the certificates")

    async def _bound_logs(self) -> None:
        while True:
            for name in (*self._kept, "supervisor"):
                await asyncio.to_thread(bound, self._installation.log(name))
            await asyncio.sleep(30)


def stop_all(installation: Installation) -> None:
    """End every component in order, each within its time; what does not end is killed. Blocks.

    Only whoever holds the supervisor's lock may call this.
    """
    records, strays = processes.Records(installation.processes), processes.strays(installation)
    for name in reversed(NAMES):
        process = records.find(name) or strays.get(name)
        if process:
            _log.info("stopping %s, PID %d", name, process.pid)
            if not end(process):
                _log.warning("%s did not end within its time: killed", name)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, 0)
        records.forget(name)


async def _until_renewal() -> None:
    """Wait until certificates are to be looked at again: at once where somebody sets the machine's clock."""
    ahead = time.time() - time.monotonic()
    for _ in range(int(_RENEWAL_SECONDS / _CLOCK_SECONDS)):
        await asyncio.sleep(_CLOCK_SECONDS)
        if abs(time.time() - time.monotonic() - ahead) > _JUMP_SECONDS:
            return


async def _run(installation: Installation) -> None:
    record = installation.record()
    settings, uids = record.controlplane, record.uids
    assert settings and uids  # noqa: S101 - both are recorded before a supervisor is launched
    options = Options.decode(settings.options)
    table = parts.table(
        installation,
        options=options,
        ports=record.ports,
        uids=uids,
        programs=Path(settings.programs),
        environment=os.environ,
        host=socket.gethostname(),
    )
    url = f"https://127.0.0.1:{record.ports['kube-apiserver']}"
    await Supervisor(
        installation,
        table,
        settings=settings,
        prepare=functools.partial(_prepare, installation, url),
        renew=functools.partial(_renew, installation, options, uids, url),
        room=Room(
            installation,
            url,
            database.Database(
                f"https://127.0.0.1:{record.ports['etcd']}",
                authority=installation.pki / "etcd-ca.crt",
                client=installation.pki / "clients/etcd",
                limit=parts.DATABASE_LIMIT,
            ),
        ),
        withdraw=functools.partial(aggregation.withdraw, installation, url),
    ).run()


def _prepare(installation: Installation, url: str) -> Callable[[], list[str]]:
    # Written down first: were the file faulty next, what held before would not be known while the node is away.
    found = site.renew(installation).site
    return functools.partial(_carry_out, installation, url, found, bootstrap.load(found))


def _carry_out(installation: Installation, url: str, found: Site, manifests: list[Manifest]) -> list[str]:
    bootstrap.apply_all(installation, url, manifests)
    turns.give_all(installation, url)
    storage_classes.offer_all(installation, url, found.storage_classes)
    return image_sources.share_all(installation, url, found.image_namespaces)


def _renew(installation: Installation, options: Options, uids: UidRange, url: str) -> bool:
    now = datetime.datetime.now(datetime.UTC)
    return credentials.ensure(installation, uids, server=url, addresses=options.served, now=now)


def main() -> int:
    """Run the supervisor of the installation that the environment names, detached from whoever called."""
    installation = Installation.from_environment()
    if os.fork():
        os._exit(0)  # the caller waits for this process only; the supervisor is nobody's child
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    descriptor = locks.take(installation.supervisor_lock)
    if descriptor is None:
        pid = locks.holder(installation.supervisor_lock)
        _log.info("a supervisor of %s runs already, PID %s", installation.name, pid)
        return 0
    asyncio.run(_run(installation))
    return 0
