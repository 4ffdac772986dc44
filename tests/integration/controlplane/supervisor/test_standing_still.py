"""A component whose event loop stands still is seen, ended and started again, and what it stood still at waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import harness
from harness.waiting import until
from virtualserver import controlplane
from virtualserver.controlplane.components import Component, FileProbe
from virtualserver.controlplane.supervisor import supervisor
from virtualserver.host import watchdog
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import ControlPlaneSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from virtualserver.controlplane import ComponentStatus

TESTS = Path(harness.__file__).parents[1]


class Renewals:
    """Counts how often certificates were looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bool:
        self.count += 1
        return False


class World:
    """A supervisor in this process that keeps `harness.slow_plan` running."""

    def __init__(self, installation: Installation, folder: Path, renewals: Renewals) -> None:
        self.installation = installation
        self.folder = folder
        self.renewals = renewals

    async def status(self) -> ComponentStatus:
        """Return what `vs status` says of the component."""
        (found,) = (await asyncio.to_thread(controlplane.status, self.installation)).components
        return found

    async def ready(self, *, but: int | None = None) -> ComponentStatus:
        """Wait until the component is ready, in another process than one, and return how it is."""

        async def holds() -> ComponentStatus | None:
            found = await self.status()
            return found if found.ready and found.pid != but else None

        found = await until(holds, seconds=120)
        assert found
        return found

    async def doubted(self) -> ComponentStatus:
        """Wait until something is wrong with a process that lives, and return how it is."""

        async def holds() -> ComponentStatus | None:
            found = await self.status()
            return found if found.trouble else None

        found = await until(holds, seconds=120)
        assert found
        return found

    def read(self, name: str) -> str:
        """Return a file of the component's folder, ``""`` where there is none."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / name).read_text()
        return ""


class Roomy:
    """A database with room."""

    told = ""

    def keep(self, *, is_served: bool) -> float:
        """Look again later."""
        return 60.0


@pytest.fixture
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The limits are shorter than a user's, so that the tests are. With the parameter False it has no pulse."""
    monkeypatch.setattr(watchdog, "DOUBT_SECONDS", 2.0)
    monkeypatch.setattr(watchdog, "LIMIT_SECONDS", 5.0)
    root = Path(tempfile.mkdtemp(prefix="vs-test-", dir="/tmp"))
    installation = Installation.below(root, "still")
    installation.create()
    folder = installation.run_of("operator")
    folder.mkdir()
    component = Component(
        "operator",
        "1",
        (sys.executable, "-m", "harness.slow_plan", str(folder)),
        {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])},
        os.geteuid(),
        FileProbe(folder / "ready"),
        pulse=folder / "pulse" if getattr(request, "param", True) else None,
    )
    renewals = Renewals()
    settings = ControlPlaneSettings("", controlplane.Options().encode(), "")
    work = supervisor.Supervisor(
        installation,
        (component,),
        settings=settings,
        prepare=lambda: list,
        renew=renewals,
        room=Roomy(),
        withdraw=list,
    )
    task = asyncio.create_task(work.run())
    try:
        yield World(installation, folder, renewals)
        assert not task.done(), task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        child = work._kept["operator"].child  # pyright: ignore[reportPrivateUsage]
        if child:
            child.kill()
            child.wait()
        shutil.rmtree(root)


async def test_a_loop_that_stands_still_is_told_then_ended_and_what_it_stood_still_at_waits(world: World) -> None:
    """Fault 12: one object, whatever is in it, holds up others once."""
    first = (await world.ready()).pid
    assert first
    doubted = await world.doubted()
    assert doubted.pid == first and not doubted.ready and "its event loop has stood still for" in doubted.trouble
    again = await world.ready(but=first)
    assert "at servers m/slow, so it was ended" in again.last_error
    assert "in a_plan_that_never_ends" in world.installation.log("operator").read_text()

    async def is_told() -> bool:
        return world.read("told-slow").startswith("SetAside: ") and world.read("looked-at-other") == str(again.pid)

    await until(is_told, seconds=60)
    assert (await world.status()).pid == again.pid
    (world.folder / "mended").touch()  # which changes the object

    async def is_looked_at() -> bool:
        return world.read("looked-at-slow") == str(again.pid)

    await until(is_looked_at, seconds=60)


async def test_a_process_that_somebody_stops_is_started_again_and_nothing_is_set_aside(world: World) -> None:
    (world.folder / "mended").touch()
    first = (await world.ready()).pid
    assert first
    os.kill(first, signal.SIGSTOP)
    again = await world.ready(but=first)
    assert again.last_error.startswith("its event loop has stood still for 5 s, so it was ended")
    assert not world.read("aside.json") and not world.read("told-slow")


@pytest.mark.parametrize("world", [False], indirect=True, ids=["no pulse"])
async def test_a_program_of_others_that_somebody_stops_is_told_and_started_again(world: World) -> None:
    """etcd, kube-apiserver, kube-controller-manager and the relay have no pulse to look at."""
    (world.folder / "mended").touch()
    first = (await world.ready()).pid
    assert first
    os.kill(first, signal.SIGSTOP)
    doubted = await world.doubted()
    assert doubted.pid == first and not doubted.ready
    assert doubted.trouble.startswith("somebody has stopped it (SIGSTOP) for ")
    again = await world.ready(but=first)
    assert again.last_error.startswith("somebody has stopped it (SIGSTOP) for 5 s, so it was ended")


@pytest.mark.parametrize("world", [False], indirect=True, ids=["no pulse"])
async def test_a_program_of_others_that_goes_on_in_time_is_left_alone(world: World) -> None:
    (world.folder / "mended").touch()
    first = (await world.ready()).pid
    assert first
    os.kill(first, signal.SIGSTOP)
    await world.doubted()
    os.kill(first, signal.SIGCONT)
    again = await world.ready()
    assert (again.pid, again.trouble, again.restarts) == (first, "", 0)


async def test_certificates_are_looked_at_as_soon_as_somebody_sets_the_clock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A brother of fault 33: after a clock was set right, nothing was valid for ten minutes."""
    (world.folder / "mended").touch()
    await world.ready()
    assert world.renewals.count == 0
    a_year = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + 365 * 86400)
    monkeypatch.setattr(supervisor, "time", a_year)
    await until(lambda: world.renewals.count == 1, "certificates to be looked at", seconds=60)
