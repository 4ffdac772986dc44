"""What an address takes at least: the writes of a server's making, by bare clients on a control plane of their own.

Server, Service, the Service's address and the server's status are written one after the other, as their writers send
them: a user, the operator, the node, the operator. Then, where that is asked for, all else that the server consists of,
while others' addresses are written. Nobody watches and nobody decides: no operator and no node can tell an address
sooner with the same writes on the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

from bench.pace import names_at
from harness import control_plane as plane
from virtualserver import controlplane
from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.client import Client
from virtualserver.kube.events import EVENTS
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from virtualserver.kube.objects import Manifest

__all__ = ["Sample", "measure"]

_ASSIGNED: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_WRITTEN: Final = ("name", "namespace", "labels", "annotations", "ownerReferences")
_BY_OPERATOR: Final = {one.kind: one for one in (kinds.SECRET, kinds.DATA_VOLUME, kinds.VIRTUAL_MACHINE)}
_BY_NODE: Final = {one.kind: one for one in (kinds.PERSISTENT_VOLUME_CLAIM,)}


class Sample:
    """What a server became once, by which the bare clients know what to write.

    Args:
        server: The server, with its address in its status; no other text in it or in the others has its name.
        service: Its Service, with the same address.
        others: All else that it consists of, and the Events of it.
    """

    def __init__(self, server: Manifest, service: Manifest, others: Sequence[Manifest]) -> None:
        self._objects = json.dumps([server, service, list(others)])
        self._own = server["metadata"]["name"], server["metadata"]["uid"]

    def of(self, name: str, uid: str) -> tuple[Manifest, Manifest, list[Manifest]]:
        """Return server, Service and others as they would be for a server of another name and UID."""
        server, service, others = json.loads(self._objects.replace(self._own[0], name).replace(self._own[1], uid))
        return server, service, others


def measure(
    programs: controlplane.Programs, sample: Sample, *, rate: int, servers: int, with_others: bool
) -> list[float]:
    """Return the seconds from each server's request until the answer to its status with the address.

    Args:
        programs: The control plane's.
        sample: What is written.
        rate: Servers a second.
        servers: How many in all.
        with_others: Write all else that each consists of, too, behind its address.
    """
    with plane.an_installation("bare") as installation:
        options = controlplane.Options(components=frozenset({"etcd", "kube-apiserver"}))
        controlplane.start(installation, programs, options=options)
        files = [installation.kubeconfig, *(installation.kubeconfigs / name for name in ("operator", "node"))]
        return asyncio.run(_times(files, sample, rate, servers, with_others=with_others))


async def _times(
    kubeconfigs: Sequence[Path], sample: Sample, rate: int, servers: int, *, with_others: bool
) -> list[float]:
    async with contextlib.AsyncExitStack() as stack:
        opened = (Client.from_kubeconfig(file, user_agent="bare") for file in kubeconfigs)
        writers = _Writers(*[await stack.enter_async_context(client) for client in opened])
        async with asyncio.TaskGroup() as group:
            behind = group if with_others else None
            tasks = [group.create_task(writers.address(sample, name, behind)) async for name in names_at(rate, servers)]
    return [task.result() for task in tasks]


class _Writers:
    """Those who write for a server: each sends what it is told to."""

    def __init__(self, user: Client, operator: Client, node: Client) -> None:
        self._user, self._operator, self._node = user, operator, node

    async def address(self, sample: Sample, name: str, behind: asyncio.TaskGroup | None) -> float:
        """Write a server until its address is told, and return the seconds; have all else written behind it."""
        began = time.perf_counter()
        wanted, _, _ = sample.of(name, "")
        manifest = {key: wanted[key] for key in ("apiVersion", "kind", "spec")}
        manifest["metadata"] = {key: wanted["metadata"][key] for key in ("name", "namespace")}
        made = await self._user.create(VIRTUAL_SERVER, manifest, field_manager="bare")
        server, service, others = sample.of(name, made["metadata"]["uid"])
        await self._operator.apply(kinds.SERVICE, _written(service), field_manager=names.OPERATOR_MANAGER)
        await _tell(self._node, kinds.SERVICE, service)
        await _tell(self._operator, VIRTUAL_SERVER, server)
        if behind is not None:
            behind.create_task(self._others(others))
        return time.perf_counter() - began

    async def _others(self, others: Sequence[Manifest]) -> None:
        for manifest in others:
            kind = manifest["kind"]
            if kind in _BY_OPERATOR:
                await self._operator.apply(_BY_OPERATOR[kind], _written(manifest), field_manager=names.OPERATOR_MANAGER)
            elif kind in _BY_NODE:
                await self._node.create(_BY_NODE[kind], _written(manifest), field_manager=names.NODE_MANAGER)
            else:
                component = manifest["source"]["component"]
                client = self._node if component == names.NODE_MANAGER else self._operator
                await client.create(EVENTS, _written(manifest), field_manager=component)
            if "status" in manifest:
                await _tell(self._node, {**_BY_OPERATOR, **_BY_NODE}[kind], manifest)


def _written(manifest: Manifest) -> Manifest:
    """Return what somebody wrote of an object that is there."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key in _WRITTEN}
    found = {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}
    if "spec" in found:
        found["spec"] = {key: value for key, value in found["spec"].items() if key not in _ASSIGNED}
    return found


async def _tell(client: Client, resource: Any, manifest: Manifest) -> None:
    """Write an object's status."""
    where: dict[str, Any] = {"namespace": "default", "subresource": "status", "field_manager": "bare"}
    await client.patch(resource, manifest["metadata"]["name"], {"status": manifest["status"]}, **where)
