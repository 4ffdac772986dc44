"""Bytes and connections a second through published ports and floating addresses, against one hand-written rule.

Client, host, the data plane's namespace and guest stand in namespaces on veth links. The same links exist three times:
with a data plane of 10 published ports, with one of 10,000 that 1,000 floating addresses stand beside, and with a
namespace that one hand-written rule for what enters, and one for what leaves, make translate. The host and its tables
are the same for all. All ways are measured in turn, round after round, so that what else the machine does meets all of
them alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import statistics
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import rates
from bench.figures import Figure
from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import FloatingAddress, PublishedPort, Ranges, ServiceRules
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 200
"""About how long `measure` takes."""

_ROUNDS: Final = 12
_MANY, _FEW, _FLOATING = 10_000, 10, 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class _Way:
    """One way from the client to a guest.

    Attributes:
        name: In the figures' words.
        address: That the client calls.
    """

    name: str
    address: str


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figures."""
    del programs  # there is no control plane in it
    with world.a_machine():
        client = world.internet()
        client.run("ip", "route", "add", "default", "via", world.HOST_ADDRESS)
        return asyncio.run(_measure(client, say, command))


async def _measure(client: world.Node, say: Callable[[str], None], command: str) -> list[Figure]:
    with contextlib.ExitStack() as stack:
        ways = [stack.enter_context(_by_hand())]
        planes: list[DataPlane] = []
        try:
            for index, present in enumerate((_FEW, _MANY)):
                chosen = ranges.choose(await ranges.networks_in_use())
                plane = DataPlane(
                    installation=f"b{index}", identifier=f"0000b{index}", ranges=chosen, run=Path(f"/run/b{index}")
                )
                planes.append(plane)
                ways.append(await _published(plane, chosen, stack, index, present))
            ways.append(await _floating(planes[-1]))
            await _reachable(client, ways)
            bytes_, connections = _compare(client, ways, say)
        finally:
            for plane in planes:
                await plane.stop()
    hand, few, many, floating = (way.name for way in ways)
    return [
        Figure(f"{what}, {one} / {other}", _times(measured, one, other), "x", 1 / 0.95, command)
        for what, measured in (("bytes/s", bytes_), ("connections/s", connections))
        for one, other in ((hand, many), (hand, floating), (few, many))
    ]


def _times(measured: dict[str, list[float]], one: str, other: str) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(measured[one], measured[other], strict=True))


def _compare(
    client: world.Node, ways: list[_Way], say: Callable[[str], None]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Measure all ways in turn, in another order each round; the first round warms up and does not count."""
    bytes_: dict[str, list[float]] = {way.name: [] for way in ways}
    connections: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(_ROUNDS + 1):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            sent = rates.bytes_a_second(client, way.address)
            opened = rates.connections_a_second(client, way.address)
            if number:
                bytes_[way.name].append(sent)
                connections[way.name].append(opened)
    for way in ways:
        sent, opened = bytes_[way.name], connections[way.name]
        say(
            f"{way.name}: {statistics.median(sent) * 8 / 1e9:.2f} Gbit/s ({min(sent) * 8 / 1e9:.2f} to "
            f"{max(sent) * 8 / 1e9:.2f}), {statistics.median(opened):.0f} connections/s ({min(opened):.0f} to "
            f"{max(opened):.0f}), {_ROUNDS} rounds"
        )
    return bytes_, connections


async def _reachable(client: world.Node, ways: list[_Way]) -> None:
    for way in ways:
        for _ in range(50):
            with contextlib.suppress(OSError):
                client.connect(way.address, rates.PORT, seconds=0.5).close()
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"{way.name}: {way.address} does not answer")


@contextlib.contextmanager
def _by_hand() -> Generator[_Way]:
    """Translate with one rule each way, in a namespace that hangs on the host as a data plane's does."""
    router = world.Node("by-hand")
    world.sh("ip", "link", "add", "hand", "type", "veth", "peer", "name", "up0", "netns", router.name)
    world.sh("ip", "address", "add", "10.99.0.1/30", "dev", "hand")
    world.sh("ip", "link", "set", "hand", "up")
    router.run("ip", "address", "add", "10.99.0.2/30", "dev", "up0")
    router.run("ip", "link", "set", "up0", "up")
    router.run("ip", "route", "add", "default", "via", "10.99.0.1")
    world.sh("ip", "route", "add", "192.0.2.7", "via", "10.99.0.2")
    router.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    world.sh("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    router.run(
        "nft",
        f"""table ip nat {{
          chain pre {{
            type nat hook prerouting priority dstnat
            ip daddr 192.0.2.7 tcp dport {rates.PORT} dnat to 10.42.0.2
          }}
          chain post {{
            type nat hook postrouting priority srcnat
            oifname "up0" masquerade
          }}
        }}""",
    )
    with rates.guest(router.name, "hand-guest", "tap-2", "10.42.0.2"):
        yield _Way("one hand-written rule", "192.0.2.7")


async def _published(
    plane: DataPlane, plane_ranges: Ranges, stack: contextlib.ExitStack, index: int, present: int
) -> _Way:
    """Start a data plane with so many published ports, one of which the client is to call."""
    await plane.start()
    link = world.a_link(2, device=f"tap-{index}")
    await plane.set_link("guest", link)
    guest = link.addresses[0]
    address = next(iter(plane_ranges.public.values()))[0][7]
    ports = frozenset(
        PublishedPort(address, port, "TCP", guest, rates.PORT) for port in range(rates.PORT, rates.PORT + present)
    )
    await plane.set_service("others", ServiceRules(ports, frozenset({address})))
    name = f"vs-b{index}"
    stack.enter_context(rates.guest(name, f"guest-{index}", link.device, str(guest), mac=link.mac))
    return _Way(f"{present:,} published ports", str(address))


async def _floating(plane: DataPlane) -> _Way:
    """Let so many addresses float to the guest of a data plane, one of which the client is to call."""
    address, guest = next(iter(plane.ranges.public.values()))[0][9], world.a_link(2).addresses[0]
    others = (ip_address("172.31.0.0") + number for number in range(1, _FLOATING))
    floating = frozenset(FloatingAddress(one, guest) for one in (address, *others))
    await plane.set_service("floating", ServiceRules(announced=frozenset({address}), floating=floating))
    return _Way(f"{_FLOATING:,} floating addresses", str(address))
