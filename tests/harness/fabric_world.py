"""A machine to test on: a network and mount namespace that plays the host, the internet beyond it, and guests.

The thread that runs a test moves into the namespaces and back, so that programs it starts see this machine only: its
links, nftables, settings and /run. The end of the test takes all of it away, whatever the test left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from harness.waiting import eventually
from virtualserver.fabric.dataplane import Contest, DataPlane, Repair
from virtualserver.fabric.desired import state
from virtualserver.fabric.kernel.namespace import Namespace

NEW_NETWORK, NEW_MOUNTS = 0x40000000, 0x00020000
UPLINK = "wan0"
HOST_ADDRESS = "100.64.7.1"
CLIENT_ADDRESS = "100.64.7.2"
LIBC = ctypes.CDLL(None, use_errno=True)
_HEADER = 12
"""Bytes before each frame."""


def sh(*command: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a program and return its output; its complaint is in the failure."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}: {done.stderr or done.stdout}"
    return done.stdout


def is_in_time(seconds: float, *, within: float = 1.1) -> bool:
    """Return whether something took no longer than it may; four times that where other work holds this machine up."""
    return seconds <= (within if os.getloadavg()[0] <= (os.cpu_count() or 1) else 4 * within)


@contextlib.contextmanager
def a_machine() -> Generator[None, None, None]:
    """Be on an empty machine with an uplink to the internet, and return afterwards."""
    before = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")}
    folder = os.getcwd()
    assert LIBC.unshare(NEW_NETWORK | NEW_MOUNTS) == 0, os.strerror(ctypes.get_errno())
    try:
        sh("mount", "--make-rprivate", "/")
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        sh("mount", "-t", "sysfs", "sysfs", "/sys")
        sh("ip", "link", "set", "lo", "up")
        yield
    finally:
        for kind, flag in (("net", NEW_NETWORK), ("mnt", NEW_MOUNTS)):
            _go_back(kind, before[kind], flag)
        os.chdir(folder)  # Whoever enters a mount namespace stands in its root folder.


def _go_back(kind: str, descriptor: int, flag: int) -> None:
    # A thread that is still ending shares this one's root folder for a moment, and then there is no way back.
    eventually(lambda: LIBC.setns(descriptor, flag) == 0, what=f"the way back to the {kind} namespace")
    os.close(descriptor)


class Node:
    """A machine on the network, played by a namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace = Namespace(name)
        sh("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, check: bool = True) -> str:
        """Run a program there."""
        return sh("nsenter", f"--net=/run/netns/{self.name}", *command, check=check)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program there."""
        return subprocess.Popen(
            ("nsenter", f"--net=/run/netns/{self.name}", *command), stdout=subprocess.PIPE, text=True
        )

    def socket(self, kind: socket.SocketKind, family: int = socket.AF_INET, protocol: int = 0) -> socket.socket:
        """Return a socket of that machine."""
        opened = self.namespace.call(lambda: socket.socket(family, kind, protocol))
        opened.settimeout(10)
        return opened

    def tcp(self, address: str, port: int, *, seconds: float = 10) -> str:
        """Connect, and return what the other end says: the address that it sees."""
        with self.connect(address, port, seconds=seconds) as connection:
            return connection.recv(100).decode()

    def connect(self, address: str, port: int, *, seconds: float = 10) -> socket.socket:
        """Return an open connection."""
        connection = self.socket(socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            connection.connect((address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    def udp(self, address: str, port: int, *, seconds: float = 5, text: bytes = b"?") -> str:
        """Ask over UDP, and return what the other end says."""
        with self.socket(socket.SOCK_DGRAM) as asking:
            asking.settimeout(seconds)
            asking.connect((address, port))
            asking.send(text)
            return asking.recv(1000).decode()

    def pings(self, address: str, *, seconds: int = 3) -> bool:
        """Return whether an address answers ping."""
        return bool(
            self.run("sh", "-c", f"ping -c 1 -w {seconds} -q {address} >/dev/null 2>&1 && echo yes || true").strip()
        )

    def listening(self, port: int) -> socket.socket:
        """Return a socket that accepts TCP connections."""
        listener = self.socket(socket.SOCK_STREAM)
        listener.bind(("0.0.0.0", port))
        listener.listen()
        return listener

    @contextlib.contextmanager
    def serving(self, port: int, *, protocol: str = "tcp", says: str = "") -> Generator[Server, None, None]:
        """Answer on a port with a word, or else with the address that is seen there."""
        server = Server(self, port, protocol, says)
        try:
            yield server
        finally:
            server.close()


class Server:
    """Tells everyone a word, or else the address it sees; TCP then repeats what it hears."""

    def __init__(self, node: Node, port: int, protocol: str, says: str = "") -> None:
        self._says = says
        self._socket = node.socket(socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("0.0.0.0", port))
        self._open: list[socket.socket] = []
        self._ended = False
        if protocol == "tcp":
            self._socket.listen()
        self._thread = threading.Thread(target=self._tcp if protocol == "tcp" else self._udp)
        self._socket.settimeout(0.1)
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        for opened in (self._socket, *self._open):
            opened.close()

    def _udp(self) -> None:
        while not self._ended:
            with contextlib.suppress(OSError):
                _, peer = self._socket.recvfrom(2000)
                self._socket.sendto((self._says or peer[0]).encode(), peer)

    def _tcp(self) -> None:
        while not self._ended:
            readable, _, _ = select.select([self._socket, *self._open], [], [], 0.1)
            for ready in readable:
                with contextlib.suppress(OSError):
                    if ready is self._socket:
                        connection, peer = self._socket.accept()
                        self._open.append(connection)
                        connection.sendall((self._says or peer[0]).encode())
                    elif heard := ready.recv(65536):
                        ready.sendall(heard)
                    else:
                        self._drop(ready)
                    continue
                if ready is not self._socket:
                    self._drop(ready)

    def _drop(self, connection: socket.socket) -> None:
        if connection in self._open:
            self._open.remove(connection)
        connection.close()


def internet() -> Node:
    """Return the internet: a client and server at `CLIENT_ADDRESS`, at the other end of the host's uplink."""
    node = Node("internet")
    sh("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", "eth0", "netns", node.name)
    sh("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", UPLINK)
    sh("ip", "link", "set", UPLINK, "up")
    node.run("ip", "address", "add", f"{CLIENT_ADDRESS}/24", "dev", "eth0")
    node.run("ip", "link", "set", "eth0", "up")
    sh("ip", "route", "add", "default", "via", CLIENT_ADDRESS)
    return node


class Guest(Node):
    """A guest, played by a namespace behind the tap that QEMU would open; frames are carried between the two."""

    def __init__(self, name: str, device: str, descriptor: int, mac: str) -> None:
        super().__init__(name)
        self._device = device
        self.mac = mac
        self._tap = descriptor
        fcntl.ioctl(descriptor, 0x400454D8, struct.pack("=i", _HEADER))  # as QEMU does for its guest
        self._nic = self.namespace.call(_open_nic)
        self.run("ip", "link", "set", "eth0", "address", mac, "mtu", "1500", "up")
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._carry, name=f"wire of {name}")
        self._thread.start()

    def send(self, frame: bytes) -> None:
        """Put a frame of one's own making on the wire."""
        os.write(self._tap, bytes(_HEADER) + frame)

    def configure(self, address: str) -> None:
        """Take an address by hand, as DHCP would give it."""
        self.run("ip", "address", "replace", f"{address}/32", "dev", "eth0")
        self.run("ip", "route", "replace", "169.254.1.1", "dev", "eth0")
        self.run("ip", "route", "replace", "default", "via", "169.254.1.1", "dev", "eth0")

    def dhcp(self, *, tries: int = 5, identifier: str = "") -> dict[str, str] | None:
        """Run a real DHCP client, and return what it was told (as udhcpc names it), None without a lease.

        Args:
            tries: How often it asks, each second.
            identifier: The client identifier in hexadecimal; empty: the client's own.
        """
        told = Path(f"/run/{self.name}.dhcp")
        script = Path(f"/run/{self.name}.sh")
        told.unlink(missing_ok=True)
        script.write_text(f"#!/bin/sh\n[ $1 = bound ] && env > {told}\nexit 0\n")
        script.chmod(0o755)
        options = [word for option in ("121", "249", "search", "mtu", "hostname") for word in ("-O", option)]
        command = ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", str(tries), "-T", "1", *options]
        command += ["-x", f"0x3d:{identifier}"] if identifier else []
        self.run(*command, "-s", str(script), check=False)
        if not told.exists():
            return None
        pairs = (line.split("=", 1) for line in told.read_text().splitlines() if "=" in line)
        answer = {key: value for key, value in pairs}
        self.configure(answer["ip"])
        return answer

    def cut_off(self) -> list[str]:
        """Return its tap where somebody deleted it, as a data plane asks the machines."""
        return [self._device] if "iff:\t\n" in Path(f"/proc/self/fdinfo/{self._tap}").read_text() else []

    def borrow_tap(self, device: str) -> int:
        """Return another descriptor of its open tap."""
        assert device == self._device
        return os.dup(self._tap)

    def close(self) -> None:
        os.write(self._waker, b"x")
        self._thread.join()
        for descriptor in (self._nic, self._tap, self._wake, self._waker):
            os.close(descriptor)

    def _carry(self) -> None:
        while True:
            readable, _, _ = select.select([self._nic, self._tap, self._wake], [], [])
            if self._wake in readable:
                return
            with contextlib.suppress(OSError):
                if self._nic in readable:
                    os.write(self._tap, bytes(_HEADER) + os.read(self._nic, 70000))
                if self._tap in readable:
                    os.write(self._nic, os.read(self._tap, 70000)[_HEADER:])


