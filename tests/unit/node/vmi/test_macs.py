"""Who asked for a MAC address first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.objects import controller_reference
from virtualserver.node.vmi.macs import older_claim
from virtualserver.node.watches import WATCHES
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Resource

MAC = "a2:1f:ee:09:06:5d"
THIEF: dict[str, Any] = {
    "kind": "VirtualMachineInstance",
    "metadata": {"namespace": "m", "name": "x", "uid": "x", "creationTimestamp": "5"},
}


@pytest.fixture
async def cache() -> Cache:
    return Cache(cast("Client", None), WATCHES)


def know(cache: Cache, resource: Resource, spec: dict[str, Any], created: str, **metadata: Any) -> None:
    base = {
        "namespace": "ns",
        "name": "web",
        "uid": resource.kind,
        "resourceVersion": "1",
        "creationTimestamp": created,
    }
    cache.remember(resource, {"kind": resource.kind, "metadata": {**base, **metadata}, "spec": spec})


def a_machine(mac: str = "A2-1F-EE-09-06-5D") -> dict[str, Any]:
    devices = {"interfaces": [{"name": "default", "macAddress": mac}]}
    return {"template": {"spec": {"domain": {"devices": devices}}}}


@pytest.mark.parametrize(
    ("resource", "spec"), [(kinds.VIRTUAL_MACHINE, a_machine()), (VIRTUAL_SERVER, {"network": {"macAddress": MAC}})]
)
async def test_who_names_an_address_first_has_it_though_it_never_ran(
    cache: Cache, resource: Resource, spec: dict[str, Any]
) -> None:
    know(cache, resource, spec, "4")
    rival = older_claim(cache, THIEF, MAC, "x")
    assert rival is not None
    assert rival["metadata"]["uid"] == resource.kind
    assert older_claim(cache, {**THIEF, "metadata": {**THIEF["metadata"], "creationTimestamp": "3"}}, MAC, "x") is None
    assert older_claim(cache, THIEF, "a2:1f:ee:09:06:5e", "x") is None


async def test_a_servers_own_machine_is_no_rival_of_its_vmi(cache: Cache) -> None:
    know(cache, VIRTUAL_SERVER, {"network": {"macAddress": MAC}}, "1")
    owner = controller_reference(VIRTUAL_SERVER, {"metadata": {"name": "web", "uid": "VirtualServer"}})
    know(cache, kinds.VIRTUAL_MACHINE, a_machine(), "2", ownerReferences=[owner])
    know(cache, kinds.VIRTUAL_MACHINE, a_machine(), "3", namespace="m", uid="thief")
    vmi = {**THIEF, "metadata": {**THIEF["metadata"], "namespace": "ns", "name": "web"}}
    assert older_claim(cache, vmi, MAC, "VirtualServer") is None, "its server named it before the thief"
    assert older_claim(cache, THIEF, MAC, "thief") is not None
