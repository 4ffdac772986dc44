"""Fixtures: a machine, the internet, a data plane on the machine, and guests of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from harness.fabric_village import Village, a_village
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def machine() -> Iterator[None]:
    with world.a_machine():
        yield


@pytest.fixture
def internet(machine: None) -> world.Node:
    return world.internet()


@pytest.fixture
async def plane(internet: world.Node) -> AsyncIterator[DataPlane]:
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    try:
        await plane.start()
        yield plane
    finally:
        await plane.stop()


@pytest.fixture
def make_guest() -> Iterator[world.MakeGuest]:
    """Return what makes a guest: its link in a data plane, and the machine behind it with its address."""
    guests: list[world.Guest] = []

    async def make(
        plane: DataPlane, number: int, address: str | None = None, *, configured: bool = True
    ) -> world.Guest:
        link = world.a_link(number, address)
        await plane.set_link(f"guest-{number}", link)
        guest = world.Guest(f"g{number}-{len(guests)}", link.device, plane.open_tap(link.device), link.mac)
        guests.append(guest)
        if configured:
            guest.configure(str(link.addresses[0]))
        return guest

    yield make
    for guest in guests:
        guest.close()


@pytest.fixture
async def village(plane: DataPlane, make_guest: world.MakeGuest, internet: world.Node) -> Village:
    return await a_village(plane, make_guest, internet)
