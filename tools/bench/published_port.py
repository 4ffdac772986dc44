"""What one published port's change costs in the data plane, with 10,000 ports there and with 10.

Two data planes stand side by side on a machine of namespaces; the same change is made to one and to the other in turn.
"""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, ratio
from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import PublishedPort, ServiceRules
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 20
"""About how long `measure` takes."""

_ROUNDS = 100
_GUEST = ip_address("10.42.0.2")
_MANY, _FEW = 10_000, 10


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figure."""
    del programs  # there is no control plane in it
    with world.a_machine():
        world.internet()
        value = asyncio.run(_measure(say))
    return [Figure(f"one port's change, {_MANY:,} present / {_FEW}", value, "x", 1.2, command)]


async def _measure(say: Callable[[str], None]) -> float:
    planes: dict[int, DataPlane] = {}
    times: dict[int, list[float]] = {_MANY: [], _FEW: []}
    try:
        for index, present in enumerate(times):
            chosen = ranges.choose(await ranges.networks_in_use())
            planes[present] = DataPlane(
                installation=f"b{index}", identifier=f"0000b{index}", ranges=chosen, run=Path(f"/run/b{index}")
            )
            await planes[present].start()
            await planes[present].set_service("others", _published("203.0.113.7", range(1, present + 1)))
        for number in range(_ROUNDS + 10):
            rules = _published("203.0.113.8", [22], target_port=22 if number % 2 else 2222)
            for present, plane in planes.items():
                began = time.perf_counter()
                await plane.set_service("one", rules)
                if number >= 10:
                    times[present].append(time.perf_counter() - began)
        say(f"medians: {', '.join(f'{sorted(t)[len(t) // 2] * 1000:.1f} ms with {n}' for n, t in times.items())}")
    finally:
        for plane in planes.values():
            await plane.stop()
    return ratio(times[_MANY], times[_FEW])


def _published(text: str, ports: range | list[int], *, target_port: int = 22) -> ServiceRules:
    address = ip_address(text)
    published = frozenset(PublishedPort(address, port, "TCP", _GUEST, target_port) for port in ports)
    return ServiceRules(published, frozenset({address}))
