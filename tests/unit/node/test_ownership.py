"""To whom it belongs what the node gives, judged from the objects that live; see `plan.ownership` for the judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import controller_reference
from virtualserver.node.ownership import living_owners, look_for_owners, owner_of, server_of
from virtualserver.node.watches import WATCHES
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource


class Node:
    """What a node's cache knows, and what the API server has besides."""

    def __init__(self) -> None:
        self.cache = Cache(cast("Client", None), WATCHES)
        self.unseen: dict[tuple[Resource, str, str], Manifest] = {}

    def knows(self, resource: Resource, uid: str, *, owner: dict[str, Any] | None = None, **metadata: Any) -> Manifest:
        return self.cache.remember(resource, an_object(resource, uid, owner=owner, **metadata))

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Manifest:
        try:
            return self.unseen[resource, namespace, name]
        except KeyError:
            raise NotFound("not there", status=404) from None


@pytest.fixture
async def node() -> Node:
    return Node()


def an_object(resource: Resource, uid: str, *, owner: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    base = {"namespace": "ns", "name": "web", "uid": uid, "resourceVersion": "1"}
    references = {"ownerReferences": [owner]} if owner else {}
    return {"kind": resource.kind, "metadata": {**base, **references, **metadata}}


def of(resource: Resource, uid: str, name: str = "web") -> dict[str, Any]:
    return controller_reference(resource, {"metadata": {"name": name, "uid": uid}})


def a_vmi(**metadata: Any) -> dict[str, Any]:
    return an_object(kinds.VIRTUAL_MACHINE_INSTANCE, "vmi", owner=of(kinds.VIRTUAL_MACHINE, "vm"), **metadata)


async def test_what_a_vmi_holds_belongs_to_the_server_of_its_machine(node: Node) -> None:
    node.knows(VIRTUAL_SERVER, "server")
    node.knows(kinds.VIRTUAL_MACHINE, "vm", owner=of(VIRTUAL_SERVER, "server"))
    assert owner_of(node.cache, a_vmi()) == server_of(node.cache, a_vmi()) == "server"


async def test_a_machine_without_a_server_owns_what_its_vmi_holds(node: Node) -> None:
    node.knows(kinds.VIRTUAL_MACHINE, "vm")
    assert owner_of(node.cache, a_vmi()) == "vm"
    assert server_of(node.cache, a_vmi()) is None


@pytest.mark.parametrize(
    ("server", "owner"),
    [
        pytest.param({"namespace": "victim"}, of(VIRTUAL_SERVER, "server"), id="fault 1: of another namespace"),
        pytest.param({"name": "db"}, of(VIRTUAL_SERVER, "server", "db"), id="of a server that has another machine"),
        pytest.param({"name": "db"}, of(VIRTUAL_SERVER, "server"), id="the UID of another server"),
        pytest.param({}, of(VIRTUAL_SERVER, "earlier"), id="of an earlier server of the name"),
        pytest.param({}, of(kinds.DATA_VOLUME, "server"), id="the UID as that of another kind"),
        pytest.param(
            {},
            {**of(VIRTUAL_SERVER, "server"), "apiVersion": "example.test/v1alpha1"},
            id="fault 1: a kind that nobody can look up",
        ),
        pytest.param({}, {**of(VIRTUAL_SERVER, "server"), "controller": False}, id="an owner that controls nothing"),
    ],
)
async def test_a_machine_that_only_says_that_it_is_a_servers_has_claims_of_its_own(
    node: Node, server: dict[str, Any], owner: dict[str, Any]
) -> None:
    node.knows(VIRTUAL_SERVER, "server", **server)
    node.knows(kinds.VIRTUAL_MACHINE, "vm", owner=owner)
    assert owner_of(node.cache, a_vmi()) == "vm"
    assert server_of(node.cache, a_vmi()) is None


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(of(kinds.VIRTUAL_MACHINE, "old"), id="of an earlier machine of its name"),
        pytest.param(of(VIRTUAL_SERVER, "server"), id="fault 1: of the server itself"),
        pytest.param(of(kinds.VIRTUAL_MACHINE, "vm", "other"), id="of a machine of another name"),
        pytest.param(None, id="made by hand"),
    ],
)
async def test_a_vmi_that_no_living_machine_made_has_claims_of_its_own(node: Node, owner: dict[str, Any]) -> None:
    node.knows(VIRTUAL_SERVER, "server")
    node.knows(kinds.VIRTUAL_MACHINE, "vm", owner=of(VIRTUAL_SERVER, "server"))
    assert owner_of(node.cache, an_object(kinds.VIRTUAL_MACHINE_INSTANCE, "vmi", owner=owner)) == "vmi"


@pytest.mark.parametrize(("name", "owner"), [("web-tcp", "server"), ("web", "server"), ("web-2", "service")])
async def test_a_service_is_a_servers_under_the_names_that_it_gives(node: Node, name: str, owner: str) -> None:
    node.knows(VIRTUAL_SERVER, "server")
    service = an_object(kinds.SERVICE, "service", owner=of(VIRTUAL_SERVER, "server"), name=name)
    assert owner_of(node.cache, service) == owner


async def test_only_what_lives_is_alive_whatever_others_say_of_it(node: Node) -> None:
    node.knows(VIRTUAL_SERVER, "server")
    node.knows(kinds.VIRTUAL_MACHINE, "vm", owner=of(VIRTUAL_SERVER, "dead"))
    node.knows(kinds.SERVICE, "service", owner=of(VIRTUAL_SERVER, "dead"), labels={names.UID: "dead"})
    node.knows(kinds.PERSISTENT_VOLUME_CLAIM, "claim")
    assert living_owners(node.cache) == {"server", "vm", "service"}


async def test_an_owner_that_the_cache_has_not_seen_yet_is_looked_for(node: Node) -> None:
    machine = an_object(kinds.VIRTUAL_MACHINE, "vm", owner=of(VIRTUAL_SERVER, "server"), resourceVersion="3")
    node.unseen[kinds.VIRTUAL_MACHINE, "ns", "web"] = machine
    node.unseen[VIRTUAL_SERVER, "ns", "web"] = an_object(VIRTUAL_SERVER, "server", resourceVersion="2")
    await look_for_owners(node.cache, cast("Client", node), a_vmi())
    assert owner_of(node.cache, a_vmi()) == "server"


async def test_an_owner_that_does_not_exist_is_none(node: Node) -> None:
    node.knows(kinds.VIRTUAL_MACHINE, "vm", owner=of(VIRTUAL_SERVER, "server"))
    await look_for_owners(node.cache, cast("Client", node), a_vmi())
    assert owner_of(node.cache, a_vmi()) == "vm"
