"""A guest's link."""

from __future__ import annotations

import ipaddress
import itertools
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api import names
from virtualserver.api.mac import MacKey
from virtualserver.fabric.desired.state import DhcpLease, GuestLink, Ranges, Resolver, VpcLink
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.objects import controller_reference
from virtualserver.machines.spec import Nic
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.allocation.nics import Nics
from virtualserver.node.queues import Queues
from virtualserver.node.vmi.links import Links, group_of, guest_link, has_taken
from virtualserver.node.vmi.specification import NicWish
from virtualserver.node.waits import Wait
from virtualserver.node.watches import WATCHES
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest, Resource
    from virtualserver.node.services.controller import ServiceController

ADDRESS = ipaddress.ip_address("10.42.0.2")


def a_link(name: str = "one", *, attached: bool = False, **spec: Any) -> GuestLink:
    return guest_link(
        {"metadata": {"name": name}, "spec": spec},
        device="tap1",
        mac="02:00:00:00:00:01",
        user=1,
        addresses=(ADDRESS,),
        is_attached=attached,
        resolver=Resolver((), ()),
    )


def test_the_hostname_is_one_label() -> None:
    assert a_link().hostname == "one"
    assert a_link(hostname="web.example.test").hostname == "web"
    assert len(a_link("x" * 80).hostname) == 63
    assert a_link(hostname="a,b\nc").hostname == "one", "what dnsmasq would read otherwise"


def test_only_own_addresses_are_translated() -> None:
    assert a_link().translated
    assert not a_link(attached=True).translated


def test_a_lease_counts_since_the_start_and_for_the_links_address() -> None:
    link = a_link()

    def taken(address: str, moment: float) -> bool:
        return has_taken(link, {link.mac: DhcpLease(link.mac, ipaddress.ip_address(address), moment)}, since=100.4)

    assert taken("10.42.0.2", 101)
    assert taken("10.42.0.2", 100), "leases have whole seconds"
    assert not taken("10.42.0.2", 90), "that was an earlier start"
    assert not taken("10.42.0.3", 101)
    assert not has_taken(link, {}, since=0)


class Services:
    """Services whose one load balancer address the data plane answers for, or not."""

    def __init__(self) -> None:
        self.granted_address: Address = ipaddress.ip_address("203.0.113.7")
        self.announced = False
        self.floats_to: str | None = None

    def floats_to_another(self, key: Key, vmi: Manifest) -> str | None:
        return self.floats_to

    def granted(self, key: Key) -> tuple[Address, ...] | Wait:
        return (self.granted_address,) if key == ("ns", "one-tcp") else Wait("PoolExhausted", "none is left")

    def announcing(self, addresses: Sequence[Address]) -> list[Key]:
        return [("ns", "one-tcp"), ("ns", "copy")] if self.announced and self.granted_address in addresses else []


class Host:
    """What `Links` asks."""

    def __init__(self, path: Path) -> None:
        ranges = Ranges(public={}, private={}, guest=(ipaddress.ip_network("10.42.0.0/29"),), service=(), link=())
        self.allocations = Allocations(path)
        self.queues = Queues()
        self.services = Services()
        self.cache = Cache(cast("Client", None), WATCHES)
        self.addresses = Addresses(self.allocations, ranges)
        self.links = Links(
            self.cache,
            self.queues,
            self.addresses,
            Nics(self.allocations, range(100, 103)),
            cast("ServiceController", self.services),
            MacKey(bytes(32), {}),
            is_closed=lambda: self.is_closed,
        )
        self.is_closed = False
        self._versions = itertools.count(1)

    def of(self, uid: str = "u", *, mac: str | None = None, **of_vmi: Any) -> dict[str, GuestLink] | Wait:
        found = self.links.of(a_vmi(uid, **of_vmi), (NicWish("lan", mac),), owner=uid)
        return (
            found if isinstance(found, Wait) else {n: link for n, link in found.items() if isinstance(link, GuestLink)}
        )

    def on_vpcs(self, *vpcs: str, uid: str = "u") -> dict[str, VpcLink] | Wait:
        wishes = tuple(NicWish(f"vpc-{place}", None, vpc) for place, vpc in enumerate(vpcs))
        found = self.links.of(a_vmi(uid), wishes, owner=uid)
        return found if isinstance(found, Wait) else {n: link for n, link in found.items() if isinstance(link, VpcLink)}

    def defines(self, name: str, config: str = '{"type": "bridge", "mtu": 9000}') -> None:
        metadata = {"namespace": "ns", "name": name, "uid": f"of-{name}", "resourceVersion": str(next(self._versions))}
        kind = kinds.NETWORK_ATTACHMENT_DEFINITION
        self.cache.remember(kind, {"kind": kind.kind, "metadata": metadata, "spec": {"config": config}})

    def of_running(self, device: str, **of_vmi: Any) -> dict[str, GuestLink]:
        nic = Nic(device=device, mac="02:00:00:00:00:07")
        found = self.links.of_running(a_vmi(**of_vmi), [("lan", nic)], user=100)
        return {name: link for name, link in found.items() if isinstance(link, GuestLink)}

    def knows(self, resource: Resource, name: str, uid: str, *, owner: str | None = None) -> None:
        references = (
            [controller_reference(VIRTUAL_SERVER, {"metadata": {"name": "one", "uid": owner}})] if owner else []
        )
        metadata = {"namespace": "ns", "name": name, "uid": uid, "ownerReferences": references, "resourceVersion": "1"}
        self.cache.remember(resource, {"kind": resource.kind, "metadata": metadata, "spec": {}})


