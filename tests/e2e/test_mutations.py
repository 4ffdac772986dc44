"""Objects of every kind that a user can write, with fields that are wrong in some way, against the whole product.

A seed gives the same objects again: ``make test ARGS="tests/e2e/test_mutations.py --seed N --seconds S"``. The suite
lives a minute of one seed, ``make soak`` goes on with others. What is found becomes a test of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from random import Random
from typing import TYPE_CHECKING, Any, Final

from e2e.manifests import a_server
from harness import mutations
from harness.schema_fields import fields_of_definition
from virtualserver.kube import kinds
from virtualserver.kube.client import Client
from virtualserver.kube.errors import ApiError, NotFound, Unavailable
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    import pytest

    from e2e.product import Product
    from harness.mutations import Mutation
    from virtualserver.kube.objects import Manifest, Resource

SERVER: Final[dict[str, Any]] = a_server(
    "NAME",
    running=False,
    cloudInit="runcmd: [[echo, hello]]\nwrite_files: [{path: /etc/x, content: a}]\n",
    network={
        "public": True,
        "tcp": {"ports": [22, 80]},
        "udp": {"ports": [53]},
        "floatingIPs": [{"serviceName": "floating"}],
        "vpcs": [{"name": "blue"}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["9.9.9.9"], "searches": ["x.org"], "options": [{"name": "ndots", "value": "2"}]},
        "macAddress": "a2:1f:ee:09:06:5d",
    },
    readinessProbe={"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
)
MACHINE: Final[dict[str, Any]] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "spec": {
        "runStrategy": "Halted",
        "dataVolumeTemplates": [
            {
                "metadata": {"name": "of-a-machine"},
                "spec": {
                    "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}},
                    "storage": {"resources": {"requests": {"storage": "128Mi"}}},
                },
            }
        ],
        "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {
                "domain": {
                    "cpu": {"cores": 1},
                    "memory": {"guest": "96Mi"},
                    "devices": {
                        "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                        "interfaces": [{"name": "default", "bridge": {}}],
                    },
                },
                "networks": [{"name": "default", "pod": {}}],
                "volumes": [
                    {"name": "root", "dataVolume": {"name": "of-a-machine"}},
                    {"name": "seed", "cloudInitNoCloud": {"userData": "#cloud-config\n{}\n"}},
                ],
                "terminationGracePeriodSeconds": 1,
            },
        },
    },
}
SERVICE: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"annotations": {"metallb.universe.tf/address-pool": "public"}},
    "spec": {
        "type": "LoadBalancer",
        "selector": {"app": "x"},
        "ports": [{"name": "a", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "sessionAffinity": "None",
        "externalTrafficPolicy": "Local",
        "ipFamilyPolicy": "SingleStack",
        "loadBalancerIP": "",
    },
}
DISK: Final[dict[str, Any]] = {
    "apiVersion": "cdi.kubevirt.io/v1beta1",
    "kind": "DataVolume",
    "spec": {
        "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}},
        "storage": {"resources": {"requests": {"storage": "128Mi"}}, "accessModes": ["ReadWriteOnce"]},
    },
}
SECRET: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "stringData": {"userdata": "runcmd: [[echo, hello]]\n", "password": "x", "authorized_keys": "ssh-ed25519 AAAA"},
}
NETWORK: Final[dict[str, Any]] = {
    "apiVersion": "k8s.cni.cncf.io/v1",
    "kind": "NetworkAttachmentDefinition",
    "spec": {"config": '{"cniVersion": "0.3.1", "type": "bridge", "mtu": 1400}'},
}
BASES: Final[tuple[tuple[Resource, dict[str, Any], list[str]], ...]] = (
    (VIRTUAL_SERVER, SERVER, fields_of_definition("api", "virtualserver")),
    (kinds.VIRTUAL_MACHINE, MACHINE, fields_of_definition("node", "virtualmachine")),
    (kinds.DATA_VOLUME, DISK, fields_of_definition("node", "datavolume")),
    (kinds.SERVICE, SERVICE, []),
    (kinds.SECRET, SECRET, []),
    (kinds.NETWORK_ATTACHMENT_DEFINITION, NETWORK, []),
)
"""Each kind with a sound object of it, and fields that this object lacks; the first kind is taken half of the time."""
NAMESPACE: Final = "mutations"
IN_A_ROUND: Final = 30
GROWTH_BYTES: Final = 64 << 20
"""What a process may keep of some hundred objects that are gone."""


def sound(manifest: dict[str, Any]) -> list[str]:
    """Return the fields of a sound object that may be changed: all but what says which object it is."""
    identity = {"apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace"}
    return [path for path in mutations.fields_of_manifest(manifest) if path not in identity]


class Round:
    """Some objects that are made, looked at and deleted together."""

    def __init__(self, product: Product, client: Client, random: Random, number: int) -> None:
        self.client = client
        self.number = number
        self.random = random
        self.faults: list[str] = []
        self.made: list[tuple[Resource, Mutation]] = []
        self.logs = [product.folder / "logs" / f"{name}.log" for name in ("operator", "node")]
        self.read = [_size(path) for path in self.logs]

    async def live(self) -> None:
        """Make the objects, see that each comes to rest with a word about it, and delete them."""
        for number in range(IN_A_ROUND):
            await self._make(f"m{self.number}-{number}")
        try:
            await self._within(30, self._unsettled, "nothing is said of it")
            await self._stand_still()
            for path, start in zip(self.logs, self.read, strict=True):
                text = path.read_bytes()[start:].decode(errors="replace")
                if "Traceback" in text:
                    self.faults.append(f"{path.name}: {text[text.index('Traceback') :][:3000]}")
        finally:
            for resource, mutation in self.made:
                with contextlib.suppress(NotFound):
                    await self.client.delete(resource, mutation.manifest["metadata"]["name"], namespace=NAMESPACE)
            await self._within(60, self._left, "cannot be deleted")

    async def _make(self, name: str) -> None:
        which = 0 if self.random.random() < 0.5 else self.random.randrange(1, len(BASES))
        resource, base, further = BASES[which]
        base = {**base, "metadata": {**base.get("metadata", {}), "name": name, "namespace": NAMESPACE}}
        mutation = mutations.mutate(self.random, base, sound(base) + further)
        mutation.manifest["metadata"] |= {"name": name, "namespace": NAMESPACE}
        for template in _templates(mutation.manifest.get("spec")):
            template["name"] = f"{name}-disk"
        try:
            query = {"fieldManager": "user", "fieldValidation": "Strict"}  # as kubectl has it
            await self.client.request("POST", resource.path(namespace=NAMESPACE), query=query, body=mutation.manifest)
        except Unavailable as error:
            self.faults.append(f"no answer: {error} for {_shown(mutation)}")
        except ApiError as error:
            # What is no Secret or Service at all, Kubernetes' own words say.
            if resource.group and not any(_names(error.message, path) for path in mutation.paths):
                self.faults.append(f"names no field: {error.message[:500]} for {_shown(mutation)}")
        else:
            self.made.append((resource, mutation))

    async def _objects(self) -> dict[str, Manifest]:
        return {
            f"{resource.kind} {item['metadata']['name']}": item
            for resource, _, _ in BASES
            for item in await self.client.list(resource, namespace=NAMESPACE)
        }

    async def _unsettled(self) -> list[str]:
        found = await self._objects()
        ours = [f"{resource.kind} {mutation.manifest['metadata']['name']}" for resource, mutation in self.made]
        faulty = [key for key, item in found.items() if "a fault of this program" in json.dumps(item.get("status", {}))]
        self.faults += [f"{key}: {json.dumps(found[key])[:3000]}" for key in faulty if not _known(self.faults, key)]
        return [key for key in ours if key in found and not _is_settled(found[key])]

    async def _left(self) -> list[str]:
        mine = {mutation.manifest["metadata"]["name"] for _, mutation in self.made}
        return [key for key in await self._objects() if key.split()[1] in mine]

    async def _stand_still(self) -> None:
        """See that nothing is written again and again of what came to rest."""
        changes: dict[str, set[str]] = {}
        for _ in range(10):
            for key, item in (await self._objects()).items():
                changes.setdefault(key, set()).add(item["metadata"]["resourceVersion"])
            await asyncio.sleep(0.2)
        self.faults += [f"{key} is written again and again" for key, seen in changes.items() if len(seen) > 6]

    async def _within(self, seconds: float, look: Callable[[], Awaitable[list[str]]], fault: str) -> None:
        ends = time.monotonic() + seconds
        while (left := await look()) and time.monotonic() < ends:
            await asyncio.sleep(0.2)
        shown = {mutation.manifest["metadata"]["name"]: mutation for _, mutation in self.made}
        self.faults += [f"{fault}: {key}, {_shown(shown[key.split()[1]])}" for key in left if key.split()[1] in shown]


def test_objects_with_wrong_fields_are_refused_by_field_or_told_of_and_stop_nobody(
    product: Product, request: pytest.FixtureRequest
) -> None:
    seed, seconds = int(str(request.config.getoption("--seed"))), float(str(request.config.getoption("--seconds")))
    print(f"seed {seed}")
    assert asyncio.run(live(product, seed, seconds)) == []


async def live(product: Product, seed: int, seconds: float) -> list[str]:
    """Live round after round, and return the faults of the first that has any."""
    random, ends, number = Random(seed), time.monotonic() + seconds, 0
    memory: dict[str, int] = {}
    product.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    try:
        async with Client.from_kubeconfig(product.folder / "kubeconfig", user_agent="mutations") as client:
            pids = {name: product.process(name) for name in ("operator", "node")}
            while time.monotonic() < ends:
                one = Round(product, client, random, number)
                await one.live()
                if one.faults:
                    return [f"seed {seed}, round {number}: {fault}" for fault in one.faults]
                # The first rounds fill caches and load what is loaded once.
                memory = memory if number > 1 else {name: _resident(pid) for name, pid in pids.items()}
                number += 1
            assert pids == {name: product.process(name) for name in pids}, "a process was started again"
            return [
                f"{name} keeps {(_resident(pid) - memory[name]) >> 20} MiB more after {number} rounds"
                for name, pid in pids.items()
                if _resident(pid) - memory[name] > GROWTH_BYTES
            ]
    finally:
        product.kubectl("delete", "namespace", NAMESPACE, "--timeout=90s")


def _templates(spec: Any) -> list[dict[str, Any]]:
    """Return the metadata of a machine's templates of disks, whose names other objects of the round would have."""
    with contextlib.suppress(AttributeError, LookupError, TypeError):
        found = [template["metadata"] for template in spec["dataVolumeTemplates"]]
        return [one for one in found if isinstance(one, dict)]
    return []


def _is_settled(item: Manifest) -> bool:
    """Return whether something is said of an object of a kind of which something is to be said."""
    status = item.get("status", {})
    match item["kind"]:
        case "VirtualServer":
            return any(one["type"] == "Ready" and one["message"] for one in status.get("conditions", []))
        case "VirtualMachine":
            return bool(status.get("printableStatus"))
        case "DataVolume":
            return bool(status.get("phase"))
        case "Service":
            is_balancer = item["spec"]["type"] == "LoadBalancer"
            return not is_balancer or bool(status.get("conditions") or status["loadBalancer"])
        case _:
            return True


def _names(message: str, path: str) -> bool:
    """Return whether a refusal names a field, or the closest one above it that has a name of its own."""
    parts = [part.removesuffix("[]") for part in path.split(".")]
    return any(part in message for part in parts[1:] or parts)


def _known(faults: Iterable[str], key: str) -> bool:
    return any(fault.startswith(f"{key}:") for fault in faults)


def _shown(mutation: Mutation) -> str:
    return f"{mutation.paths}: {json.dumps(mutation.manifest)[:1500]}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _resident(pid: int) -> int:
    """Return the memory that a process has, in bytes."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))
