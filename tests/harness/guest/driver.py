"""Speaks with the agent inside a guest through the product's serial console socket.

A request is ``@ID SECONDS BASE64-SCRIPT`` on a line of its own, its answer ``<<ID STATUS BASE64-OUTPUT>>``; all else on
the console is passed over. The console serves one client at a time, so a connection lasts as long as a command.
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import os
import re
import socket
import time
from typing import TYPE_CHECKING

from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Guest", "GuestError", "Probe", "Result"]

_NUMBERS = itertools.count(1)


class GuestError(AssertionError):
    """The guest did not answer, or a command failed that must not."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command did.

    Attributes:
        status: Its exit status; 143 or 124 where it took too long.
        output: What it wrote, standard error included.
    """

    status: int
    output: str


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a guest sees of a port.

    Attributes:
        result: ``open``, ``refused`` or ``filtered``.
        own: The address that the guest used; empty unless open.
        answer: What the port said.
    """

    result: str
    own: str
    answer: str


class Guest:
    """A shell inside a guest."""

    def __init__(self, console: Path) -> None:
        """Name the guest by its console's socket; nothing is sent yet."""
        self.console = console

    @classmethod
    def named(cls, name: str, *, machines: Path, run: Path) -> Guest:
        """Find a running machine by ``namespace/name`` among an instance's machines.

        Args:
            name: As in `MachineSpec.name`.
            machines: The folder of the machines' descriptions.
            run: The folder of their sockets.
        """
        for spec in machines.glob("*/spec.json"):
            console = run / spec.parent.name / "serial.sock"
            if json.loads(spec.read_bytes())["spec"]["name"] == name and console.exists():
                return cls(console)
        raise GuestError(f"no machine {name} in {machines}")

    def wait_ready(self, *, seconds: float = 120) -> Guest:
        """Wait until the agent answers, and return this guest."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self._ask("true", 5, patience=2).status == 0:
                    return self
            except (GuestError, OSError):
                time.sleep(0.1)
        raise GuestError(f"{self.console}: the guest did not answer within {seconds:g} s")

    def run(self, script: str, *, seconds: float = 25) -> str:
        """Run a shell script that must succeed, and return its output without the last line's end."""
        result = self.attempt(script, seconds=seconds)
        if result.status:
            raise GuestError(f"in the guest: {script}: status {result.status}: {result.output}")
        return result.output.rstrip("\n")

    def attempt(self, script: str, *, seconds: float = 25) -> Result:
        """Run a shell script and return what it did, whatever it was."""
        return self._ask(script, seconds, patience=seconds + 60)

    def serve(self, protocol: str, port: int, kind: str = "talk") -> None:
        """Listen on a port; returns when it is open. See agent.c for what each kind does."""
        self.run(f"agent serve {protocol} {port} {kind}")

    def probe(self, protocol: str, address: str, port: int, *, seconds: float = 3, payload: str = "") -> Probe:
        """Connect from inside the guest, and return what came of it."""
        quoted = "'" + payload.replace("'", "'\\''") + "'"
        text = self.run(f"agent connect {protocol} {address} {port} {seconds:g} {quoted}", seconds=3 * seconds + 20)
        result, _, rest = text.partition(" ")
        own, _, answer = rest.partition(" ") if result == "open" else ("", "", rest)
        return Probe(result, own, answer.rstrip("\n"))

    def send_frames(self, *frames: bytes, interface: str = "eth0") -> None:
        """Send Ethernet frames as they are."""
        self.run(f"agent frame {interface} " + " ".join(frame.hex() for frame in frames))

    def start_sniffing(self, *, interface: str = "eth0", seconds: float = 60) -> None:
        """Begin to note the frames that arrive; `sniffed` returns them."""
        self.run(f"rm -f /tmp/sniffed; agent sniff {interface} {seconds:g} >/tmp/sniffed & sleep 0.2")

    def sniffed(self) -> list[bytes]:
        """Return the frames that arrived so far."""
        return [bytes.fromhex(line) for line in self.run("cat /tmp/sniffed").split()]

    def address(self, interface: str = "eth0") -> str:
        """Return the first IPv4 address, as soon as there is one: a lease is known outside before it is set inside."""

        def there() -> str:
            found = re.search(r"inet ([0-9.]+)", self.run(f"ip -4 addr show dev {interface}"))
            return found[1] if found else ""

        return eventually(there, what=f"{self.console}: an address on {interface}", seconds=30)

    def _ask(self, script: str, seconds: float, *, patience: float) -> Result:
        """Send one request and return its answer."""
        name = f"{os.getpid()}-{next(_NUMBERS)}"
        request = f"\n@{name} {int(seconds)} {base64.b64encode(script.encode()).decode()}\n".encode()
        pattern = re.compile(rb"<<" + name.encode() + rb" (\d+) ([A-Za-z0-9+/=]*)>>")
        end = time.monotonic() + patience
        received = b""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(patience)
            line.connect(str(self.console))
            line.sendall(request)
            while time.monotonic() < end:
                line.settimeout(max(0.01, end - time.monotonic()))
                try:
                    chunk = line.recv(65536)
                except TimeoutError:
                    break
                if not chunk:
                    raise GuestError(f"{self.console}: the machine has ended")
                received += chunk
                found = pattern.search(received)
                if found:
                    return Result(int(found[1]), base64.b64decode(found[2]).decode(errors="replace"))
        raise GuestError(f"{self.console}: no answer to {script!r} within {patience:g} s; heard {received[-300:]!r}")