def a_vmi(uid: str = "u", *, attach: str | None = None, shows: str | None = None) -> dict[str, Any]:
    annotations = {names.ATTACH_LOAD_BALANCER: attach} if attach else {}
    metadata = {"namespace": "ns", "name": "one", "uid": uid, "annotations": annotations}
    interfaces = [{"name": "default", "ipAddresses": [shows]}] if shows else []
    status = {"phase": "Running", "interfaces": interfaces}
    return {"kind": "VirtualMachineInstance", "metadata": metadata, "spec": {}, "status": status}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "claims")
    yield host
    host.allocations.close()


def test_a_nic_has_an_address_of_its_own_under_its_name(host: Host) -> None:
    links = host.of()
    assert isinstance(links, dict)
    assert links["lan"].addresses == (ipaddress.ip_address("10.42.0.1"),)
    assert links["lan"].translated
    assert host.of() == links


def test_an_attached_nic_has_the_address_of_its_service(host: Host) -> None:
    links = host.of(attach="one-tcp")
    assert isinstance(links, dict)
    assert links["lan"].addresses == (host.services.granted_address,)
    assert not links["lan"].translated


def test_an_address_that_the_data_plane_still_answers_for_is_waited_for_a_moment(host: Host) -> None:
    host.services.announced = True
    wait = host.of(attach="one-tcp")
    assert isinstance(wait, Wait)
    assert (wait.reason, wait.message) == ("WaitingForAddress", "203.0.113.7 is about to move to the guest")
    assert wait.retry_seconds < 1
    assert len(host.queues.services) == 2, "every Service that has it is to take it out of the data plane"


def test_fault_2_an_address_that_floats_to_another_server_is_not_taken_from_it(host: Host) -> None:
    host.services.floats_to, host.services.announced = "web", True
    wait = host.of(attach="one-tcp")
    assert isinstance(wait, Wait)
    assert wait.reason == "AddressInUse" and "a floating one of VirtualServer web" in wait.message
    assert not len(host.queues.services), "nobody is asked to give it up"
    host.services.floats_to, host.services.announced = None, False
    assert isinstance(host.of(attach="one-tcp"), dict)


def test_a_service_without_an_address_is_waited_for_longer(host: Host) -> None:
    wait = host.of(attach="other")
    assert isinstance(wait, Wait)
    assert (wait.reason, wait.message, wait.retry_seconds) == ("WaitingForAddress", "none is left", 5.0)


def test_an_attached_address_goes_to_one_nic_first_come_and_stays_there(host: Host) -> None:
    """Fault 2: two machines that attach one Service."""
    first = host.of("a", attach="one-tcp")
    second = host.of("b", attach="one-tcp")
    assert isinstance(second, Wait)
    assert second.reason == "AddressInUse"
    assert "203.0.113.7 is the own address of another machine" in second.message
    assert host.of("a", attach="one-tcp") == first
    assert isinstance(host.of("a"), dict), "it starts without"
    assert isinstance(host.of("b", attach="one-tcp"), dict), "so the other may have it"


