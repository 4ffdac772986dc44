"""What a guest's neighbours keep of their bytes and connections a second while the guest floods its network card.

All stand in namespaces on veth links, in the places of taps. The attacker is one process that sends as fast as it can.
It is measured against the same process that sends the same frames to nobody, since a guest may use its own processor
as it likes: what is left is what the data plane does with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import statistics
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import rates
from bench.figures import Figure
from harness import fabric_world as world
from harness.fabric_village import EVERYBODY, ethernet, in_fragments, ipv4, udp
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import PublishedPort, ServiceRules
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 230
"""About how long `measure` takes."""

_ROUNDS: Final = 5
_EACH_SECONDS: Final = 0.5
_GOAL: Final = 1.5
"""What it may cost to share a processor with somebody who keeps the kernel busy."""
_ROUTER: Final = "vs-b0"
_INSIDE: Final = ("nsenter", f"--net=/run/netns/{_ROUTER}")
_SAME_VPC, _OTHER_VPC, _CLUSTER = "on the same VPC", "on another VPC", "on the cluster network"
_FRAMES: Final = 4096
"""So many frames are sent in turn: each from another MAC, of another flow or of another datagram."""
_NOBODY: Final = "nobody0"
_ATTACKER: Final = r"""
import contextlib, socket, sys
content, size = open(sys.argv[1], "rb").read(), int(sys.argv[2])
frames = [content[place : place + size] for place in range(0, len(content), size)]
sending = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sending.bind((sys.argv[3], 0))
print("sending", flush=True)
while True:
    for frame in frames:
        with contextlib.suppress(OSError):
            sending.send(frame)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Neighbour:
    """Whose rates are measured.

    Attributes:
        place: In the figures' words.
        caller: Who calls.
        address: Whom.
    """

    place: str
    caller: world.Node
    address: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Attack:
    """What an attacker sends without end.

    Attributes:
        name: In the figures' words.
        attacker: Who sends it.
        frames: All of one length.
        places: Of the neighbours that it may reach.
    """

    name: str
    attacker: world.Node
    frames: tuple[bytes, ...]
    places: tuple[str, ...]


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figures."""
    del programs  # there is no control plane in it
    with world.a_machine():
        client = world.internet()
        client.run("ip", "route", "add", "default", "via", world.HOST_ADDRESS)
        return asyncio.run(_measure(client, say, command))


async def _measure(client: world.Node, say: Callable[[str], None], command: str) -> list[Figure]:
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="b0", identifier="0000b0", ranges=chosen, run=Path("/run/b0"))
    try:
        await plane.start()
        with contextlib.ExitStack() as stack:
            members = {
                (vpc, number): await _member(plane, vpc, number) for vpc, number in itertools.product("ab", (1, 2, 3))
            }
            address = str(next(iter(chosen.public.values()))[0][7])
            liar, _ = [await _on_cluster(plane, stack, number, address) for number in (2, 3)]
            for vpc in "ab":
                stack.enter_context(rates.swallowing(members[vpc, 2]))
            neighbours = [
                _Neighbour(_SAME_VPC, members["a", 3], "192.168.7.2"),
                _Neighbour(_OTHER_VPC, members["b", 3], "192.168.7.2"),
                _Neighbour(_CLUSTER, client, address),
            ]
            attacks = [*_on_vpc(members["a", 1]), *_on_cluster_network(liar)]
            return _compare(attacks, neighbours, say, command)
    finally:
        await plane.stop()


def _compare(
    attacks: Iterable[_Attack], neighbours: Iterable[_Neighbour], say: Callable[[str], None], command: str
) -> list[Figure]:
    """Measure attack by attack, each in turn with sending to nobody; return how many times less neighbours have.

    Of an attack's neighbours and their rates it is the one that suffers most.
    """
    found: list[Figure] = []
    for attack in attacks:
        near = [one for one in neighbours if one.place in attack.places]
        slower: dict[tuple[str, str], list[float]] = {}
        sent: list[float] = []
        for _ in range(_ROUNDS):
            with _sending(attack, _NOBODY):
                calm = {one.place: _rates_of(one) for one in near}
            with _sending(attack, "eth0") as counted:
                under = {one.place: _rates_of(one) for one in near}
            sent.append(counted[0])
            for place, what in itertools.product(calm, ("bytes", "connections")):
                slower.setdefault((place, what), []).append(calm[place][what] / under[place][what])
        said = "; ".join(
            f"{place}: {what} {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
            for (place, what), times in slower.items()
        )
        say(f"{attack.name}, {statistics.median(sent):,.0f} frames/s; calm / under attack: {said}")
        worst = max(statistics.median(times) for times in slower.values())
        found.append(Figure(f"neighbours' rates, calm / under {attack.name}", worst, "x", _GOAL, command))
    return found


def _rates_of(neighbour: _Neighbour) -> Mapping[str, float]:
    caller, address = neighbour.caller, neighbour.address
    return {
        "bytes": rates.bytes_a_second(caller, address, seconds=_EACH_SECONDS),
        "connections": rates.connections_a_second(caller, address, seconds=_EACH_SECONDS),
    }


@contextlib.contextmanager
def _sending(attack: _Attack, device: str) -> Generator[list[float]]:
    """Have an attacker send by a device meanwhile; then the list has how many frames a second it sent."""
    file = Path("/run/frames")
    file.write_bytes(b"".join(attack.frames))
    (size,) = {len(frame) for frame in attack.frames}
    before, counted = _sent(attack.attacker, device), list[float]()
    began = asyncio.get_running_loop().time()
    process = attack.attacker.start(sys.executable, "-c", _ATTACKER, str(file), str(size), device)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "sending\n"
        yield counted
    finally:
        process.kill()
        process.wait()
        seconds = asyncio.get_running_loop().time() - began
        counted.append((_sent(attack.attacker, device) - before) / seconds)


def _sent(node: world.Node, device: str) -> int:
    (told,) = json.loads(node.run("ip", "-j", "-s", "link", "show", device))
    return int(told["stats64"]["tx"]["packets"])


async def _member(plane: DataPlane, vpc: str, number: int) -> world.Node:
    """Return a guest on a VPC, with an address there."""
    link = world.a_vpc_link(number, vpc)
    await plane.set_link(f"guest-{number}", link, nic=f"vpc-{vpc}")
    node = world.Node(f"{vpc}{number}")
    rates.in_place_of_tap(_ROUTER, node, link.device, link.mac)
    world.sh(*_INSIDE, "ip", "link", "set", link.device, "master", link.bridge)
    world.sh(*_INSIDE, "bridge", "link", "set", "dev", link.device, "locked", "on", "learning", "off")
    world.sh(*_INSIDE, "bridge", "fdb", "replace", link.mac, "dev", link.device, "master", "static")
    node.run("ip", "address", "add", f"192.168.7.{number}/24", "dev", "eth0")
    _add_nobody(node)
    return node


async def _on_cluster(plane: DataPlane, stack: contextlib.ExitStack, number: int, address: str) -> world.Node:
    """Return a guest on the cluster network, with its port published at an address where it is the third."""
    link = world.a_link(number)
    await plane.set_link(f"guest-{number}", link)
    if number == 3:
        port = PublishedPort(ip_address(address), rates.PORT, "TCP", link.addresses[0], rates.PORT)
        await plane.set_service("published", ServiceRules(frozenset({port}), frozenset({port.address})))
    guest = rates.guest(_ROUTER, f"guest-{number}", link.device, str(link.addresses[0]), mac=link.mac)
    node = stack.enter_context(guest)
    _add_nobody(node)
    return node


def _add_nobody(node: world.Node) -> None:
    """Give a guest a link at whose other end nobody is."""
    node.run("ip", "link", "add", _NOBODY, "type", "veth", "peer", "name", "nobody1")
    for name in (_NOBODY, "nobody1"):
        node.run("ip", "link", "set", name, "up")


def _on_vpc(attacker: world.Node) -> Iterator[_Attack]:
    own, victim = world.a_vpc_link(1).mac, world.a_vpc_link(2).mac
    places = (_SAME_VPC, _OTHER_VPC, _CLUSTER)
    packet = ipv4(udp(), source="192.168.7.1", target="192.168.7.255")
    for name, frames in {
        "broadcasts on a VPC": [ethernet(packet, source=own, target=EVERYBODY)],
        "multicasts on a VPC": [ethernet(packet, source=own, target="01:00:5e:01:02:03")],
        "foreign MACs on a VPC": [ethernet(packet, source=mac, target=EVERYBODY) for mac in _macs()],
        "own fragments on a VPC": [
            ethernet(part, source=own, target=victim) for part in _fragments("192.168.7.1", "192.168.7.2")
        ],
    }.items():
        yield _Attack(name, attacker, tuple(frames), places)


def _on_cluster_network(attacker: world.Node) -> Iterator[_Attack]:
    link = world.a_link(2)
    own, source = link.mac, str(link.addresses[0])
    gateway = world.sh(*_INSIDE, "ip", "-o", "link", "show", link.device).split("link/ether ")[1].split()[0]
    packet = ipv4(udp(), source=source, target="255.255.255.255")
    flows = (ipv4(udp(source=1024 + n), source=source, target=world.CLIENT_ADDRESS) for n in range(_FRAMES))
    for name, frames in {
        "broadcasts": [ethernet(packet, source=own, target=EVERYBODY)],
        "multicasts": [ethernet(packet, source=own, target="01:00:5e:01:02:03")],
        "foreign MACs": [ethernet(packet, source=mac, target=gateway) for mac in _macs()],
        "own fragments": [
            ethernet(part, source=own, target=gateway) for part in _fragments(source, world.CLIENT_ADDRESS)
        ],
        "new flows": [ethernet(one, source=own, target=gateway) for one in flows],
    }.items():
        yield _Attack(f"{name} on the cluster network", attacker, tuple(frames), (_OTHER_VPC, _CLUSTER))


def _macs() -> Iterator[str]:
    return (f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(_FRAMES))


def _fragments(source: str, target: str) -> Iterator[bytes]:
    """Yield the first fragments of as many datagrams, none of which is ever whole."""
    return (in_fragments(udp(bytes(100)), 64, source=source, target=target)[0] for _ in range(_FRAMES))
