"""What is said to be in use while machines come and go."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, cast

from virtualserver.fabric.desired.state import GuestLink, Resolver
from virtualserver.machines.memory import OVERHEAD_BYTES
from virtualserver.machines.spec import MachineSpec
from virtualserver.node.held import Held
from virtualserver.node.queues import Queues

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from virtualserver.machines.machine import Machine

ADDRESS = ipaddress.ip_address("10.42.0.2")
LINK = GuestLink(
    device="tap1",
    mac="02:00:00:00:00:01",
    addresses=(ADDRESS,),
    hostname="web",
    resolver=Resolver((), ()),
    user=7,
)


async def test_what_a_link_uses_is_in_use_until_the_link_is_given_up() -> None:
    held = Held(Queues())
    held.add_link("uid", "default", LINK)
    assert held.addresses() == {ADDRESS}
    assert held.values_in_use() == {"tap1", "02:00:00:00:00:01", "10.42.0.2", "7"}
    assert held.links_of("uid") == {"default": LINK}
    assert held.links_of("other") == {}
    held.remove_link("uid", "default")
    assert held.values_in_use() == set()
    assert held.cluster_link("uid") is None


class AMachine:
    """A machine that never changes."""

    spec = MachineSpec(identifier="uid", name="a/web", cpus=1, memory_bytes=1 << 30, accelerator="tcg", user=7)

    async def changes(self) -> AsyncIterator[None]:
        return
        yield


async def test_who_has_a_tap_or_an_address_is_found_by_its_name() -> None:
    held = Held(Queues())
    held.add_link("uid", "default", LINK)
    assert held.keys_of({"tap1"}) == set(), "there is no machine yet"
    held.add_machine("uid", cast("Machine", AMachine()))
    assert held.keys_of({"tap1", "tap2"}) == held.keys_of({"10.42.0.2"}) == {("a", "web")}
    assert held.keys_of({"tap2", "10.42.0.3"}) == set()
    held.remove_machine("uid")


async def test_a_machine_counts_while_it_is_started_and_not_when_the_start_failed() -> None:
    held = Held(Queues())
    spec = MachineSpec(identifier="uid", name="a/web", cpus=1, memory_bytes=1 << 30, accelerator="tcg", user=7)
    with held.launching("uid", spec):
        (footprint,) = held.footprints()
        assert footprint.needed_bytes == (1 << 30) + OVERHEAD_BYTES["tcg"]
    assert list(held.footprints()) == []


async def test_who_writes_to_a_disk_has_it_alone_and_who_reads_shares_it() -> None:
    held = Held(Queues())
    spec = MachineSpec(identifier="uid", name="a/web", cpus=1, memory_bytes=1 << 30, accelerator="tcg", user=7)
    held.add_disks("uid", {"written": True, "read": False})
    assert held.rival("other", "written", writes=True) is None, "there is no machine: it has ended"
    with held.launching("uid", spec):
        assert held.rival("other", "written", writes=False) == held.rival("other", "read", writes=True) == ("a", "web")
        assert held.rival("other", "read", writes=False) is held.rival("uid", "written", writes=True) is None


async def test_disks_are_open_until_all_is_released_and_then_something_may_be_free() -> None:
    queues = Queues()
    held = Held(queues)
    held.add_disks("uid", {"disk": True})
    assert held.open_disks() == {"disk"}
    held.release("uid")
    assert held.open_disks() == set()
    assert await queues.sweep.get() == "all"
