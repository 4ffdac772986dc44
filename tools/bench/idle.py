"""What an installation with 100 stopped servers costs while nothing happens, over one whole resync."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bench import audit
from bench.figures import Figure
from e2e.conftest import a_product
from e2e.manifests import a_server
from e2e.product import eventually
from virtualserver.installation.installation import Installation
from virtualserver.operator.process import RESYNC_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from e2e.product import Product

__all__ = ["SECONDS", "Rest", "at_rest"]

SECONDS = int(RESYNC_SECONDS) + 90
"""About how long it takes altogether; other figures may be measured meanwhile."""

_SERVERS = 100
_PROCESSES = ("operator", "node")


class Rest:
    """An installation at rest.

    Attributes:
        over: The moment (as `time.time` counts) at which every server has been looked at again.
    """

    def __init__(self, product: Product) -> None:
        """Begin to count."""
        self._installation = Installation.below(product.state, product.installation)
        self._processes = {name: product.process(name) for name in _PROCESSES}
        self._began = time.time()
        self._used = self._processor_seconds()
        self.over = self._began + RESYNC_SECONDS + 10

    def measure(self, say: Callable[[str], None], command: str) -> list[Figure]:
        """Wait until the resync is over, and return the figures."""
        while (left := self.over - time.time()) > 0:
            say(f"waiting for the end of a resync ({left:.0f} s)")
            time.sleep(min(left, 60))
        share = (self._processor_seconds() - self._used) / (time.time() - self._began)
        written = [write for write in audit.writes(self._installation) if write.begun >= self._began]
        for who, count in Counter((write.user, write.resource) for write in written).items():
            say(f"{count} writes of {who[0]} to {who[1]}")
        memory = sum(_memory(pid) for pid in self._processes.values()) / 2**20
        rest = f"idle, {_SERVERS} stopped servers:"
        return [
            Figure(f"{rest} API writes in a resync", len(written), "writes", 0, command),
            Figure(f"{rest} operator + node", share * 100, "% of a core", 2, command),
            Figure(f"{rest} operator + node", memory, "MB", 200, command),
        ]

    def _processor_seconds(self) -> float:
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(sum(_ticks(pid)) for pid in self._processes.values()) / ticks


@contextlib.contextmanager
def at_rest(say: Callable[[str], None]) -> Generator[Rest]:
    """Start an installation with stopped servers, and begin to count once nothing is written any more."""
    with a_product("idle") as product:
        installation = Installation.below(product.state, product.installation)
        network = {"public": True, "tcp": {"ports": [22]}}
        product.apply(*(a_server(f"s{number}", running=False, network=network) for number in range(_SERVERS)))
        eventually(lambda: _are_stopped(product), what="all servers to be stopped", seconds=600, pause=2)
        eventually(lambda: _is_quiet(installation), what="the writing to end", seconds=300, pause=2)
        say(f"{_SERVERS} stopped servers are at rest")
        yield Rest(product)


def _are_stopped(product: Product) -> bool:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].reason}"
    reasons = product.kubectl("get", "vs", "-o", path).split()
    return len(reasons) == _SERVERS and set(reasons) == {"VirtualServerStopped"}


def _is_quiet(installation: Installation) -> bool:
    return max((write.ended for write in audit.writes(installation)), default=0) < time.time() - 10


def _ticks(pid: int) -> tuple[int, int]:
    """Return how long a process has used a processor, by itself and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]), int(fields[12])


def _memory(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
