"""A namespace of the installation's name that another identifier's installation made."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey
from virtualserver.fabric.orphans import NamespaceTaken
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    MakePlane = Callable[[str, str], Awaitable[DataPlane]]


@pytest.fixture
async def make_plane(internet: world.Node) -> AsyncIterator[MakePlane]:
    """Return what makes a data plane of the one name; all are stopped in the end, the first one first."""
    made: list[DataPlane] = []

    async def make(identifier: str, run: str) -> DataPlane:
        folder = Path(run)
        folder.mkdir(parents=True, exist_ok=True)
        chosen = ranges.choose(await ranges.networks_in_use())
        plane = DataPlane(installation="t1", identifier=identifier, ranges=chosen, run=folder / "fabric")
        made.append(plane)
        return plane

    yield make
    for plane in made:
        await plane.stop()


async def end_dnsmasq(plane: DataPlane) -> None:
    found = [item["detail"].removeprefix("pid ") for item in await plane.inventory() if item["name"] == "dnsmasq"]
    os.kill(int(found[0]), signal.SIGKILL)
    world.eventually(lambda: not Path(f"/proc/{found[0]}/cmdline").exists() or is_zombie(found[0]))


def is_zombie(pid: str) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def test_what_nobody_uses_any_more_is_taken_away(internet: world.Node, make_plane: MakePlane) -> None:
    lost = await make_plane("0000a1", "/run/one")
    await lost.start()
    await lost.set_link("guest-2", world.a_link(2))
    await end_dnsmasq(lost)
    fresh = await make_plane("0000b2", "/run/one")
    await fresh.start()
    links = world.sh("ip", "-brief", "link", "show")
    assert "vsh-0000a1" not in links
    assert "vsh-0000b2" in links
    assert world.a_link(2).device not in world.sh("ip", "-n", "vs-t1", "-brief", "link", "show")
    assert await fresh.synchronise(DataPlaneState({LinkKey("guest-3"): world.a_link(3)}, {})) > 0
    await fresh.stop()
    assert await fresh.inventory() == []
    assert Path("/proc/sys/net/ipv4/conf", world.UPLINK, "forwarding").read_text() == "0\n"


async def test_processes_of_a_lost_state_folder_are_named_and_ended_by_a_stop(make_plane: MakePlane) -> None:
    lost = await make_plane("0000a1", "/run/one")
    await lost.start()
    fresh = await make_plane("0000b2", "/run/one")
    with pytest.raises(NamespaceTaken, match=r"vs-t1 hangs on link vsh-0000a1.*dnsmasq.*end them: vs down$"):
        await fresh.start()
    await fresh.stop()
    assert await fresh.inventory() == []
    assert "vsh-0000a1" not in world.sh("ip", "-brief", "link", "show")
    await fresh.start()


async def test_an_installation_of_the_same_name_in_another_folder_is_left_alone(make_plane: MakePlane) -> None:
    first = await make_plane("0000a1", "/run/one")
    await first.start()
    state = DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {})
    await first.synchronise(state)
    second = await make_plane("0000b2", "/run/two")
    with pytest.raises(NamespaceTaken, match=r"in another state folder.*choose another name: VS_INSTANCE=NAME vs up$"):
        await second.start()
    await second.stop()
    assert await first.synchronise(state) == 0


async def test_a_machine_that_holds_a_tap_is_a_user_too(make_plane: MakePlane) -> None:
    lost = await make_plane("0000a1", "/run/one")
    await lost.start()
    await lost.set_link("guest-2", world.a_link(2))
    await end_dnsmasq(lost)
    tap = lost.open_tap(world.a_link(2).device)
    fresh = await make_plane("0000b2", "/run/one")
    try:
        with pytest.raises(NamespaceTaken, match=f"PID {os.getpid()} "):
            await fresh.start()
    finally:
        os.close(tap)
    await fresh.start()
