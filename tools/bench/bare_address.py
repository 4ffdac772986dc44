"""The four writes that an address takes, by bare clients on a control plane of their own, and nothing beside them.

A server, its Service, the Service's address and the server's status, one after the other, as their writers send them:
a user, the operator, the node, the operator. Nobody watches, decides or makes anything else. No operator and no node
can tell an address sooner on the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from harness import control_plane as plane
from virtualserver import controlplane
from virtualserver.api import names
from virtualserver.kube.client import Client
from virtualserver.kube.kinds import SERVICE
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from virtualserver.kube.objects import Manifest

__all__ = ["Sample", "measure"]

_ASSIGNED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_SERVERS_OWN = ("name", "namespace", "labels", "annotations", "ownerReferences")


class Sample:
    """What a server and its Service became once, by which the bare clients know what to write.

    Args:
        server: The server, with its address in its status; no other text in it or in the Service has its name.
        service: Its Service, with the same address.
    """

    def __init__(self, server: Manifest, service: Manifest) -> None:
        self._objects = json.dumps([server, service])
        self._own = server["metadata"]["name"], server["metadata"]["uid"]

    def of(self, name: str, uid: str) -> tuple[Manifest, Manifest]:
        """Return server and Service as they would be for a server of another name and UID."""
        server, service = json.loads(self._objects.replace(self._own[0], name).replace(self._own[1], uid))
        return server, service


def measure(programs: controlplane.Programs, sample: Sample, *, rate: int, servers: int) -> list[float]:
    """Return the seconds from each server's request until the answer to its status with the address.

    Args:
        programs: The control plane's.
        sample: What is written.
        rate: Servers a second.
        servers: How many in all.
    """
    with plane.an_installation("bare") as installation:
        options = controlplane.Options(components=frozenset({"etcd", "kube-apiserver"}))
        controlplane.start(installation, programs, options=options)
        files = [installation.kubeconfig, *(installation.kubeconfigs / name for name in ("operator", "node"))]
        return asyncio.run(_times(files, sample, rate, servers))


async def _times(kubeconfigs: Sequence[Path], sample: Sample, rate: int, servers: int) -> list[float]:
    async with contextlib.AsyncExitStack() as stack:
        opened = (Client.from_kubeconfig(file, user_agent="bare") for file in kubeconfigs)
        user, operator, node = [await stack.enter_async_context(client) for client in opened]

        async def four_writes(name: str) -> float:
            began = time.perf_counter()
            wanted, _ = sample.of(name, "")
            manifest = {key: wanted[key] for key in ("apiVersion", "kind", "spec")}
            manifest["metadata"] = {key: wanted["metadata"][key] for key in ("name", "namespace")}
            made = await user.create(VIRTUAL_SERVER, manifest, field_manager="bare")
            server, service = sample.of(name, made["metadata"]["uid"])
            await operator.apply(SERVICE, _applied(service), field_manager=names.OPERATOR_MANAGER)
            for client, resource, written in ((node, SERVICE, service), (operator, VIRTUAL_SERVER, server)):
                where: dict[str, Any] = {"namespace": "default", "subresource": "status", "field_manager": "bare"}
                await client.patch(resource, written["metadata"]["name"], {"status": written["status"]}, **where)
            return time.perf_counter() - began

        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[float]] = []
            began = time.perf_counter()
            for number in range(servers):
                await asyncio.sleep(max(0, began + number / rate - time.perf_counter()))
                tasks.append(group.create_task(four_writes(f"s{number}")))
    return [task.result() for task in tasks]


def _applied(service: Manifest) -> Manifest:
    """Return what the operator applied of a Service."""
    spec = {key: value for key, value in service["spec"].items() if key not in _ASSIGNED}
    metadata = {key: value for key, value in service["metadata"].items() if key in _SERVERS_OWN}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