@pytest.mark.parametrize(
    ("of_service", "of_machine"),
    [
        pytest.param("server", None, id="fault 2: a servers Service for another machine"),
        pytest.param(None, "server", id="anybodys Service for a servers machine"),
    ],
)
def test_a_service_and_the_machine_that_attaches_it_belong_to_the_same_server(
    host: Host, of_service: str | None, of_machine: str | None
) -> None:
    host.knows(VIRTUAL_SERVER, "one", "server")
    host.knows(kinds.SERVICE, "one-tcp", "service", owner=of_service)
    host.knows(kinds.VIRTUAL_MACHINE, "one", "vm", owner=of_machine)
    vmi = a_vmi(attach="one-tcp")
    vm = {"metadata": {"name": "one", "uid": "vm"}}
    vmi["metadata"]["ownerReferences"] = [controller_reference(kinds.VIRTUAL_MACHINE, vm)]
    wait = host.links.of(vmi, (NicWish("lan", None),), owner="server")
    assert isinstance(wait, Wait)
    assert wait.reason == "AddressInUse"
    assert "Service ns/one-tcp" in wait.message


def test_a_running_guest_keeps_what_it_was_started_with_whatever_its_objects_say_now(host: Host) -> None:
    """Fault 3: the owner is gone when the node starts again, and anybody may have written the annotation."""
    started = host.of("server", attach="one-tcp")
    assert isinstance(started, dict)
    running = host.of_running(started["lan"].device, attach="other", shows="10.42.0.5")
    assert running["lan"].addresses == (host.services.granted_address,)
    assert not running["lan"].translated
    assert (running["lan"].mac, running["lan"].user) == ("02:00:00:00:00:07", 100), "as the machine has them"


def test_a_running_guest_of_a_gone_owner_keeps_its_own_address(host: Host) -> None:
    started = host.of("server")
    assert isinstance(started, dict)
    assert host.of_running(started["lan"].device, shows="10.42.0.5")["lan"].addresses == started["lan"].addresses


def test_a_machine_that_an_earlier_version_gave_anothers_tap_gets_no_link(host: Host) -> None:
    """Fault 1, in an installation that was taken over while the thief's machine ran."""
    started = host.of("server")
    assert isinstance(started, dict)
    host.knows(VIRTUAL_SERVER, "victim", "server")
    assert host.of_running(started["lan"].device) == {}
    assert host.of_running("tap99") == {}, "nobody's"


def test_an_attachment_that_an_earlier_version_did_not_record_is_recorded_when_it_is_the_namespaces(host: Host) -> None:
    own = host.of("server")
    assert isinstance(own, dict)
    host.allocations.take("ns/server", "load-balancer/public/4", "address", "203.0.113.7")
    host.allocations.take("victim/key", "load-balancer/public/4", "address", "203.0.113.8")
    device = own["lan"].device
    assert host.of_running(device, attach="one-tcp", shows="203.0.113.8")["lan"].addresses == own["lan"].addresses
    links = host.of_running(device, attach="one-tcp", shows="203.0.113.7")
    assert links["lan"].addresses == host.addresses.attached("server") == (ipaddress.ip_address("203.0.113.7"),)


def test_once_attachments_are_recorded_no_status_tells_of_one(host: Host) -> None:
    own = host.of("server")
    assert isinstance(own, dict)
    host.allocations.take("ns/server", "load-balancer/public/4", "address", "203.0.113.7")
    host.addresses.remember_attachments()
    links = host.of_running(own["lan"].device, attach="one-tcp", shows="203.0.113.7")
    assert links["lan"].addresses == own["lan"].addresses


def test_a_mac_of_another_server_is_waited_for(host: Host) -> None:
    assert isinstance(host.of("a", mac="02:00:00:00:00:09"), dict)
    host.knows(VIRTUAL_SERVER, "one", "a")
    wait = host.of("b", mac="02:00:00:00:00:09")
    assert isinstance(wait, Wait)
    assert wait.reason == "MACAddressTaken"


def test_a_mac_that_the_guest_of_a_deleted_server_still_has_is_free_by_itself(host: Host) -> None:
    """Nobody has to choose another: kubectl replace --force of a server that takes its time to shut down."""
    assert isinstance(host.of("a", mac="02:00:00:00:00:09"), dict)
    wait = host.of("b", mac="02:00:00:00:00:09")
    assert isinstance(wait, Wait) and wait.reason == "FormerGuestStops" and wait.retry_seconds == 1
    told = "VirtualMachine ns/one, which was deleted, has MAC address 02:00:00:00:00:09 until its guest has ended"
    assert told in wait.message
    host.allocations.free(host.allocations.all())
    assert isinstance(host.of("b", mac="02:00:00:00:00:09"), dict)


