"""What a guest that runs is told when its host changes."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, cast

from virtualserver.fabric.desired.state import GuestLink, Resolver
from virtualserver.node.held import Held
from virtualserver.node.queues import Queues
from virtualserver.node.vmi.placement import Placement

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

VMI: dict[str, Any] = {"metadata": {"name": "web", "namespace": "team", "uid": "u-1"}, "spec": {}}


class Told:
    """The resolver that guests are to be told, and the links that were set."""

    def __init__(self) -> None:
        self.now = Resolver((ipaddress.ip_address("192.0.2.1"),), ())
        self.set: list[tuple[str, GuestLink, str]] = []

    def resolver(self, vmi: Manifest) -> Resolver:
        return self.now

    async def set_link(self, owner: str, link: GuestLink, *, nic: str) -> int:
        self.set.append((owner, link, nic))
        return 1


async def test_a_guest_that_runs_is_told_of_other_name_servers_once() -> None:
    """Fault 33: by DHCP, at its next lease."""
    told, held = Told(), Held(Queues())
    unused: Any = None
    placement = Placement(unused, held, unused, cast("Any", told), unused, unused, cast("Any", told))
    addresses = (ipaddress.ip_address("10.42.0.2"),)
    link = GuestLink("vst-1", "02:00:00:00:00:01", addresses, "web", told.now, user=7)
    held.add_link("u-1", "default", link)
    await placement.follow_resolver(VMI)
    assert told.set == []
    told.now = Resolver((ipaddress.ip_address("192.0.2.2"),), ())
    for _ in range(2):
        await placement.follow_resolver(VMI)
    ((owner, followed, nic),) = told.set
    assert (owner, nic, followed.resolver) == ("u-1", "default", told.now)
    assert held.links_of("u-1") == {"default": followed}
