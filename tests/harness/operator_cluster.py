"""One namespace of a real API server for the operator's tests, as a user and as the node."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from harness import virtualservers
from harness.waiting import until
from virtualserver.api import names
from virtualserver.api.conditions import in_full
from virtualserver.kube import kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import Resource, controller_reference
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENT = Resource("", "v1", "events", "Event")
CHILDREN = (kinds.VIRTUAL_MACHINE, kinds.DATA_VOLUME, kinds.SERVICE, kinds.SECRET)
LIMIT_SECONDS = 60.0


@dataclasses.dataclass
class Cluster:
    """One namespace of the API server, as a user and as the node."""

    client: Client
    namespace: str

    async def create(self, name: str = "web", *, annotations: dict[str, str] | None = None, **spec: Any) -> Manifest:
        """Create a VirtualServer."""
        manifest = virtualservers.a_manifest(name, namespace=self.namespace, **spec)
        manifest["metadata"]["annotations"] = annotations or {}
        return await self.client.create(VIRTUAL_SERVER, manifest, field_manager="user")

    async def change(self, resource: Resource, name: str, **fields: Any) -> Manifest:
        """Merge fields into an object, as a user."""
        return await self.client.patch(resource, name, fields, namespace=self.namespace, field_manager="user")

    async def node_writes(self, resource: Resource, name: str, **status: Any) -> Manifest:
        """Merge fields into an object's status, as the node."""
        return await self.client.patch(
            resource, name, {"status": status}, namespace=self.namespace, subresource="status", field_manager="node"
        )

    async def get(self, resource: Resource, name: str) -> Manifest | None:
        """Return an object, None where there is none."""
        with contextlib.suppress(NotFound):
            return await self.client.get(resource, name, namespace=self.namespace)
        return None

    async def children(self) -> dict[str, Manifest]:
        """Return all objects of the namespace that servers can have, by kind and name."""
        found: dict[str, Manifest] = {}
        for resource in CHILDREN:
            for item in await self.client.list(resource, namespace=self.namespace):
                found[f"{resource.kind} {item['metadata']['name']}"] = item
        return found

    async def versions(self) -> dict[str, str]:
        """Return the resource version of every object of the namespace that the operator may write."""
        found = {name: item["metadata"]["resourceVersion"] for name, item in (await self.children()).items()}
        for item in await self.client.list(VIRTUAL_SERVER, namespace=self.namespace):
            found[f"VirtualServer {item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
        return found

    async def condition(self, name: str = "web", type_: str = "Ready") -> dict[str, Any]:
        """Return a condition of a server; Ready has all that there is to say in its message."""
        server = await self.client.get(VIRTUAL_SERVER, name, namespace=self.namespace)
        conditions = server["status"]["conditions"]
        found = next(item for item in conditions if item["type"] == type_)
        return {**found, "message": in_full(conditions)} if type_ == "Ready" else found

    async def reason(self, reason: str, name: str = "web", type_: str = "Ready") -> dict[str, Any]:
        """Wait for a condition's reason, and return the condition."""

        async def there() -> dict[str, Any] | None:
            found = await self.condition(name, type_)
            return found if found["reason"] == reason else None

        return await self.until(there, lambda: self.condition(name, type_))

    async def object(self, resource: Resource, name: str) -> Manifest:
        """Wait for an object, and return it."""
        return await self.until(lambda: self.get(resource, name))

    async def gone(self, resource: Resource, name: str) -> None:
        """Wait until an object is gone."""

        async def is_gone() -> bool:
            return await self.get(resource, name) is None

        await self.until(is_gone)

    async def until(
        self, check: Callable[[], Awaitable[Any]], explain: Callable[[], Awaitable[Any]] | None = None
    ) -> Any:
        """Wait until a check returns something, and return that."""
        try:
            return await until(check, seconds=LIMIT_SECONDS)
        except AssertionError as error:
            told = await explain() if explain else await self.children()
            raise AssertionError(f"{error}; it is: {told}") from error

    async def settled(self) -> dict[str, str]:
        """Wait until nothing has been written for a second, and return all versions."""
        before, since = await self.versions(), time.monotonic()
        deadline = since + LIMIT_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            now = await self.versions()
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > 1.0:
                return now
        raise AssertionError(f"never settles: {before}")

    async def secret(self, name: str, **texts: str) -> None:
        """Create a Secret, as a user."""
        manifest = virtualservers.a_secret(name, **texts)
        manifest["metadata"] = {"name": name, "namespace": self.namespace}
        await self.client.create(kinds.SECRET, manifest, field_manager="user")

    async def image(self, name: str = "debian-12") -> None:
        """Make an image's claim exist."""
        manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": names.IMAGE_NAMESPACE, "annotations": {names.IMAGE: "sha256:00"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        await self.client.apply(kinds.PERSISTENT_VOLUME_CLAIM, manifest, field_manager="test")

    async def machine_runs(self, name: str = "web", *, address: str = "10.128.0.5") -> None:
        """Do what the node does when a machine starts: the instance, and the statuses."""
        machine = await self.object(kinds.VIRTUAL_MACHINE, name)
        template = machine["spec"]["template"]
        instance: dict[str, Any] = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstance",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"].get("annotations", {}),
                "ownerReferences": [controller_reference(kinds.VIRTUAL_MACHINE, machine)],
            },
            "spec": template["spec"],
        }
        await self.client.create(kinds.VIRTUAL_MACHINE_INSTANCE, instance, field_manager="node")
        verdicts = (names.DATA_PLANE_READY, names.ADDRESS_TAKEN, "Ready")
        await self.node_writes(
            kinds.VIRTUAL_MACHINE_INSTANCE,
            name,
            phase="Running",
            interfaces=[{"name": "default", "ipAddress": address, "ipAddresses": [address]}],
            conditions=[{"type": type_, "status": "True"} for type_ in verdicts],
        )
        await self.node_writes(kinds.VIRTUAL_MACHINE, name, printableStatus="Running", created=True, ready=True)
        await self.node_writes(kinds.DATA_VOLUME, name, phase="Succeeded")

    async def machine_is_stopped(self, name: str = "web") -> None:
        """Do what the node does about a machine that does not run."""
        await self.object(kinds.VIRTUAL_MACHINE, name)
        await self.node_writes(kinds.VIRTUAL_MACHINE, name, printableStatus="Stopped", created=False, ready=False)

    async def address(self, service: str, address: str) -> None:
        """Grant a Service an address, as the node does."""
        await self.object(kinds.SERVICE, service)
        await self.node_writes(kinds.SERVICE, service, loadBalancer={"ingress": [{"ip": address}]})

    async def events(self) -> list[tuple[str, str]]:
        """Return (reason, message) of the Events about VirtualServers."""
        found = await self.client.list(EVENT, namespace=self.namespace)
        return [(item["reason"], item["message"]) for item in found if item["involvedObject"]["kind"] == names.KIND]
