"""From a VirtualServer's creation until its address stands in its status, at a steady rate of servers a second.

The servers are stopped: an address is granted, published and told all the same, and no guest boots beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import bare_address
from bench.figures import Figure
from bench.pace import names_at
from e2e.conftest import a_product
from e2e.manifests import a_server
from harness.waiting import eventually
from virtualserver.kube import fields, kinds
from virtualserver.kube.client import Client
from virtualserver.kube.events import EVENTS
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from e2e.product import Product
    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 220
"""About how long `measure` takes."""

_SERVERS: Final = 200
_SAMPLE: Final = "the-sample"
_EVENTS: Final = 3
"""Events of such a server: what was made for it, its Service's address, that it is stopped."""
_GOALS: Final = {10: (40.0, 100.0), 20: (100.0, 300.0)}
"""By servers a second: the goals of the median and of the 99th percentile, in milliseconds."""


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figures."""
    found: list[Figure] = []
    with a_product("address") as product:
        sample = asyncio.run(_sample(product))
        for rate, goals in _GOALS.items():
            before = _processor_seconds(product)
            times = sorted(asyncio.run(_times(product, rate)))
            used = {name: (now - before[name]) * 1000 / _SERVERS for name, now in _processor_seconds(product).items()}
            median, late = _spread(times)
            say(f"{rate} servers/s: {times[0] * 1000:.0f} to {times[-1] * 1000:.0f} ms, {len(times)} servers")
            say("processor time a server: " + ", ".join(f"{name} {each:.0f} ms" for name, each in used.items()))
            name = f"address in status, {rate} servers/s"
            found += [Figure(f"{name}, median", median, "ms", goals[0], command)]
            found += [Figure(f"{name}, 99th percentile", late, "ms", goals[1], command)]
            product.kubectl("delete", "vs", "--all")
            eventually(lambda: not product.objects("service")[1:], what="the Services to be gone", seconds=120)
    for rate in _GOALS:
        for behind, with_others in {"nothing": False, "all else that a server consists of": True}.items():
            times = bare_address.measure(programs, sample, rate=rate, servers=_SERVERS, with_others=with_others)
            median, late = _spread(times)
            say(f"four bare writes, {rate} servers/s, behind them {behind}: {median:.0f} ms and {late:.0f} ms")
    return found


def _spread(times: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile of seconds, in milliseconds."""
    return statistics.median(times) * 1000, statistics.quantiles(times, n=100)[98] * 1000


async def _sample(product: Product) -> bare_address.Sample:
    """Make one server, delete it again, and return what it became."""
    async with Client.from_kubeconfig(product.folder / "kubeconfig", user_agent="bench") as client:
        await client.create(VIRTUAL_SERVER, _manifest(_SAMPLE), field_manager="bench")
        while True:
            server = await client.get(VIRTUAL_SERVER, _SAMPLE, namespace="default")
            events = await client.list(EVENTS, namespace="default")
            about = [event for event in events if event["involvedObject"]["name"].startswith(_SAMPLE)]
            if server["status"].get("network", {}).get("externalIP") and len(about) >= _EVENTS:
                break
            await asyncio.sleep(0.1)
        parts = {
            kinds.SECRET: f"{_SAMPLE}-cloud-init",
            **dict.fromkeys((kinds.DATA_VOLUME, kinds.PERSISTENT_VOLUME_CLAIM, kinds.VIRTUAL_MACHINE), _SAMPLE),
        }
        others = [await client.get(resource, name, namespace="default") for resource, name in parts.items()]
        service = await client.get(kinds.SERVICE, f"{_SAMPLE}-tcp", namespace="default")
        await client.delete(VIRTUAL_SERVER, _SAMPLE, namespace="default")
    eventually(lambda: not product.objects("service")[1:], what="the Service to be gone", seconds=120)
    return bare_address.Sample(server, service, [*others, *about])


def _manifest(name: str) -> dict[str, Any]:
    return a_server(name, running=False, network={"public": True, "tcp": {"ports": [22]}})


def _processor_seconds(product: Product) -> dict[str, float]:
    """Return how long each component has used a processor, by its name."""
    found: dict[str, float] = {}
    for part in json.loads(product.vs("status", "-o", "json"))["components"]:
        fields = Path(f"/proc/{part['pid']}/stat").read_text().rsplit(")", 1)[1].split()
        found[part["name"]] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


async def _times(product: Product, rate: int) -> list[float]:
    """Create the servers, and return the seconds from each one's request until its status has an address."""
    sent: dict[str, float] = {}
    shown: dict[str, float] = {}
    async with Client.from_kubeconfig(product.folder / "kubeconfig", user_agent="bench") as client:
        begin = await client.snapshot(VIRTUAL_SERVER, namespace="default")
        all_shown = asyncio.Event()

        async def follow() -> None:
            watching = client.watch(
                VIRTUAL_SERVER,
                namespace="default",
                resource_version=begin.resource_version,
                timeout_seconds=600,
                read_seconds=600,
            )
            async with contextlib.aclosing(watching) as events:
                async for event in events:
                    name = event.object["metadata"].get("name", "")
                    if name not in shown and fields.mapping(event.object, "status", "network").get("externalIP"):
                        shown[name] = time.perf_counter()
                        if len(shown) == _SERVERS:
                            all_shown.set()

        async def create(name: str) -> None:
            sent[name] = time.perf_counter()
            await client.create(VIRTUAL_SERVER, _manifest(name), field_manager="bench")

        following = asyncio.create_task(follow())
        try:
            async with asyncio.TaskGroup() as creating:
                async for name in names_at(rate, _SERVERS):
                    creating.create_task(create(name))
            async with asyncio.timeout(120):
                await all_shown.wait()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    return [shown[name] - at for name, at in sent.items()]
