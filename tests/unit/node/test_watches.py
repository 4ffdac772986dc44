"""Which controllers look at what, after a change in the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.store import Change
from virtualserver.node.queues import Queues
from virtualserver.node.watches import WATCHES, Watches
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest, Resource
    from virtualserver.kube.queue import Queue


class Node:
    """The watches of a node, with what its cache knows."""

    def __init__(self) -> None:
        self.cache = Cache(cast("Client", None), WATCHES)
        self.queues = Queues()
        self.watches = Watches(self.cache, self.queues)
        self._version = 0

    def know(self, resource: Resource, manifest: dict[str, Any]) -> Manifest:
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        manifest.setdefault("kind", resource.kind)
        return self.cache.remember(resource, manifest)

    def change(self, resource: Resource, old: Manifest | None, new: Manifest | None) -> None:
        before, after = ({"kind": resource.kind, **one} if one else None for one in (old, new))
        self.watches.receive(resource, Change(before, after))


async def keys(queue: Queue[Key]) -> set[str]:
    return {(await queue.get())[1] for _ in range(len(queue))}


@pytest.fixture
async def node() -> Node:
    return Node()


def an_object(name: str, *, spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", **metadata}, "spec": spec or {}}


def a_service(name: str, *, key: str | None = None, **spec: Any) -> dict[str, Any]:
    annotations = {names.METALLB_ALLOW_SHARED_IP: key} if key else {}
    return an_object(name, annotations=annotations, spec={"type": "LoadBalancer", "ports": [], **spec})


async def test_a_service_that_goes_lets_the_others_of_its_group_look_again(node: Node) -> None:
    gone = a_service("a", key="server")
    node.know(kinds.SERVICE, a_service("b", key="server"))
    node.know(kinds.SERVICE, a_service("c"))
    node.change(kinds.SERVICE, gone, None)
    assert await keys(node.queues.services) == {"a", "b"}
    assert await node.queues.sweep.get() == "all"


async def test_a_change_of_source_ranges_lets_those_that_share_the_address_look_again(node: Node) -> None:
    before = a_service("a", key="server")
    node.know(kinds.SERVICE, a_service("b", key="server"))
    node.know(kinds.SERVICE, a_service("c"))
    node.change(kinds.SERVICE, before, a_service("a", key="server", loadBalancerSourceRanges=["192.0.2.0/24"]))
    assert await keys(node.queues.services) == {"a", "b"}


PLAIN = a_service("a", key="server")


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, PLAIN), (PLAIN, a_service("a", key="server", selector={"for": "one"})), (a_service("a", key="k"), PLAIN)],
)
async def test_fault_16_a_service_that_comes_to_an_address_or_gets_a_selector_lets_those_that_share_it_look_again(
    node: Node, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    """What of the address floats for others depends on it."""
    node.know(kinds.SERVICE, a_service("b", key="server"))
    node.change(kinds.SERVICE, before, after)
    assert await keys(node.queues.services) == {"a", "b"}


async def test_a_new_service_wakes_the_vmis_that_wait_for_its_address(node: Node) -> None:
    node.know(kinds.VIRTUAL_MACHINE_INSTANCE, an_object("one", annotations={names.ATTACH_LOAD_BALANCER: "one-tcp"}))
    node.know(kinds.VIRTUAL_MACHINE_INSTANCE, an_object("two"))
    node.change(kinds.SERVICE, None, a_service("one-tcp"))
    assert await keys(node.queues.vmis) == {"one"}


SELECTING = a_service("one-tcp", selector={"app": "one"})


@pytest.mark.parametrize(
    ("now", "looked_at"),
    [
        (None, {"one"}),
        (a_service("one-tcp", selector={"app": "two"}), {"one"}),
        ({**SELECTING, "status": {}}, frozenset[str]()),
    ],
    ids=["goes", "selects others", "status"],
)
async def test_a_service_that_concerns_it_no_longer_wakes_the_vmi_that_waited_for_it(
    node: Node, now: dict[str, Any] | None, looked_at: set[str]
) -> None:
    """It would say for good that its ports are being put in place, of which none is wanted any more."""
    node.know(kinds.VIRTUAL_MACHINE_INSTANCE, an_object("one", labels={"app": "one"}))
    node.change(kinds.SERVICE, SELECTING, now)
    assert await keys(node.queues.vmis) == looked_at


async def test_a_claim_that_goes_wakes_the_vmi_that_waited_for_the_address(node: Node) -> None:
    owner = {"kind": "VirtualServer", "name": "one", "uid": "uid-one", "controller": True}
    claim = an_object("fip", labels={"kubernetes.io/service-name": "fip"}, ownerReferences=[owner])
    node.change(kinds.ENDPOINT_SLICE, claim, None)
    assert await keys(node.queues.vmis) == {"one"}


async def test_a_vmi_whose_face_changes_concerns_the_services_that_select_it(node: Node) -> None:
    node.know(kinds.SERVICE, a_service("one-tcp", selector={"app": "one"}))
    node.know(kinds.SERVICE, a_service("two-tcp", selector={"app": "two"}))
    before = an_object("one", labels={"app": "one"})
    after = {**before, "status": {"phase": "Running"}}
    node.change(kinds.VIRTUAL_MACHINE_INSTANCE, before, {**before, "status": {"nodeName": "host"}})
    assert await keys(node.queues.services) == set()
    node.change(kinds.VIRTUAL_MACHINE_INSTANCE, before, after)
    assert await keys(node.queues.services) == {"one-tcp"}
    assert await keys(node.queues.vms) == await keys(node.queues.vmis) == {"one"}


async def test_fault_39_a_vmi_that_gets_other_labels_concerns_the_services_of_both(node: Node) -> None:
    node.know(kinds.SERVICE, a_service("one-tcp", selector={"app": "one"}))
    node.know(kinds.SERVICE, a_service("two-tcp", selector={"app": "two"}))
    vmis = [an_object("one", labels={"app": app}) for app in ("one", "two")]
    node.change(kinds.VIRTUAL_MACHINE_INSTANCE, *vmis)
    assert await keys(node.queues.services) == {"one-tcp", "two-tcp"}


def a_labelled_machine(name: str, **labels: str) -> dict[str, Any]:
    return an_object(name, spec={"template": {"metadata": {"labels": labels}, "spec": {}}})


async def test_fault_39_a_machine_that_gets_other_labels_concerns_the_services_of_both(node: Node) -> None:
    for name in ("old", "new", "third"):
        node.know(kinds.SERVICE, a_service(name, type="ClusterIP", selector={"app": name}))
    node.change(kinds.VIRTUAL_MACHINE, a_labelled_machine("one", app="old"), a_labelled_machine("one", app="new"))
    assert await keys(node.queues.services) == {"old", "new"}
    assert await keys(node.queues.vmis) == {"one"}


@pytest.mark.parametrize("comes", [True, False])
async def test_fault_39_a_machine_that_comes_or_goes_concerns_the_load_balancers_that_matched_nobody(
    node: Node, comes: bool
) -> None:
    node.know(kinds.SERVICE, a_service("one", selector={"vm.kubevirt.io/name": "one"}))
    node.know(kinds.SERVICE, a_service("two", selector={"vm.kubevirt.io/name": "two"}))
    node.know(kinds.SERVICE, a_service("cluster", type="ClusterIP", selector={"vm.kubevirt.io/name": "one"}))
    machine = a_labelled_machine("one")
    node.change(kinds.VIRTUAL_MACHINE, None if comes else machine, machine if comes else None)
    assert await keys(node.queues.services) == {"one"}


async def test_an_image_wakes_the_data_volumes_that_clone_it(node: Node) -> None:
    source = {"source": {"pvc": {"namespace": "ns", "name": "debian"}}}
    node.know(kinds.DATA_VOLUME, an_object("one", spec=source))
    node.know(kinds.DATA_VOLUME, an_object("two", spec={"source": {"pvc": {"name": "other"}}}))
    image = an_object("debian", annotations={names.IMAGE: "sha256:0"})
    node.change(kinds.PERSISTENT_VOLUME_CLAIM, None, image)
    assert await keys(node.queues.volumes) == {"debian", "one"}


async def test_a_data_volume_wakes_the_machines_that_name_it(node: Node) -> None:
    template = {"spec": {"volumes": [{"name": "root", "dataVolume": {"name": "one"}}]}}
    node.know(kinds.VIRTUAL_MACHINE, an_object("one", spec={"template": template}))
    node.know(kinds.VIRTUAL_MACHINE, an_object("two", spec={"template": {"spec": {}}}))
    node.know(kinds.VIRTUAL_MACHINE, an_object("an-empty-one", spec={"template": {}}))
    node.change(kinds.DATA_VOLUME, None, an_object("one"))
    assert await keys(node.queues.vms) == await keys(node.queues.vmis) == {"one"}


async def test_a_slice_that_somebody_changes_is_looked_at_with_its_service(node: Node) -> None:
    slice_ = an_object("one-tcp-ipv4", labels={"kubernetes.io/service-name": "one-tcp"})
    node.change(kinds.ENDPOINT_SLICE, slice_, None)
    assert await keys(node.queues.services) == {"one-tcp"}


async def test_endpoints_made_by_hand_are_looked_at_when_a_guest_of_their_namespace_changes(node: Node) -> None:
    node.know(kinds.ENDPOINT_SLICE, an_object("mine", labels={"kubernetes.io/service-name": "by-hand"}))
    ours = {"kubernetes.io/service-name": "one", "endpointslice.kubernetes.io/managed-by": "virtualserver-node"}
    node.know(kinds.ENDPOINT_SLICE, an_object("one-ipv4", labels=ours))
    node.change(kinds.VIRTUAL_MACHINE_INSTANCE, None, an_object("one"))
    assert await keys(node.queues.services) == {"by-hand"}


SERVER = an_object("one")


@pytest.mark.parametrize(
    ("old", "new"), [(None, SERVER), (SERVER, None), (SERVER, an_object("one", uid="made anew under its name"))]
)
async def test_whose_a_machine_and_its_services_are_changes_with_the_server(
    node: Node, old: Manifest | None, new: Manifest | None
) -> None:
    node.change(VIRTUAL_SERVER, old, new)
    assert await keys(node.queues.services) == {"one", "one-tcp", "one-udp"}
    assert await keys(node.queues.vmis) == {"one"}
    if old is not None:
        assert await node.queues.sweep.get() == "all"


async def test_what_a_server_asks_for_is_the_operators_affair(node: Node) -> None:
    node.change(VIRTUAL_SERVER, SERVER, {**SERVER, "status": {}})
    assert len(node.queues.vmis) == len(node.queues.services) == 0


@pytest.mark.parametrize(
    ("before", "looked_at"), [(None, {"a"}), ("4", {"a"}), ("5", frozenset[str]())], ids=["new", "another", "same"]
)
async def test_a_namespace_that_comes_or_has_another_quota_lets_its_services_look_again(
    node: Node, before: str | None, looked_at: set[str]
) -> None:
    node.know(kinds.SERVICE, a_service("a"))
    old = None if before is None else {"metadata": {"name": "ns", "annotations": {names.ADDRESS_QUOTA: before}}}
    new = {"metadata": {"name": "ns", "labels": {"x": "y"}, "annotations": {names.ADDRESS_QUOTA: "5"}}}
    node.change(kinds.NAMESPACE, old, new)
    assert await keys(node.queues.services) == looked_at


async def test_what_the_site_decides_about_is_looked_at_again_each_in_its_own_pass(node: Node) -> None:
    """The links of all guests were changed in one go, which one refused link ended."""
    node.know(kinds.SERVICE, a_service("a"))
    node.know(kinds.DATA_VOLUME, an_object("disk"))
    node.know(kinds.VIRTUAL_MACHINE_INSTANCE, an_object("one"))
    node.watches.site_changed()
    assert await keys(node.queues.services) == {"a"}
    assert await keys(node.queues.volumes) == {"disk"}
    assert await keys(node.queues.vmis) == {"one"}
