"""What passes an interface, heard from the host's side: neither guest nor firewall can hide it."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Ears", "ears"]

_HEAR = r"""
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
print("listening", flush=True)
while True:
    print(s.recv(9216)[:512].hex(), flush=True)
"""


class Ears:
    """The frames that passed an interface, in either direction, since the listening began."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take over the output of the listening process."""
        self._process = process
        self._frames: list[bytes] = []

    def frames(self) -> list[bytes]:
        """Return the frames so far."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], 0)[0]:
            line = self._process.stdout.readline()
            assert line, "the listening process has ended"
            self._frames.append(bytes.fromhex(line.decode()))
        return self._frames

    def heard(self, mark: bytes) -> bool:
        """Return whether a frame with these bytes passed so far."""
        return any(mark in frame for frame in self.frames())

    def wait(self, is_it: Callable[[bytes], bool], *, what: str, seconds: float = 30) -> None:
        """Wait until such a frame has passed."""
        end = time.monotonic() + seconds
        while not any(is_it(frame) for frame in self.frames()):
            assert time.monotonic() < end, f"{what}: not heard within {seconds:g} s; {len(self._frames)} other frames"
            time.sleep(0.05)


@contextmanager
def ears(namespace: str, interface: str) -> Generator[Ears]:
    """Listen on an interface of a network namespace while the context lasts."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", _HEAR, interface]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield Ears(process)
        finally:
            process.terminate()