class Follower:
    """Who follows the repairs, as the node does."""

    def __init__(self, plane: DataPlane) -> None:
        self.told: list[Repair] = []
        self.contested: list[Contest] = []
        self.adjusted: list[str] = []
        self._plane = plane
        self._task = asyncio.ensure_future(self._follow())

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def until_told(self, *, seconds: float = 5) -> float:
        """Wait until something is told, and return how long that took."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while not self.told:
                await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def until_adjusted(self, words: str, *, seconds: float = 5) -> float:
        """Wait until a change of the host is taken over that has some words, and return how long that took."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while not any(words in one for one in self.adjusted):
                await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def _follow(self) -> None:
        async for told in self._plane.repairs():
            if isinstance(told, Repair):
                self.told.append(told)
            elif isinstance(told, Contest):
                self.contested.append(told)
            else:
                self.adjusted.append(told.what)


@contextlib.asynccontextmanager
async def following(plane: DataPlane, *, quiet_seconds: float = 0) -> AsyncGenerator[Follower]:
    """Follow the repairs of a data plane; where it is to be quiet at first, nothing may be told so long."""
    follower = Follower(plane)
    try:
        if quiet_seconds:
            await asyncio.sleep(quiet_seconds)
            assert follower.told == []
        yield follower
    finally:
        await follower.close()


