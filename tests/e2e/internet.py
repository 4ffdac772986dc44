"""A client in its own network namespace that stands for the internet, on the other side of the host.

It is joined to the host by a veth pair with addresses of its own and a default route to the host; the host keeps
nothing of it but the link, which goes when the namespace goes.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtualserver.fabric.kernel.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Internet", "internet"]


_PROBE = r"""
import json, socket, sys
kind, address, port, seconds, payload = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(seconds)
try:
    s.connect((address, port))
    if payload:
        s.send(payload.encode())
    if kind == "udp" or payload:
        answer = s.recv(65536).decode(errors="replace")
    else:
        try:
            answer = s.recv(65536).decode(errors="replace")
        except TimeoutError:
            answer = ""
    print(json.dumps({"result": "open", "answer": answer, "own": s.getsockname()[0]}))
except ConnectionRefusedError:
    print(json.dumps({"result": "refused"}))
except (TimeoutError, OSError) as error:
    print(json.dumps({"result": "filtered", "error": str(error)}))
"""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


_LISTEN = r"""
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((address, port))
if kind == "tcp":
    s.listen()
print("listening", flush=True)
while True:
    if kind == "tcp":
        connection, peer = s.accept()
        connection.sendall(f"you are {peer[0]}\n".encode())
        connection.close()
    else:
        _, peer = s.recvfrom(65536)
        s.sendto(f"you are {peer[0]}\n".encode(), peer)
    print(peer[0], flush=True)
"""


class Listener:
    """What came to a port on which the client listens."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over the output of the listening process."""
        self._process = process

    def peers(self) -> list[str]:
        """Return the addresses of the peers that came so far, in order; waits at most a second for the first."""
        assert self._process.stdout is not None
        found: list[str] = []
        while select.select([self._process.stdout], [], [], 0.2 if found else 1)[0]:
            line = self._process.stdout.readline()
            if not line:
                break
            found.append(line.strip())
        return found


_CONVERSE = r"""
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
print(s.recv(65536).decode().strip(), flush=True)
for line in sys.stdin:
    try:
        s.sendall(line.encode())
        print(s.recv(65536).decode().strip() or "ended", flush=True)
    except OSError as error:
        print(f"ended: {error}", flush=True)
"""


class Conversation:
    """An open TCP connection to a port that repeats what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over the talking process."""
        self._process = process

    def lives(self) -> bool:
        """Say something, and return whether it comes back over the connection that was opened first."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("still there\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() == "still there\n"


class Internet:
    """What a client out there sees of an address.

    Attributes:
        namespace: The client's network namespace.
        address: The client's own address.
        gateway: The host's address on the link to the client.
    """

    def __init__(self, namespace: str, address: str, gateway: str) -> None:
        """Name the client; `internet` makes it."""
        self.namespace = namespace
        self.address = address
        self.gateway = gateway

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs a program as the client."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def run(self, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a program as the client; its failure is the caller's to judge."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )

    def probe(self, protocol: str, address: str, port: int, *, seconds: float = 2, payload: str = "") -> dict[str, Any]:
        """Connect, send the payload, and return ``result`` (open, refused or filtered) and the ``answer``."""
        if protocol == "udp" and not payload:
            payload = "?"
        done = self.run(sys.executable, "-c", _PROBE, protocol, address, str(port), str(seconds), payload)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def takes(self, address: str, port: int) -> bool:
        """Return whether a TCP port takes a connection at once: in milliseconds, where `probe` takes part of a second.

        The client's namespace must have a name on this machine.
        """
        with Namespace(self.namespace).call(socket.socket) as connection:
            connection.settimeout(0.2)
            return connection.connect_ex((address, port)) == 0

    @contextmanager
    def listening(self, protocol: str, port: int) -> Generator[Listener]:
        """Listen as the client while the context lasts; every peer that comes gets one answer."""
        with subprocess.Popen(
            self.command(sys.executable, "-u", "-c", _LISTEN, protocol, self.address, str(port)),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "listening\n"
                yield Listener(process)
            finally:
                process.terminate()

    @contextmanager
    def talking(self, address: str, port: int) -> Generator[Conversation]:
        """Keep a TCP connection open while the context lasts; the other end greets and then repeats what it is told."""
        with subprocess.Popen(
            self.command(sys.executable, "-u", "-c", _CONVERSE, address, str(port)),
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline()
                yield Conversation(process)
            finally:
                process.terminate()

    def pings(self, address: str, *, count: int = 1) -> bool:
        """Return whether the address answers ping."""
        return self.run("ping", "-c", str(count), "-W", "2", address).returncode == 0


@contextmanager
def internet(name: str) -> Generator[Internet]:
    """Make the client's namespace and its link to the host, and remove them afterwards.

    Args:
        name: The namespace's name, at most 10 characters.
    """
    with socket.socket(socket.AF_UNIX) as held:
        subnet = _take_subnet(held)
        host_end, host, client = f"{name}-h", f"{subnet}.1", f"{subnet}.2"
        _ip("netns", "add", name)
        try:
            _ip("link", "add", host_end, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("addr", "add", f"{host}/30", "dev", host_end)
            _ip("link", "set", host_end, "up")
            Path(f"/proc/sys/net/ipv4/conf/{host_end}/forwarding").write_text("1")
            _ip("-n", name, "addr", "add", f"{client}/30", "dev", "eth0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "route", "add", "default", "via", host)
            yield Internet(name, client, host)
        finally:
            _ip("netns", "del", name)


def _take_subnet(held: socket.socket) -> str:
    """Return the first octets of a network that no other client on this host has while the socket is open.

    A network whose client was left behind by a run that was killed is passed over.
    """
    left = subprocess.run(["ip", "-4", "route", "show"], check=True, capture_output=True, text=True).stdout
    for number in range(256):
        if f"100.99.{number}.0/30 " in left:
            continue
        with suppress(OSError):
            held.bind(f"\0virtualserver/tests/100.99.{number}")
            return f"100.99.{number}"
    raise AssertionError("all networks of clients are taken")
