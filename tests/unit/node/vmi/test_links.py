"""A guest's link."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api import names
from virtualserver.fabric.desired.state import DhcpLease, GuestLink, Ranges, Resolver
from virtualserver.kube.cache import Cache
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.queues import Queues
from virtualserver.node.vmi.links import Links, guest_link, has_taken
from virtualserver.node.vmi.specification import NicWish
from virtualserver.node.waits import Wait
from virtualserver.node.watches import WATCHES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key
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

    def granted(self, key: Key) -> tuple[Address, ...] | Wait:
        return (self.granted_address,) if key == ("ns", "one-tcp") else Wait("PoolExhausted", "none is left")

    def is_announced(self, addresses: Sequence[Address]) -> bool:
        return self.announced and self.granted_address in addresses


class Host:
    """What `Links` asks."""

    def __init__(self, path: Path) -> None:
        ranges = Ranges(public={}, private={}, guest=(ipaddress.ip_network("10.42.0.0/29"),), service=(), link=())
        self.allocations = Allocations(path)
        self.queues = Queues()
        self.services = Services()
        self.links = Links(
            Cache(cast("Client", None), WATCHES),
            self.queues,
            Addresses(self.allocations, ranges, users=range(100, 103)),
            cast("ServiceController", self.services),
        )

    def of(self, uid: str = "u", *, attach: str | None = None, **more: Any) -> dict[str, GuestLink] | Wait:
        annotations = {names.ATTACH_LOAD_BALANCER: attach} if attach else {}
        metadata = {"namespace": "ns", "name": "one", "uid": uid, "annotations": annotations}
        found = self.links.of({"metadata": metadata, "spec": {}}, (NicWish("lan", more.pop("mac", None)),), **more)
        return found if isinstance(found, Wait) else dict(found)


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
    assert len(host.queues.services) == 1, "its Service is to take it out of the data plane"


def test_a_service_without_an_address_is_waited_for_longer(host: Host) -> None:
    wait = host.of(attach="other")
    assert isinstance(wait, Wait)
    assert (wait.reason, wait.message, wait.retry_seconds) == ("WaitingForAddress", "none is left", 5.0)


def test_a_running_guest_keeps_its_address_whatever_its_service_says(host: Host) -> None:
    links = host.of(attach="other", has=(ADDRESS,))
    assert isinstance(links, dict)
    assert links["lan"].addresses == (ADDRESS,)


def test_a_mac_of_another_server_is_waited_for(host: Host) -> None:
    assert isinstance(host.of("a", mac="02:00:00:00:00:09"), dict)
    wait = host.of("b", mac="02:00:00:00:00:09")
    assert isinstance(wait, Wait)
    assert wait.reason == "MACAddressTaken"
