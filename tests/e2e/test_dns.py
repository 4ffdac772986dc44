"""The guest's resolver is what dnsPolicy and dnsConfig say, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server

if TYPE_CHECKING:
    from e2e.product import Product

CLUSTER = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]

CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "absent": ({}, ["169.254.1.1"], CLUSTER),
    "clusterfirst": ({"dnsPolicy": "ClusterFirst"}, ["169.254.1.1"], CLUSTER),
    "none": (
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.53", "192.0.2.54"], "searches": ["a.example"]}},
        ["192.0.2.53", "192.0.2.54"],
        ["a.example"],
    ),
    "added": (
        {"dnsConfig": {"nameservers": ["192.0.2.53"], "searches": ["b.example"]}},
        ["169.254.1.1", "192.0.2.53"],
        [*CLUSTER, "b.example"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_guest_shows_exactly_the_resolver_asked_for(product: Product, case: str) -> None:
    network, nameservers, searches = CASES[case]
    name = f"dns-{case}"
    product.apply(a_server(name, network={"public": False, **network}))
    try:
        product.wait_ready(name)
        lines = [line.split() for line in product.guest(name).run("cat /etc/resolv.conf").splitlines()]
        assert [line[1] for line in lines if line[0] == "nameserver"] == nameservers
        assert [word for line in lines if line[0] == "search" for word in line[1:]] == searches
    finally:
        product.delete("vs", name)