def test_fault_11_guests_are_of_one_group_or_of_one_of_their_namespace() -> None:
    assert group_of("a", is_closed=False) == group_of("b", is_closed=False) == 1
    numbers = {group_of(name, is_closed=True) for name in ("a", "b", "default")}
    assert len(numbers) == 3
    assert group_of("a", is_closed=True) == group_of("a", is_closed=True)
    assert all(1 < number < 1 << 32 for number in numbers)


def test_a_link_is_of_the_group_that_the_site_says_now(host: Host) -> None:
    links = host.of()
    assert isinstance(links, dict)
    assert links["lan"].group == 1
    host.is_closed = True
    now = host.links.as_now(links["lan"], a_vmi("u"))
    assert isinstance(now, GuestLink) and now.group == group_of("ns", is_closed=True)


def test_a_nic_on_a_vpc_has_a_mac_and_a_tap_by_the_vpc_whatever_its_place(host: Host) -> None:
    for name in ("a", "b", "c"):
        host.defines(name)
    first = host.on_vpcs("a", "b")
    assert isinstance(first, dict)
    a, b = first.values()
    assert (a.mtu, a.user) == (9000, 100) and a.device.startswith("nic") and a.bridge.startswith("vpc")
    assert len({a.mac, b.mac}) == len({a.device, b.device}) == len({a.bridge, b.bridge}) == 2
    second = host.on_vpcs("a", "c", "b")
    assert isinstance(second, dict) and [*second.values()][::2] == [a, b]
    third = host.on_vpcs("b")
    assert isinstance(third, dict) and [*third.values()] == [b]
    recorded = {one.purpose for one in host.allocations.all() if one.owner == "u"}
    assert recorded == {"user", "tap/b", "mac/b"}, "what it is on no more is free"
    again = host.on_vpcs("b", uid="made again")
    assert isinstance(again, Wait) and again.reason == "FormerGuestStops", "as long as the one before is there"
    host.allocations.free(host.allocations.all())
    again = host.on_vpcs("b", uid="made again")
    assert isinstance(again, dict) and again["vpc-0"].mac == b.mac


def test_a_vpc_that_is_not_there_or_asks_for_what_is_not_is_waited_for(host: Host) -> None:
    wait = host.on_vpcs("blue")
    assert isinstance(wait, Wait) and wait.reason == "WaitingForNetwork"
    assert "there is no NetworkAttachmentDefinition ns/blue" in wait.message
    host.defines("blue", '{"type": "bridge", "ipam": {"type": "host-local"}}')
    wait = host.on_vpcs("blue")
    assert isinstance(wait, Wait) and wait.reason == "NetworkNotSupported" and "ipam" in wait.message
    host.defines("blue", '{"type": "bridge", "mtu": 9000, "name": "blue", "ipam": {}, "isGateway": false}')
    assert isinstance(host.on_vpcs("blue"), dict)


def test_a_machine_that_runs_keeps_its_place_on_a_vpc_whatever_its_object_says_now(host: Host) -> None:
    host.defines("blue")
    links = host.on_vpcs("blue")
    assert isinstance(links, dict)
    blue = links["vpc-0"]
    nic = Nic(blue.device, blue.mac, blue.mtu)
    assert host.links.of_running(a_vmi(), [("vpc-0", nic)], user=100) == {"vpc-0": blue}


def test_a_definition_that_is_deleted_or_changed_in_use_is_told_of(host: Host) -> None:
    host.defines("blue")
    links = host.on_vpcs("blue")
    assert isinstance(links, dict)

    def told() -> str:
        return host.links.network_differs(a_vmi(), links.values())

    assert told() == ""
    host.defines("blue", '{"type": "bridge", "mtu": 1400}')
    assert told() == "VPC blue: NetworkAttachmentDefinition ns/blue: MTU 1400 instead of 9000 from the next start on"
    host.defines("blue", '{"type": "bridge", "vlan": 7}')
    assert "is not carried out as it is now, which the next start waits for" in told() and "vlan" in told()


def test_a_definition_that_is_deleted_in_use_is_told_of(host: Host, tmp_path: Path) -> None:
    host.defines("blue")
    links = host.on_vpcs("blue")
    assert isinstance(links, dict)
    host.allocations.close()
    later = Host(tmp_path / "claims")  # its cache has seen no definition
    told = later.links.network_differs(a_vmi(), links.values())
    assert told.startswith("VPC blue: NetworkAttachmentDefinition ns/blue was deleted: the network is there until")
    later.allocations.close()
