"""Bytes and connections a second through the data plane's published ports, against one hand-written rule.

Client, host, the data plane's namespace and guest stand in namespaces on veth links. The same links exist three times:
with a data plane of 10 published ports, with one of 10,000, and with a namespace that one hand-written rule makes
forward and translate. All three are measured in turn, round after round, so that what else the machine does meets all
of them alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import statistics
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Figure
from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import PublishedPort, Ranges, ServiceRules
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 150
"""About how long `measure` takes."""

_ROUNDS: Final = 12
_EACH_SECONDS: Final = 1.0
_PORT: Final = 22
_MANY, _FEW = 10_000, 10
_SINK: Final = r"""
import contextlib, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen(4096)
print("listening", flush=True)
buffer = bytearray(1 << 20)
while True:
    connection, _ = listener.accept()
    with connection, contextlib.suppress(ConnectionError):
        while connection.recv_into(buffer):
            pass
"""


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
            await _reachable(client, ways)
            bytes_, connections = _compare(client, ways, say)
        finally:
            for plane in planes:
                await plane.stop()
    hand, few, many = (way.name for way in ways)
    return [
        Figure(f"{what}, {one} / {many}", _times(measured, one, many), "x", 1 / 0.95, command)
        for what, measured in (("bytes/s", bytes_), ("connections/s", connections))
        for one in (hand, few)
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
            sent, opened = _bytes(client, way.address), _connections(client, way.address)
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


def _bytes(client: world.Node, address: str) -> float:
    """Return how many bytes a second one connection carries."""
    block = memoryview(bytes(1 << 20))
    sent, began = 0, time.perf_counter()
    with client.connect(address, _PORT) as connection:
        while time.perf_counter() - began < _EACH_SECONDS:
            sent += connection.send(block)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # the other end closes once it has read all
    return sent / (time.perf_counter() - began)


def _connections(client: world.Node, address: str) -> float:
    """Return how many connections a second can be opened and ended, one after the other."""
    opened, began = 0, time.perf_counter()

    def inside() -> int:
        count = 0
        while time.perf_counter() - began < _EACH_SECONDS:
            with socket.socket() as connection:
                # Ended by a reset, so that no port of the client's waits for a minute.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.connect((address, _PORT))
            count += 1
        return count

    opened = client.namespace.call(inside)
    return opened / (time.perf_counter() - began)


async def _reachable(client: world.Node, ways: list[_Way]) -> None:
    for way in ways:
        for _ in range(50):
            with contextlib.suppress(OSError):
                client.connect(way.address, _PORT, seconds=0.5).close()
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"{way.name}: {way.address} does not answer")


@contextlib.contextmanager
def _by_hand() -> Generator[_Way]:
    """Forward and translate with one rule, in a namespace that hangs on the host as a data plane's does."""
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
    rule = f"ip daddr 192.0.2.7 tcp dport {_PORT} dnat to 10.42.0.2"
    chain = "add table ip nat; add chain ip nat pre { type nat hook prerouting priority -100; }"
    router.run("nft", f"{chain}; add rule ip nat pre {rule}")
    with _guest(router.name, "hand-guest", "tap-2", "10.42.0.2"):
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
    ports = frozenset(PublishedPort(address, port, "TCP", guest, _PORT) for port in range(_PORT, _PORT + present))
    await plane.set_service("others", ServiceRules(ports, frozenset({address})))
    name = f"vs-b{index}"
    stack.enter_context(_guest(name, f"guest-{index}", link.device, str(guest), mac=link.mac))
    return _Way(f"{present:,} published ports", str(address))


@contextlib.contextmanager
def _guest(router: str, name: str, device: str, address: str, *, mac: str = "52:54:00:00:00:02") -> Generator[None]:
    """Put a guest that swallows what it is sent behind a veth link, which takes the place of the tap of this name.

    A tap would need somebody who carries its frames, and that would be measured instead of the rules.
    """
    guest = world.Node(name)
    inside = ("nsenter", f"--net=/run/netns/{router}")
    world.sh(*inside, "ip", "link", "delete", device, check=False)
    world.sh(*inside, "ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", guest.name)
    world.sh(*inside, "ip", "link", "set", device, "up")
    world.sh(*inside, "ip", "route", "replace", address, "dev", device)
    world.sh(*inside, "ip", "neighbour", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")
    own = world.sh(*inside, "ip", "-o", "link", "show", device).split("link/ether ")[1].split()[0]
    guest.run("ip", "link", "set", "eth0", "address", mac)
    guest.run("ip", "address", "add", f"{address}/32", "dev", "eth0")
    guest.run("ip", "link", "set", "eth0", "up")
    guest.run("ip", "route", "add", "169.254.1.1", "dev", "eth0")
    guest.run("ip", "neighbour", "replace", "169.254.1.1", "lladdr", own, "dev", "eth0", "nud", "permanent")
    guest.run("ip", "route", "add", "default", "via", "169.254.1.1", "dev", "eth0", "onlink")
    sink = guest.start(sys.executable, "-c", _SINK, str(_PORT))
    try:
        assert sink.stdout is not None
        assert sink.stdout.readline() == "listening\n"
        yield
    finally:
        sink.kill()
        sink.wait()
