"""1,000 stopped servers: until all disks are made, while nothing happens (a whole resync), until they are gone."""

from __future__ import annotations

import asyncio
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
from virtualserver.kube import fields, kinds
from virtualserver.kube.client import Client
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.operator.process import RESYNC_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from e2e.product import Product

__all__ = ["SECONDS", "Rest", "at_rest"]

SECONDS = int(RESYNC_SECONDS) + 240
"""About how long it takes altogether; other figures may be measured meanwhile."""

_SERVERS = 1_000
_LOADERS = 8
_KINDS = ("vs", "vm", "dv", "pvc", "secret", "service", "endpointslices", "events")
_PROCESSES = ("operator", "node")


class Rest:
    """An installation at rest.

    Attributes:
        over: The moment (as `time.time` counts) at which every server has been looked at again.
    """

    def __init__(self, product: Product, made_seconds: float) -> None:
        """Begin to count."""
        self._product = product
        self._made_seconds = made_seconds
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
        memory = {name: _memory(pid) / 2**20 for name, pid in self._processes.items()}
        deleted = _deleted_seconds(self._product)
        rest = f"{_SERVERS:,} stopped servers:"
        return [
            Figure(f"{rest} from the first request until all disks are made", self._made_seconds, "s", 30, command),
            Figure(f"{rest} API writes in a resync", len(written), "writes", 0, command),
            Figure(f"{rest} operator + node at rest", share * 100, "% of a core", 1, command),
            *(Figure(f"{rest} {name} at rest", size, "MB", 150, command) for name, size in memory.items()),
            Figure(f"{rest} deleted", deleted, "s", 40, command),
        ]

    def _processor_seconds(self) -> float:
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(sum(_ticks(pid)) for pid in self._processes.values()) / ticks


@contextlib.contextmanager
def at_rest(say: Callable[[str], None]) -> Generator[Rest]:
    """Start an installation with stopped servers, and begin to count once nothing is written any more."""
    with a_product("idle") as product:
        installation = Installation.below(product.state, product.installation)
        made_seconds = asyncio.run(_made_seconds(product))
        say(f"{_SERVERS:,} stopped servers have their disks after {made_seconds:.1f} s")
        eventually(lambda: _is_quiet(installation), what="the writing to end", seconds=600, pause=2)
        objects = sum(len(product.objects(kind)) for kind in _KINDS)
        say(f"{_SERVERS:,} stopped servers are at rest: {objects:,} objects")
        yield Rest(product, made_seconds)


async def _made_seconds(product: Product) -> float:
    """Create the servers, and return the seconds from the first request until the last disk is made."""
    network = {"public": True, "tcp": {"ports": [22]}, "udp": {"ports": [53]}}
    names = iter([f"s{number}" for number in range(_SERVERS)])
    async with Client.from_kubeconfig(product.folder / "kubeconfig", user_agent="bench") as client:
        began = time.perf_counter()

        async def one_after_the_other() -> None:
            for name in names:
                await client.create(
                    VIRTUAL_SERVER, a_server(name, running=False, network=network), field_manager="bench"
                )

        await asyncio.gather(*(one_after_the_other() for _ in range(_LOADERS)))
        made: set[str] = set()
        while len(made) < _SERVERS:
            await asyncio.sleep(0.5)
            disks = await client.list(kinds.DATA_VOLUME, namespace="default")
            made = {
                disk["metadata"]["name"] for disk in disks if fields.mapping(disk, "status").get("phase") == "Succeeded"
            }
        return time.perf_counter() - began


def _deleted_seconds(product: Product) -> float:
    """Delete the servers, and return the seconds until no object of theirs is left."""
    began = time.perf_counter()
    product.kubectl("delete", "vs", "--all", "--wait=false")
    left = ("vs", "vm", "dv", "pvc", "service", "secret")
    eventually(
        lambda: product.kubectl("get", ",".join(left), "-o", "name").split() == ["service/kubernetes"],
        what="all servers to be gone",
        seconds=300,
        pause=0.5,
    )
    return time.perf_counter() - began


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
