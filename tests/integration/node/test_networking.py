"""The API of addresses: what the administrator, a user of a namespace, and one of another see of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.manifests import a_virtual_server
from harness.node_world import a_namespace, a_service, an_empty_machine
from virtualserver.api.network_path import Element, LossPlace, NetworkPath, decode
from virtualserver.kube.objects import controller_reference
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)

ROOT = "/apis/network.virtualservers.coreweave.com/v1alpha1"


@pytest.fixture
def shop(running_node: NodeWorld, node: NodeWorld) -> Iterator[NodeWorld]:
    """A node whose public pool has an address of the test's namespace, where ada may view, and one of another's."""
    own = node.namespace
    node.api.kubectl("-n", own, "create", "rolebinding", "ada", "--clusterrole=view", "--user=ada")
    node.apply(a_service("web"))
    with a_namespace(running_node) as other:
        node.namespace = other
        node.apply(a_service("vault"))
        node.address_of("vault")
        node.namespace = own
        node.address_of("web")
        yield node
    node.namespace = own


def read(node: NodeWorld, path: str, *, as_user: str = "") -> dict[str, Any]:
    text = node.api.kubectl("get", "--raw", f"{ROOT}{path}", *((f"--as={as_user}",) if as_user else ()))
    return json.loads(text)


def refused(node: NodeWorld, *arguments: str) -> str:
    return node.api.kubectl(*arguments, check=False)


def test_pools_are_told_to_each_as_far_as_they_are_its_business(shop: NodeWorld) -> None:
    address, own = shop.address_of("web"), shop.namespace
    # The administrator: all holders.
    (public,) = [one for one in read(shop, "/pools")["items"] if one["metadata"]["name"] == "public"]
    names = {(one["namespace"], one["name"]) for one in public["status"]["holders"]}
    assert {name for _, name in names} >= {"web", "vault"}
    assert public["status"]["size"] == 6
    table = shop.api.kubectl("get", "pools").splitlines()
    assert table[0].split() == ["NAME", "FAMILY", "NETWORKS", "SIZE", "USED", "FREE"]
    assert any(line.split()[0] == "public" and line.split()[3] == "6" for line in table)
    # Who may view one namespace: totals, and its own.
    seen = read(shop, f"/namespaces/{own}/namespacepools/public", as_user="ada")["status"]
    assert (seen["size"], seen["used"]) == (6, public["status"]["used"])
    assert [(one["address"], one["name"]) for one in seen["holders"]] == [(address, "web")]
    assert "public" in shop.api.kubectl("-n", own, "get", "namespacepools", "--as=ada")
    assert read(shop, f"/namespaces/{own}/sites", as_user="ada")["items"][0]["status"]["imageNamespaces"]
    # And no more, by whatever path.
    assert "Forbidden" in refused(shop, "get", "pools", "--as=ada")
    assert "Forbidden" in refused(shop, "get", "namespacepools", "-A", "--as=ada")
    assert "Forbidden" in refused(shop, "-n", "default", "get", "namespacepools", "--as=ada")
    for path in (f"/namespaces/{own}/pools", f"/namespaces/{own}/pools/public"):
        answer = refused(shop, "get", "--raw", f"{ROOT}{path}", "--as=ada")
        assert "vault" not in answer and "NotFound" in answer.replace(" ", "")


def test_nothing_is_written_there_and_nothing_watched(node: NodeWorld) -> None:
    assert "MethodNotAllowed" in refused(node, "delete", "pool", "public").replace(" ", "")
    assert "cannot be watched" in refused(node, "get", "--raw", f"{ROOT}/pools?watch=true")
    assert "NotFound" in refused(node, "get", "pool", "nothing")


def test_the_way_to_a_server_says_where_packets_are_lost_to_whom_it_concerns(shop: NodeWorld) -> None:
    """The guest is firmware that never asks for an address, so that all but it is as it should be."""
    own = shop.namespace
    shop.apply(a_virtual_server(name="web", namespace=own))
    owner = controller_reference(VIRTUAL_SERVER, shop.get("vs", "web"))
    path = f"/namespaces/{own}/virtualservers/web/path"

    def look() -> NetworkPath:
        return decode(read(shop, path, as_user="ada")["status"])

    stopped = look()
    assert stopped.loss is not None
    assert (stopped.loss.place, stopped.guest.runs) == (LossPlace.MACHINE, False)
    shop.delete("service", "web")
    shop.apply(a_service("web-tcp", selects="web", ports=(("TCP", 22),)), an_empty_machine("web", owner=owner))
    shop.wait_printable("web", "Running")
    address = shop.address_of("web-tcp")

    def leads_to_the_guest() -> NetworkPath | None:
        seen = look()
        ports = [port.element for one in seen.addresses if one.address == address for port in one.ports]
        return seen if ports == [Element.OPEN] else None

    seen = shop.eventually(leads_to_the_guest, what=lambda: str(look()))
    assert seen is not None and seen.loss is not None
    (card,) = seen.guest.cards
    assert (seen.loss.place, card.whole, card.heard, card.lease) == (LossPlace.LEASE, True, "", "")
    assert [one.kind for one in seen.addresses] == ["ports", "own"]
    assert "Forbidden" in refused(shop, "get", "--raw", f"{ROOT}{path}", "--as=bob")
    elsewhere = f"{ROOT}/namespaces/default/virtualservers/web/path"
    assert "Forbidden" in refused(shop, "get", "--raw", elsewhere, "--as=ada")
    assert "NotFound" in refused(shop, "get", "--raw", elsewhere)
