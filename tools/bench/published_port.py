"""What one published port's or floating address's change and a guest's link cost, and a whole read of 10,000 ports.

Two data planes stand side by side on a machine of namespaces, one with 10 ports and one with 10,000; the same change is
made to one and to the other in turn, and then by libnftables alone to the map of the second.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, ratio
from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, FloatingAddress, LinkKey, PublishedPort, ServiceRules
from virtualserver.fabric.kernel.namespace import Namespace
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address, IPv6Address

    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 20
"""About how long `measure` takes."""

_ROUNDS = 100
_LINKS = 20
_READS = 5
_GUEST = ip_address("10.42.0.2")
_MANY, _FEW = 10_000, 10


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figures."""
    del programs  # there is no control plane in it
    with world.a_machine():
        world.internet()
        return asyncio.run(_measure(say, command))


async def _measure(say: Callable[[str], None], command: str) -> list[Figure]:
    planes: dict[int, DataPlane] = {}
    try:
        for index, present in enumerate((_FEW, _MANY)):
            chosen = ranges.choose(await ranges.networks_in_use())
            planes[present] = DataPlane(
                installation=f"b{index}", identifier=f"0000b{index}", ranges=chosen, run=Path(f"/run/b{index}")
            )
            await planes[present].start()
            await planes[present].set_service("others", _published("203.0.113.7", range(1, present + 1)))
            await planes[present].set_service("floating", _floating(present))
        ports = await _times(planes, "one", *(_published("203.0.113.8", [22], target_port=port) for port in (2222, 22)))
        moves = await _times(planes, "moving", *(_moving(guest) for guest in (_GUEST, _GUEST + 1)))
        for plane in planes.values():
            await plane.remove_service("floating")
        alone = _alone()
        links = await _links(planes[_MANY])
        reads = await _reads(planes[_MANY])
    finally:
        for plane in planes.values():
            await plane.stop()
    medians = {present: statistics.median(times) * 1000 for present, times in ports.items()}
    say(f"libnftables alone, the same change with {_MANY:,} present: {alone * 1000:.2f} ms")
    return [
        *(Figure(f"one port's change, {n:,} present", medians[n], "ms", 2, command) for n in (_FEW, _MANY)),
        Figure(f"one port's change, {_MANY:,} present / {_FEW}", ratio(ports[_MANY], ports[_FEW]), "x", 1.2, command),
        *(
            Figure(f"one floating address's move, {n:,} present", statistics.median(moves[n]) * 1000, "ms", 2, command)
            for n in (_FEW, _MANY)
        ),
        Figure(
            f"one floating address's move, {_MANY:,} present / {_FEW}",
            ratio(moves[_MANY], moves[_FEW]),
            "x",
            1.2,
            command,
        ),
        Figure("a guest's link made", statistics.median(links) * 1000, "ms", 15, command),
        Figure(f"a resync that finds {_MANY:,} ports as they should be", statistics.median(reads), "s", 0.5, command),
    ]


async def _times(planes: dict[int, DataPlane], name: str, *turns: ServiceRules) -> dict[int, list[float]]:
    """Return how long it took to give one Service sets of rules in turn, by how much else was present."""
    times: dict[int, list[float]] = {present: [] for present in planes}
    for number in range(_ROUNDS + 10):
        for present, plane in planes.items():
            began = time.perf_counter()
            await plane.set_service(name, turns[number % len(turns)])
            if number >= 10:
                times[present].append(time.perf_counter() - began)
    return times


def _moving(guest: IPv4Address | IPv6Address) -> ServiceRules:
    return ServiceRules(floating=frozenset({FloatingAddress(ip_address("203.0.113.9"), guest, is_source=True)}))


def _floating(count: int) -> ServiceRules:
    """Return so many floating addresses, each of a guest of its own."""
    first, guest = ip_address("100.100.0.0"), ip_address("10.42.8.0")
    some = (FloatingAddress(first + number, guest + number, is_source=True) for number in range(count))
    return ServiceRules(floating=frozenset(some))


def _alone() -> float:
    """Return the median time of the same change by libnftables alone, in a thread that is inside already."""
    namespace = Namespace("vs-b1")

    def inside() -> list[float]:
        times: list[float] = []
        for number in range(_ROUNDS):
            port, other = (22, 2222) if number % 2 else (2222, 22)
            begin, key = "element inet virtualserver published", "203.0.113.8 . tcp . 22 : 10.42.0.2 . "
            began = time.perf_counter()
            namespace.netfilter().load([f"delete {begin} {{ {key}{port} }}", f"add {begin} {{ {key}{other} }}"])
            times.append(time.perf_counter() - began)
        return times

    return statistics.median(namespace.call(inside))


async def _links(plane: DataPlane) -> list[float]:
    times: list[float] = []
    for number in range(2, 2 + _LINKS):
        began = time.perf_counter()
        await plane.set_link(f"guest-{number}", world.a_link(number))
        times.append(time.perf_counter() - began)
    return times


async def _reads(plane: DataPlane) -> list[float]:
    links = {LinkKey(f"guest-{number}"): world.a_link(number) for number in range(2, 2 + _LINKS)}
    services = {"others": _published("203.0.113.7", range(1, _MANY + 1)), "one": _published("203.0.113.8", [22])}
    await plane.synchronise(DataPlaneState(links, services))
    times: list[float] = []
    for _ in range(_READS):
        began = time.perf_counter()
        written = await plane.synchronise(DataPlaneState(links, services))
        times.append(time.perf_counter() - began)
        assert written == 0, f"{written} changes where nothing had changed"
    return times


def _published(text: str, ports: range | list[int], *, target_port: int = 22) -> ServiceRules:
    address = ip_address(text)
    published = frozenset(PublishedPort(address, port, "TCP", _GUEST, target_port) for port in ports)
    return ServiceRules(published, frozenset({address}))
