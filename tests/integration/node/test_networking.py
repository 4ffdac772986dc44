"""The API of addresses: what the administrator, a user of a namespace, and one of another see of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.node_world import a_namespace, a_service

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
