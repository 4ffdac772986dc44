"""What becomes of the links of a guest that runs when its host, or the site, changes."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.fabric.desired.state import GuestLink, Resolver
from virtualserver.fabric.refusals import Refused
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.machines.ends import Running
from virtualserver.machines.spec import MachineSpec
from virtualserver.node.held import Held
from virtualserver.node.queues import Queues
from virtualserver.node.vmi.placement import Placement
from virtualserver.node.watches import WATCHES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.machine import Machine

ADDRESSES = (ipaddress.ip_address("10.42.0.2"),)


def a_vmi(uid: str, *interfaces: dict[str, Any]) -> Manifest:
    metadata = {"name": uid, "namespace": "team", "uid": uid, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"domain": {"devices": {"interfaces": [*interfaces]}}}}


class Told:
    """The resolver and the group that guests are to have, and the links that were set; of some the kernel refuses."""

    def __init__(self) -> None:
        self.now = Resolver((ipaddress.ip_address("192.0.2.1"),), ())
        self.group = 1
        self.refused: set[str] = set()
        self.left_out: set[str] = set()
        self.set: list[tuple[str, GuestLink, str]] = []

    def as_now(self, link: GuestLink, vmi: Manifest) -> GuestLink:
        return dataclasses.replace(link, resolver=self.now, group=self.group)

    def of_running(self, vmi: Manifest, nics: object, *, user: int) -> dict[str, GuestLink]:
        return {"default": a_link(self)}

    def identifiers_of(self, disks: object) -> dict[str, bool]:
        return {}

    def why_left_out(self, owner: str, *, nic: str) -> str:
        return "no card has this address" if owner in self.left_out else ""

    async def set_link(self, owner: str, link: GuestLink, *, nic: str) -> int:
        if owner in self.refused:
            raise Refused("no card has this address")
        self.left_out.discard(owner)
        self.set.append((owner, link, nic))
        return 1


class AMachine:
    """A machine that runs."""

    spec = MachineSpec("", "team/web", cpus=1, memory_bytes=1 << 20, accelerator="tcg", user=7)
    state = Running()
    is_dismissed = False

    async def changes(self) -> AsyncIterator[Running]:
        yield self.state


def a_placement(told: Told, held: Held, *vmis: Manifest) -> Placement:
    unused, this, cache = cast("Any", None), cast("Any", told), Cache(cast("Any", None), WATCHES)
    for vmi in vmis:
        cache.remember(kinds.VIRTUAL_MACHINE_INSTANCE, vmi)
    return Placement(cache, held, this, this, unused, unused, this)


def a_link(told: Told) -> GuestLink:
    return GuestLink("vst-1", "02:00:00:00:00:01", ADDRESSES, "web", told.now, user=7)


async def test_a_guest_that_runs_is_told_of_other_name_servers_once() -> None:
    """Fault 33: by DHCP, at its next lease."""
    told, held = Told(), Held(Queues())
    placement = a_placement(told, held)
    held.add_link("u-1", "default", a_link(told))
    await placement.follow(a_vmi("u-1"))
    assert told.set == []
    told.now = Resolver((ipaddress.ip_address("192.0.2.2"),), ())
    for _ in range(2):
        await placement.follow(a_vmi("u-1"))
    ((owner, followed, nic),) = told.set
    assert (owner, nic, followed.resolver) == ("u-1", "default", told.now)
    assert held.links_of("u-1") == {"default": followed}


async def test_a_link_that_cannot_be_of_another_group_holds_up_no_other_and_is_tried_again() -> None:
    """One refused link ended the node's task that follows the site, and with it the node."""
    told, held = Told(), Held(Queues())
    placement = a_placement(told, held)
    for uid in ("u-1", "u-2"):
        held.add_link(uid, "default", a_link(told))
    told.group, told.refused = 7, {"u-1"}
    assert await placement.follow(a_vmi("u-1")) == "network card default: no card has this address"
    assert await placement.follow(a_vmi("u-2")) == ""
    told.refused = set()
    assert await placement.follow(a_vmi("u-1")) == ""
    assert [(owner, link.group) for owner, link, _ in told.set] == [("u-2", 7), ("u-1", 7)]


async def test_a_link_that_was_left_out_when_the_node_took_over_is_tried_again_and_told() -> None:
    told, held = Told(), Held(Queues())
    placement = a_placement(told, held)
    held.add_link("u-1", "default", a_link(told))
    told.left_out = told.refused = {"u-1"}
    assert await placement.follow(a_vmi("u-1")) == "network card default: no card has this address"
    told.refused = set()
    assert await placement.follow(a_vmi("u-1")) == await placement.follow(a_vmi("u-1")) == ""
    assert [owner for owner, _, _ in told.set] == ["u-1"]


async def test_a_machine_that_is_gone_gets_no_link() -> None:
    told, held = Told(), Held(Queues())
    told.group = 7
    await a_placement(told, held).follow(a_vmi("u-1"))
    assert told.set == [] and held.links_of("u-1") == {}


async def test_a_guest_whose_links_cannot_be_told_keeps_no_other_from_being_taken_over_and_says_so_in_its_pass(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One ended each start of the node, for all."""
    told, held = Told(), Held(Queues())
    odd, plain, machine = a_vmi("odd", {"bridge": {}}), a_vmi("plain", {"name": "default"}), cast("Machine", AMachine())
    placement = a_placement(told, held, odd, plain)
    placement.adopt({"odd": machine, "plain": machine})
    assert {key.owner for key in held.links()} == {"plain"} and held.machines().keys() == {"odd", "plain"}
    assert "team/odd: what its machine has cannot be told" in caplog.text
    with pytest.raises(KeyError, match="name"):
        await placement.follow(odd)
    await placement.follow(a_vmi("odd", {"name": "default"}))
    assert [owner for owner, _, _ in told.set] == ["odd"] and {key.owner for key in held.links()} == {"plain", "odd"}
