"""FullyApplied: what a manifest asks for and does not get, said without touching Ready."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.product import Product

PRIVATE = {"public": False}
ZONE = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["here"]}
AFFINITY = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [ZONE]}]}}


def _storage(**root: Any) -> dict[str, Any]:
    source = {"pvc": {"namespace": "vd-images", "name": "tiny"}}
    return {"root": {"size": "128Mi", "storageClassName": "local", "source": source, **root}}


WISHES: dict[str, tuple[dict[str, Any], str]] = {
    "affinity": ({"affinity": {"nodeAffinity": AFFINITY}}, "spec.affinity"),
    "swap": ({"storage": {**_storage(), "swap": "64Mi"}}, "spec.storage.swap"),
    "exec": ({"readinessProbe": {"exec": {"command": ["false"]}}}, "spec.readinessProbe.exec"),
    "agent": ({"livenessProbe": {"guestAgentPing": {}, "periodSeconds": 1}}, "spec.livenessProbe.guestAgentPing"),
    "class": ({"storage": _storage(storageClassName="block-nvme-ord1")}, "spec.storage.root.storageClassName"),
    "ipv6": (
        {"network": {**PRIVATE, "dnsConfig": {"nameservers": ["192.0.2.53", "2001:db8::53"]}}},
        "IPv6 addresses in spec.network.dnsConfig.nameservers",
    ),
    "mode": ({"storage": _storage(accessMode="ReadWriteMany")}, "spec.storage.root.accessMode"),
}


@pytest.fixture(scope="module")
def servers(product: Product) -> Iterator[Product]:
    """A running server for each wish, and `plain`, which has none."""
    names = ["plain", *(f"wish-{wish}" for wish in WISHES)]
    wishes = {f"wish-{wish}": fields for wish, (fields, _) in WISHES.items()}
    try:
        for name in names:
            fields: dict[str, Any] = {"network": PRIVATE, "storage": _storage(), **wishes.get(name, {})}
            product.apply(a_server(name, **fields))
        for name in names:
            product.wait_ready(name, seconds=240)
        yield product
    finally:
        product.delete("vs", *names)


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_without_effect_is_named_and_the_server_is_ready(servers: Product, wish: str) -> None:
    condition = servers.condition(f"wish-{wish}", "FullyApplied")
    assert (condition["status"], condition["reason"]) == ("False", "PartlyApplied"), condition
    assert condition["message"] == f"{WISHES[wish][1]}: no effect here"
    assert servers.condition(f"wish-{wish}")["status"] == "True"


def test_it_is_there_from_the_first_moment_and_true_where_nothing_is_amiss(servers: Product) -> None:
    manifest = a_server("newborn", running=False, network=PRIVATE, storage=_storage())
    try:
        created = json.loads(servers.kubectl("create", "-o", "json", "-f", "-", stdin=yaml.safe_dump(manifest)))
        assert [condition["type"] for condition in created["status"]["conditions"]][4:] == ["FullyApplied"]
        assert servers.wait_reason("newborn", "FullyApplied", kind="FullyApplied")["status"] == "True"
    finally:
        servers.delete("vs", "newborn")
    assert servers.condition("plain", "FullyApplied")["status"] == "True"


def test_a_grown_root_disk_waits_for_the_next_start(servers: Product) -> None:
    size = "cat /sys/block/vda/size"
    assert int(servers.guest("plain").run(size)) * 512 == 128 << 20
    servers.kubectl("patch", "vs", "plain", "--type=merge", "-p", '{"spec":{"storage":{"root":{"size":"192Mi"}}}}')
    condition = servers.wait_reason("plain", "RootDiskResizeinProgress", kind="FullyApplied")
    assert condition["status"] == "False" and "spec.storage.root.size" in condition["message"]
    assert servers.condition("plain")["status"] == "True"
    before = servers.get("vmi", "plain")["metadata"]["uid"]
    servers.power("plain", "restart")
    eventually(
        lambda: servers.get("vmi", "plain").get("metadata", {}).get("uid") not in (None, before),
        what="another guest",
        seconds=180,
    )
    servers.wait_ready("plain", seconds=180)
    assert int(servers.guest("plain").run(size)) * 512 == 192 << 20
    servers.wait_reason("plain", "FullyApplied", kind="FullyApplied")
