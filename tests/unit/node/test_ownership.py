"""To whom it belongs what a VMI holds, and who is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.ownership import living_owners, owner_of
from virtualserver.node.watches import WATCHES

if TYPE_CHECKING:
    from virtualserver.kube.client import Client


@pytest.fixture
async def cache() -> Cache:
    return Cache(cast("Client", None), WATCHES)


def an_object(uid: str, *, owner: str | None = None) -> dict[str, Any]:
    references = [{"uid": owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "namespace": "ns",
            "name": "web",
            "uid": uid,
            "ownerReferences": references,
            "resourceVersion": "1",
        }
    }


async def test_what_a_vmi_holds_belongs_to_the_controller_of_its_virtual_machine(cache: Cache) -> None:
    cache.remember(kinds.VIRTUAL_MACHINE, an_object("vm", owner="server"))
    assert owner_of(cache, an_object("vmi", owner="vm")) == "server"


async def test_a_machine_without_a_server_owns_what_its_vmi_holds(cache: Cache) -> None:
    cache.remember(kinds.VIRTUAL_MACHINE, an_object("vm"))
    assert owner_of(cache, an_object("vmi", owner="vm")) == "vm"


async def test_a_vmi_of_an_earlier_machine_of_its_name_gets_nothing_of_the_new_ones(cache: Cache) -> None:
    cache.remember(kinds.VIRTUAL_MACHINE, an_object("new", owner="server"))
    assert owner_of(cache, an_object("vmi", owner="old")) == "old"
    assert owner_of(cache, an_object("vmi")) == "vmi"


async def test_objects_and_their_controllers_are_alive(cache: Cache) -> None:
    cache.remember(kinds.VIRTUAL_MACHINE, an_object("vm", owner="server"))
    cache.remember(kinds.SERVICE, an_object("service", owner="other"))
    cache.remember(kinds.PERSISTENT_VOLUME_CLAIM, an_object("claim"))
    assert living_owners(cache) >= {"vm", "server", "service", "other"}
    assert "claim" not in living_owners(cache)
