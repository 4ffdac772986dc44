"""Bytes and connections a second between namespaces, one of which may stand where a guest's tap would be.

A tap would need somebody who carries its frames, and that would be measured instead of the data plane: a veth link
takes its place.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Final

from harness import fabric_world as world

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["PORT", "bytes_a_second", "connections_a_second", "guest", "in_place_of_tap", "swallowing"]

PORT: Final = 22
"""On which whoever is called swallows what it is sent."""
_EACH_SECONDS: Final = 1.0
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


def bytes_a_second(caller: world.Node, address: str, *, seconds: float = _EACH_SECONDS) -> float:
    """Return how many bytes a second one connection carries."""
    block = memoryview(bytes(1 << 20))
    sent, began = 0, time.perf_counter()
    with caller.connect(address, PORT) as connection:
        while time.perf_counter() - began < seconds:
            sent += connection.send(block)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # the other end closes once it has read all
    return sent / (time.perf_counter() - began)


def connections_a_second(caller: world.Node, address: str, *, seconds: float = _EACH_SECONDS) -> float:
    """Return how many connections a second can be opened and ended, one after the other."""
    began = time.perf_counter()

    def inside() -> int:
        count = 0
        while time.perf_counter() - began < seconds:
            with socket.socket() as connection:
                # Ended by a reset, so that no port of the caller's waits for a minute.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.connect((address, PORT))
            count += 1
        return count

    opened = caller.namespace.call(inside)
    return opened / (time.perf_counter() - began)


def in_place_of_tap(router: str, node: world.Node, device: str, mac: str) -> None:
    """Make a node a guest by a veth link that takes the place of the tap of this name.

    Args:
        router: The data plane's namespace.
        node: The guest.
        device: The tap.
        mac: The guest's MAC.
    """
    inside = ("nsenter", f"--net=/run/netns/{router}")
    world.sh(*inside, "ip", "link", "delete", device, check=False)
    world.sh(*inside, "ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", node.name)
    world.sh(*inside, "ip", "link", "set", device, "up")
    node.run("ip", "link", "set", "eth0", "address", mac, "up")


@contextlib.contextmanager
def swallowing(node: world.Node) -> Generator[None]:
    """Have a node swallow what it is sent on `PORT`."""
    sink = node.start(sys.executable, "-c", _SINK, str(PORT))
    try:
        assert sink.stdout is not None
        assert sink.stdout.readline() == "listening\n"
        yield
    finally:
        sink.kill()
        sink.wait()


@contextlib.contextmanager
def guest(
    router: str, name: str, device: str, address: str, *, mac: str = "52:54:00:00:00:02"
) -> Generator[world.Node]:
    """Put a guest on the cluster network, with its address, that swallows what it is sent."""
    node = world.Node(name)
    in_place_of_tap(router, node, device, mac)
    inside = ("nsenter", f"--net=/run/netns/{router}")
    world.sh(*inside, "ip", "route", "replace", address, "dev", device)
    world.sh(*inside, "ip", "neighbour", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")
    own = world.sh(*inside, "ip", "-o", "link", "show", device).split("link/ether ")[1].split()[0]
    node.run("ip", "address", "add", f"{address}/32", "dev", "eth0")
    node.run("ip", "route", "add", "169.254.1.1", "dev", "eth0")
    node.run("ip", "neighbour", "replace", "169.254.1.1", "lladdr", own, "dev", "eth0", "nud", "permanent")
    node.run("ip", "route", "add", "default", "via", "169.254.1.1", "dev", "eth0", "onlink")
    with swallowing(node):
        yield node
