"""Whom a Service leads to, and whose NIC its address may be on."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api import names
from virtualserver.fabric.desired.state import GuestLink, Resolver
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.objects import controller_reference
from virtualserver.node.held import Held
from virtualserver.node.queues import Queues
from virtualserver.node.services.relations import attached_addresses, is_attached, members_of
from virtualserver.node.watches import WATCHES
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Resource

SERVER = controller_reference(VIRTUAL_SERVER, {"metadata": {"name": "web", "uid": "server"}})
SELECTOR = {names.UID: "server"}


@pytest.fixture
async def cache() -> Cache:
    return Cache(cast("Client", None), WATCHES)


def know(
    cache: Cache, resource: Resource, name: str, *, owner: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": name, "uid": f"{resource.kind}/{name}", "resourceVersion": "1"}
    manifest = {
        "kind": resource.kind,
        "metadata": {**metadata, "ownerReferences": [owner] if owner else [], **more.pop("metadata", {})},
        "spec": {},
        **more,
    }
    cache.remember(resource, manifest)
    return manifest


def know_machine(cache: Cache, name: str, *, owner: dict[str, Any] | None, attach: str | None = None) -> None:
    """Take in a VirtualMachine and its VMI, both with the server's labels."""
    annotations = {names.ATTACH_LOAD_BALANCER: attach} if attach else {}
    template = {"metadata": {"annotations": annotations}, "spec": {}}
    vm = know(cache, kinds.VIRTUAL_MACHINE, name, owner=owner, spec={"template": template})
    reference = controller_reference(kinds.VIRTUAL_MACHINE, vm)
    metadata = {"labels": SELECTOR, "annotations": annotations}
    know(cache, kinds.VIRTUAL_MACHINE_INSTANCE, name, owner=reference, metadata=metadata)


def members(cache: Cache, service: dict[str, Any]) -> list[str]:
    return [vmi["metadata"]["name"] for vmi in members_of(cache, service)]


async def test_a_servers_service_leads_to_its_machine_only_whoever_has_its_labels(cache: Cache) -> None:
    service = know(cache, kinds.SERVICE, "web-tcp", owner=SERVER, spec={"selector": SELECTOR})
    know_machine(cache, "web", owner=SERVER)
    know_machine(cache, "thief", owner=None)
    know_machine(cache, "web-2", owner=SERVER)
    assert members(cache, service) == [], "the server is not known to live"
    know(cache, VIRTUAL_SERVER, "web", metadata={"uid": "server"})
    assert members(cache, service) == ["web"]


async def test_anybody_elses_service_leads_to_whom_it_selects_in_its_namespace(cache: Cache) -> None:
    know(cache, VIRTUAL_SERVER, "web", metadata={"uid": "server"})
    service = know(cache, kinds.SERVICE, "mine", owner=None, spec={"selector": SELECTOR})
    elsewhere = {"namespace": "other", "labels": SELECTOR}
    know(cache, kinds.VIRTUAL_MACHINE_INSTANCE, "far", metadata=elsewhere)
    know_machine(cache, "web", owner=SERVER)
    know_machine(cache, "two", owner=None)
    assert members(cache, service) == ["two", "web"]


async def test_an_external_name_leads_to_nobody_whatever_its_selector_matches(cache: Cache) -> None:
    know_machine(cache, "two", owner=None)
    spec = {"selector": SELECTOR, "type": "ExternalName", "externalName": "db.example.com"}
    assert members(cache, know(cache, kinds.SERVICE, "mine", owner=None, spec=spec)) == []


@pytest.mark.parametrize(
    ("of_service", "of_machine", "attached"),
    [(SERVER, SERVER, True), (None, None, True), (SERVER, None, False), (None, SERVER, False)],
)
async def test_an_address_is_for_a_nic_when_service_and_machine_are_the_same_servers(
    cache: Cache, of_service: dict[str, Any] | None, of_machine: dict[str, Any] | None, *, attached: bool
) -> None:
    know(cache, VIRTUAL_SERVER, "web", metadata={"uid": "server"})
    service = know(cache, kinds.SERVICE, "web-tcp", owner=of_service)
    know_machine(cache, "web", owner=of_machine, attach="web-tcp")
    assert is_attached(cache, [service]) is attached


@pytest.mark.parametrize(("phase", "attached"), [("Running", False), ("Succeeded", True), (None, True)])
async def test_an_address_is_a_nics_own_from_the_next_start_on_where_the_machine_runs_without_it(
    cache: Cache, phase: str | None, *, attached: bool
) -> None:
    service = know(cache, kinds.SERVICE, "web-tcp")
    know_machine(cache, "web", owner=None, attach="web-tcp")
    if phase:
        newer = {"resourceVersion": "2"}
        know(cache, kinds.VIRTUAL_MACHINE_INSTANCE, "web", metadata=newer, status={"phase": phase})
    assert is_attached(cache, [service]) is attached


async def test_what_a_machine_was_started_with_is_known_whatever_its_service_has_now(cache: Cache) -> None:
    know(cache, VIRTUAL_SERVER, "web", metadata={"uid": "server"})
    service = know(cache, kinds.SERVICE, "web-tcp", owner=SERVER)
    know_machine(cache, "web", owner=SERVER, attach="web-tcp")
    know_machine(cache, "thief", owner=None, attach="web-tcp")
    held = Held(Queues())
    for number, name in enumerate(("web", "thief")):
        address = ipaddress.ip_address(f"203.0.113.{number + 1}")
        link = GuestLink(
            name, f"02:00:00:00:00:0{number}", (address,), name, Resolver((), ()), user=7, translated=False
        )
        held.add_link(f"VirtualMachineInstance/{name}", "default", link)
    assert attached_addresses(cache, held, [service]) == {ipaddress.ip_address("203.0.113.1")}
    assert attached_addresses(cache, held, []) == set()