def a_link(number: int, address: str | None = None, **changes: object) -> state.GuestLink:
    """Return guest NUMBER's link; with an address from a pool it is directly attached."""
    fields: dict[str, object] = {
        "device": f"tap-{number}",
        "mac": f"52:54:00:00:00:{number:02x}",
        "addresses": (ip_address(address or f"10.42.0.{number}"),),
        "hostname": f"guest-{number}",
        "resolver": state.Resolver(state.GATEWAYS, ("team.svc.cluster.local", "svc.cluster.local")),
        "user": 64000 + number,
        "translated": address is None,
        **changes,
    }
    return state.GuestLink(**fields)  # type: ignore[arg-type]


def a_vpc_link(number: int, vpc: str = "a", *, mtu: int = 1500) -> state.VpcLink:
    """Return guest NUMBER's link on a VPC."""
    return state.VpcLink(
        device=f"nic-{vpc}{number}",
        mac=f"52:54:00:00:{ord(vpc):02x}:{number:02x}",
        user=64000 + number,
        bridge=f"vpc-{vpc}",
        mtu=mtu,
    )


_FORGET = struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, socket.AF_INET, 0, 0)
"""What `conntrack -F` asks of the kernel: to forget all flows, and to say so."""


def is_reset(connection: socket.socket) -> bool:
    """Return whether a connection is ended when something is sent, or was already."""
    try:
        connection.sendall(b"still?")
        connection.recv(100)
    except ConnectionError:
        return True
    return False


def forget_flows(namespace: str) -> None:
    """Have the kernel forget all flows of a namespace."""
    with Namespace(namespace).call(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)) as asking:
        asking.send(_FORGET)
        assert struct.unpack_from("=i", asking.recv(100), 16) == (0,)


MakeGuest = Callable[..., Awaitable[Guest]]


def _open_nic() -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH14x", b"eth0", 0x0002 | 0x1000))
    return descriptor


def snapshot() -> dict[str, Any]:
    """Return all that somebody could find changed on this machine."""
    settings: dict[str, str] = {}
    for path in Path("/proc/sys/net").rglob("*"):
        if "conf/default" in str(path) or path.is_dir() or "/neigh/" in str(path):
            continue
        with contextlib.suppress(OSError):
            settings[str(path)] = path.read_text()
    settings = {name: value for name, value in settings.items() if "nf_conntrack_count" not in name}
    return {
        "links": sh("ip", "-o", "link"),
        "addresses": sh("ip", "-o", "address"),
        "routes": sh("ip", "-4", "route", "show", "table", "all"),
        "rules": sh("nft", "list", "ruleset"),
        # Other tests' file systems come and go beside us.
        "mounts": [
            line for line in Path("/proc/self/mounts").read_text().splitlines() if "virtualserver-tests" not in line
        ],
        "run": sorted(str(path) for path in Path("/run").rglob("*")),
        "settings": settings,
        "namespaces": sh("ip", "netns", "list"),
    }
