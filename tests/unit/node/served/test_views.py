"""What the API of addresses shows to whom, and in which form."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest

from virtualserver.api import names
from virtualserver.node.allocation.holdings import Holding, PoolHoldings
from virtualserver.node.served import tables, views
from virtualserver.plan.sites.quotas import AddressQuota
from virtualserver.plan.sites.site import Site, Verb

USE = PoolHoldings(
    name="public",
    networks=(ipaddress.ip_network("203.0.113.0/29"),),
    size=6,
    used=3,
    is_host=False,
    address="",
    holdings=(
        Holding("203.0.113.1", "", "shop", "Service", "web"),
        Holding("203.0.113.2", "", "bank", "VirtualServer", "vault"),
        Holding("203.0.113.3", "", "bank", "Service", "desk"),
    ),
)
KUBECTL = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


def test_who_sees_all_namespaces_sees_every_holder() -> None:
    found = views.pool(USE)
    assert found["apiVersion"] == "network.virtualservers.coreweave.com/v1alpha1"
    assert "namespace" not in found["metadata"]
    status = found["status"]
    assert (status["size"], status["used"], status["free"]) == (6, 3, 3)
    assert status["namespaces"] == {"bank": 2, "shop": 1}
    assert {"address": "203.0.113.2", "namespace": "bank", "kind": "VirtualServer", "name": "vault"} in status[
        "holders"
    ]


def test_attack_a_namespace_reads_no_name_of_another_in_its_pools() -> None:
    found = views.namespace_pool(USE, "shop", AddressQuota(4), is_opened=True)
    status = found["status"]
    assert (status["size"], status["used"], status["free"], status["own"], status["quota"]) == (6, 3, 3, 1, 4)
    assert [one["name"] for one in status["holders"]] == ["web"]
    told = msgspec.json.encode(found).decode()
    assert not [word for word in ("bank", "vault", "desk", "203.0.113.2", "203.0.113.3") if word in told]


def test_without_a_quota_none_is_said() -> None:
    found = views.namespace_pool(USE, "shop", AddressQuota(), is_opened=False)
    assert "quota" not in found["status"]
    assert tables.tabled(views.NAMESPACE_POOLS, [found])["rows"][0]["cells"][-1] == "<none>"


def test_the_words_of_a_site_say_which_pool_a_region_has() -> None:
    site = Site(
        pools=frozenset({"public", "private", "public-ord1"}),
        open_pools={"public": frozenset({"shop"}), "private": frozenset({"bank"})},
        verbs=frozenset({Verb.USE_PUBLIC}),
    )
    status = views.site(site, "shop")["status"]
    assert status["regions"] == [
        {"name": "", "publicPool": "public", "privatePool": "private"},
        {"name": "ord1", "publicPool": "public-ord1", "privatePool": "private"},
    ]
    assert status["openPools"] == ["public"], "what is open to another namespace is that one's business"
    assert (status["verbs"], status["imageNamespaces"]) == (["use-public"], [names.IMAGE_NAMESPACE])


def test_kubectl_gets_a_table_and_other_clients_get_objects() -> None:
    assert tables.wants_table(KUBECTL)
    assert not tables.wants_table("application/json")
    assert not tables.wants_table("*/*")
    table = tables.tabled(views.POOLS, [views.pool(USE)])
    assert [one["name"] for one in table["columnDefinitions"] if not one["priority"]] == [
        *("Name", "Family", "Networks", "Size", "Used", "Free"),
    ]
    (row,) = table["rows"]
    assert row["cells"] == ["public", "IPv4", "203.0.113.0/29", 6, 3, 3, "bank,shop"]
    assert row["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("include", "kind"), [("Object", "Pool"), ("Metadata", "PartialObjectMetadata"), ("None", None)]
)
def test_beside_the_cells_stands_what_the_client_asks_for(include: str, kind: str | None) -> None:
    (row,) = tables.tabled(views.POOLS, [views.pool(USE)], include=include)["rows"]
    assert (row["object"] and row["object"]["kind"]) == kind
