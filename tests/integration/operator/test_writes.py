"""What the operator writes: nothing twice, nothing when nothing changed, and the same end whenever it dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.client import Client
from virtualserver.kube.errors import Unavailable
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from harness.operator_cluster import Cluster

NETWORK: dict[str, Any] = {"tcp": {"ports": [22]}, "udp": {"ports": [53]}}
CHANGED: dict[str, Any] = {"tcp": {"ports": []}, "udp": {"ports": []}, "public": False}


class CountingClient(Client):
    """Counts the writes of an operator, Events aside; after ``dies_after`` of them it is as if it had been killed.

    Nothing it sends reaches the server any more; it is told so at once, since a pass that waits has seconds to end.
    """

    writes: list[str]
    dies_after: int | None = None
    died: asyncio.Event

    async def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        if method != "GET" and self.died.is_set():
            raise Unavailable("killed")
        answer = await super().request(method, path, **options)
        if method != "GET" and not path.endswith("/events"):
            self.writes.append(f"{method} {path}")
            if len(self.writes) == self.dies_after:
                self.died.set()
                raise Unavailable("killed")
        return answer


def counting(dies_after: int | None = None) -> type[CountingClient]:
    """Return a client class with counts of its own."""
    name = "CountingClientOfOneTest"
    return type(name, (CountingClient,), {"writes": [], "dies_after": dies_after, "died": asyncio.Event()})


def essence(children: dict[str, Any]) -> Any:
    """Return what a set of objects says, without what differs each time that it is made."""
    owned = {"uid", "resourceVersion", "creationTimestamp", "generation", "labels", "annotations", "ownerReferences"}
    assigned = {"clusterIP", "clusterIPs", "selector", "macAddress"}

    def shorn(value: Any) -> Any:
        if isinstance(value, dict):
            mapping = cast("dict[str, Any]", value)
            return {
                key: shorn(item)
                for key, item in mapping.items()
                if key not in owned | assigned | {"data", "name", "namespace", "status"}
            }
        return [shorn(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value

    return {name: shorn(child) for name, child in children.items()}


async def test_a_settled_server_is_not_written_again(cluster: Cluster, operator_process: Any) -> None:
    client = counting()
    async with operator_process(client_type=client, resync_seconds=0.2):
        await cluster.create(network=NETWORK, initializeRunning=True)
        await cluster.machine_runs()
        await cluster.address("web-tcp", "203.0.113.9")
        await cluster.address("web-udp", "203.0.113.9")
        await cluster.reason("VirtualServerReady")
        before = await cluster.settled()
        client.writes.clear()
        await asyncio.sleep(1.5)  # Several resyncs.
        assert client.writes == []
        assert await cluster.versions() == before


async def test_making_a_server_takes_one_write_an_object_and_one_status(
    cluster: Cluster, operator_process: Any
) -> None:
    client = counting()
    async with operator_process(client_type=client):
        await cluster.create(network=NETWORK)
        await cluster.object(kinds.VIRTUAL_MACHINE, "web")
        await cluster.settled()
    ours = [write for write in client.writes if cluster.namespace in write]
    assert len(ours) == 6, ours
    assert sum("virtualservers/web/status" in write for write in ours) == 1


@pytest.mark.parametrize("when", ["services/web-tcp", "datavolumes/web"])
async def test_an_address_is_told_before_what_is_not_made_yet(
    cluster: Cluster, operator_process: Any, when: str
) -> None:
    """It comes while the Service is made, so that it is there when that is; or while the disk is made."""

    class AtOnce(counting()):
        async def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
            answer = await super().request(method, path, **options)
            if method == "PATCH" and path.endswith(when):
                await cluster.address("web-tcp", "203.0.113.9")
                await asyncio.sleep(0.2)  # the operator hears of it
            return answer

    async with operator_process(client_type=AtOnce):
        await cluster.create(network={"tcp": {"ports": [22]}})
        await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    order = [write.rpartition(cluster.namespace)[2] for write in AtOnce.writes if cluster.namespace in write]
    made = ["/services/web-tcp", "/datavolumes/web", "/virtualmachines/web"]
    made.insert(made.index(f"/{when}") + 1, "/virtualservers/web/status")
    assert [one for one in order if "secret" not in one][:4] == made


async def test_a_restarted_operator_writes_nothing(cluster: Cluster, operator_process: Any) -> None:
    async with operator_process():
        await cluster.create(network=NETWORK, initializeRunning=True, readinessProbe={"tcpSocket": {"port": 22}})
        await cluster.create("alone", network={"public": False, "dnsConfig": {"options": [{"name": "ndots"}]}})
        await cluster.machine_runs()
        await cluster.object(kinds.VIRTUAL_MACHINE, "alone")
        before = await cluster.settled()
    client = counting()
    async with operator_process(client_type=client):
        await asyncio.sleep(0.5)
        assert await cluster.settled() == before
    assert [write for write in client.writes if cluster.namespace in write] == []


async def _reference(cluster: Cluster, operator_process: Any, network: dict[str, Any]) -> tuple[Any, int]:
    """Return what a server becomes without a crash, and with how many writes."""
    client = counting()
    async with operator_process(client_type=client):
        await cluster.create("reference", network=network)
        await cluster.object(kinds.VIRTUAL_MACHINE, "reference")
        await cluster.settled()
    children = {name: item for name, item in (await cluster.children()).items() if "reference" in name}
    return essence(children), len([write for write in client.writes if cluster.namespace in write])


async def test_an_operator_that_dies_after_any_write_leaves_what_the_next_one_completes(
    cluster: Cluster, operator_process: Any
) -> None:
    expected, count = await _reference(cluster, operator_process, NETWORK)
    assert count >= 6
    for dies_after in range(1, count + 1):
        name = f"crash{dies_after:03d}"
        client = counting(dies_after)
        await cluster.create(name, network=NETWORK)
        async with operator_process(client_type=client):
            await asyncio.wait_for(client.died.wait(), 60)
        async with operator_process():
            await cluster.object(kinds.VIRTUAL_MACHINE, name)
            await cluster.settled()
        children = {
            found.replace(name, "reference"): item
            for found, item in (await cluster.children()).items()
            if name in found
        }
        assert essence(children) == _renamed(expected, name, "reference"), f"died after write {dies_after}"


def _renamed(expected: Any, name: str, reference: str) -> Any:
    """Return the reference's objects, in which names inside the spec are another server's."""
    import json

    return json.loads(json.dumps(expected).replace(reference, name).replace(f" {name}", f" {reference}"))


@pytest.mark.parametrize("dies_after", [1, 2, 3, 4])
async def test_a_change_that_is_cut_off_is_completed(cluster: Cluster, operator_process: Any, dies_after: int) -> None:
    """The Services are exchanged: whatever was done before the death, the next operator ends with the same."""
    async with operator_process():
        await cluster.create(network=NETWORK)
        await cluster.address("web-tcp", "203.0.113.9")
        await cluster.settled()
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": CHANGED})
    client = counting(dies_after)
    async with operator_process(client_type=client):
        await asyncio.wait_for(client.died.wait(), 60)
    async with operator_process():
        await cluster.gone(kinds.SERVICE, "web-tcp")
        await cluster.settled()
    assert {name for name in await cluster.children() if name.startswith("Service")} == {"Service web"}
