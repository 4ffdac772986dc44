"""The guest's resolver is what dnsPolicy and dnsConfig say, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.product import Product

GATEWAY = "169.254.1.1"
CLUSTER = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]


class Resolver(NamedTuple):
    """What a resolv.conf says."""

    nameservers: list[str]
    searches: list[str]
    options: list[str]


def _read(text: str) -> Resolver:
    lines = [line.split() for line in text.splitlines()]
    words = {key: [word for line in lines if line[:1] == [key] for word in line[1:]] for key in ("search", "options")}
    return Resolver([line[1] for line in lines if line[:1] == ["nameserver"]], words["search"], words["options"])


def _hosts_own() -> Resolver:
    """What the policy Default stands for: a resolver on the host's loopback is asked through the cluster's."""
    host = _read(Path("/etc/resolv.conf").read_text())
    nameservers = [address for address in host.nameservers if not address.startswith(("127.", "::1", "fe80:"))]
    return Resolver(nameservers or [GATEWAY], [search.rstrip(".") for search in host.searches if search != "."], [])


def _config(**fields: Any) -> dict[str, Any]:
    return {"dnsConfig": fields}


CASES: dict[str, tuple[dict[str, Any], Resolver]] = {
    "absent": ({}, Resolver([GATEWAY], CLUSTER, [])),
    "clusterfirst": ({"dnsPolicy": "ClusterFirst"}, Resolver([GATEWAY], CLUSTER, [])),
    "withhostnet": ({"dnsPolicy": "ClusterFirstWithHostNet"}, Resolver([GATEWAY], CLUSTER, [])),
    "default": ({"dnsPolicy": "Default"}, _hosts_own()),
    "none": (
        {"dnsPolicy": "None"} | _config(nameservers=["192.0.2.53", "192.0.2.54"], searches=["a.example"]),
        Resolver(["192.0.2.53", "192.0.2.54"], ["a.example"], []),
    ),
    "added": (
        _config(nameservers=["192.0.2.53"], searches=["b.example"]),
        Resolver([GATEWAY, "192.0.2.53"], [*CLUSTER, "b.example"], []),
    ),
    "options": (
        _config(options=[{"name": "ndots", "value": "2"}, {"name": "edns0"}]),
        Resolver([GATEWAY], CLUSTER, ["ndots:2", "edns0"]),
    ),
}


@pytest.fixture(scope="module")
def servers(product: Product) -> Iterator[Product]:
    """A running server ``dns-CASE`` for every case."""
    names = [f"dns-{case}" for case in CASES]
    try:
        product.apply(*(a_server(f"dns-{case}", network={"public": False, **CASES[case][0]}) for case in CASES))
        for name in names:
            product.wait_ready(name, seconds=240)
        yield product
    finally:
        product.delete("vs", *names)


@pytest.mark.parametrize("case", CASES)
def test_the_guest_shows_exactly_the_resolver_asked_for(servers: Product, case: str) -> None:
    guest, (_network, expected) = servers.guest(f"dns-{case}"), CASES[case]

    def shown() -> bool:
        found = _read(guest.run("cat /etc/resolv.conf"))
        assert found == expected
        return True

    # The address is taken, which makes the server ready, a moment before the guest writes down what else DHCP said.
    eventually(shown, what=f"{expected}", seconds=20)
