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


WISHES = {
    "spec.affinity",
    "spec.storage.swap",
    "spec.readinessProbe.exec",
    "spec.livenessProbe.guestAgentPing",
    "spec.storage.root.storageClassName",
    "IPv6 addresses in spec.network.dnsConfig.nameservers",
    "spec.storage.root.accessMode",
}
WISHFUL: dict[str, Any] = {
    "affinity": {"nodeAffinity": AFFINITY},
    "storage": {**_storage(storageClassName="block-nvme-ord1", accessMode="ReadWriteMany"), "swap": "64Mi"},
    "readinessProbe": {"exec": {"command": ["false"]}},
    "livenessProbe": {"guestAgentPing": {}, "periodSeconds": 1},
    "network": {**PRIVATE, "dnsConfig": {"nameservers": ["192.0.2.53", "2001:db8::53"]}},
}
"""All of the wishes at once; that each is told by itself is the unit tests' matter."""


@pytest.fixture(scope="module")
def servers(product: Product) -> Iterator[Product]:
    """The running servers `wishful`, and `plain`, which wishes for nothing."""
    try:
        product.apply(a_server("plain", network=PRIVATE, storage=_storage()), a_server("wishful", **WISHFUL))
        for name in ("plain", "wishful"):
            product.wait_ready(name, seconds=240)
        yield product
    finally:
        product.delete("vs", "plain", "wishful")


def test_every_wish_without_effect_is_named_and_the_server_is_ready(servers: Product) -> None:
    condition = servers.condition("wishful", "FullyApplied")
    assert (condition["status"], condition["reason"]) == ("False", "PartlyApplied"), condition
    words, end, rest = condition["message"].partition(": no effect here")
    assert (end, rest) == (": no effect here", "")
    assert set(words.split(", ")) == WISHES
    assert servers.condition("wishful")["status"] == "True"


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
