"""What a look at the way to a server finds, and whom it asks: the guest that the node gave a link, and nobody else."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from virtualserver.api import names
from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.desired.state import (
    DhcpLease,
    FloatingAddress,
    GuestLink,
    PublishedPort,
    Ranges,
    Resolver,
    ServiceRules,
    VpcLink,
)
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.objects import controller_reference
from virtualserver.machines.ends import Running
from virtualserver.node.served import asking
from virtualserver.node.served.paths import Paths
from virtualserver.node.watches import WATCHES
from virtualserver.plan.ownership import SERVICE_NAME, VIRTUAL_SERVER, claim_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from virtualserver.fabric.desired.state import Address, Link
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

MAC, OWN, OTHER, FRONT = "02:00:00:00:00:02", "10.42.0.2", "10.42.0.3", "203.0.113.1"
PORT = {"port": 80, "protocol": "TCP", "targetPort": 8080}


def a_link(*addresses: str, translated: bool = True) -> GuestLink:
    given = tuple(map(ip_address, addresses or (OWN,)))
    return GuestLink("tap-2", MAC, given, "web", Resolver((), ()), 64002, translated=translated)


class Machine:
    def __init__(self, **state: Any) -> None:
        self.state = Running(**state)


class Host:
    """What the host has, in place of machines, kernel and Services' controller."""

    def __init__(self) -> None:
        self.links: dict[str, dict[str, Link]] = {}
        self.machines: dict[str, Machine] = {}
        self.rules: dict[str, ServiceRules] = {}
        self.missing: dict[str, frozenset[Entry]] = {}
        self.heard_of: dict[Address, str] = {ip_address(OWN): MAC}
        self.drops: list[dict[str, int]] = []
        self.bounded = False
        self.looks = 0
        self.ranges = Ranges({}, {}, (), (), ())
        self.called_by_host = (ip_address("198.19.0.2"),)

    # As `Held`.
    def machine(self, uid: str) -> Machine | None:
        return self.machines.get(uid)

    def links_of(self, uid: str) -> dict[str, Link]:
        return self.links.get(uid, {})

    def cluster_link(self, uid: str) -> GuestLink | None:
        return next((one for one in self.links_of(uid).values() if isinstance(one, GuestLink)), None)

    # As `ServiceController`.
    def applied(self, uid: str) -> ServiceRules | None:
        return self.rules.get(uid)

    # As `DataPlane`.
    def why_left_out(self, owner: str, *, nic: str | None = None) -> str:
        return ""

    def cut_off(self, device: str) -> str:
        return ""

    def has_met_bound(self, link: Link) -> bool:
        return self.bounded

    def open_socket(self, version: int, kind: int = 0) -> Any:
        raise AssertionError("the test has its own way to ask")

    async def absent(self, services: Collection[str]) -> dict[str, frozenset[Entry]]:
        return {uid: self.missing.get(uid, frozenset()) for uid in services}

    async def absent_of_nic(self, owner: str, nic: str) -> frozenset[Entry]:
        return self.missing.get(nic, frozenset())

    async def leases(self) -> dict[str, DhcpLease]:
        return {MAC: DhcpLease(MAC, ip_address(OWN), 1_000_000_000.0)}

    async def heard(self, link: GuestLink) -> dict[Address, str]:
        self.looks += 1
        return {one: self.heard_of[one] for one in link.addresses if one in self.heard_of}

    async def dropped(self, devices: Collection[str]) -> dict[str, dict[str, int]]:
        return {"tap-2": self.drops.pop(0) if self.drops else {}}


class Shop:
    """Namespace ``shop`` with the server ``web``, whose guest runs and answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = Cache(cast("Client", None), WATCHES)
        self.host = Host()
        self.asked: list[tuple[str, int]] = []
        self.answer: asking.Answer = asking.Answer.ANSWERS
        self.wait: asyncio.Event | None = None
        self._version = 0
        self.paths = Paths(self.cache, cast("Any", self.host), cast("Any", self.host), cast("Any", self.host))
        monkeypatch.setattr(asking, "ask", self._ask)
        self.add_server("web")

    async def _ask(self, open_socket: object, address: Address, ports: Collection[int]) -> dict[int, asking.Answer]:
        if self.wait is not None:
            await self.wait.wait()
        self.asked += [(str(address), port) for port in sorted(ports)]
        return dict.fromkeys(ports, self.answer)

    def knows(self, resource: Resource, name: str, owner: Manifest | None = None, **parts: Any) -> Manifest:
        self._version += 1
        kind = {"kind": resource.kind, "apiVersion": resource.api_version}
        metadata: dict[str, Any] = {"namespace": "shop", "name": name, "uid": f"{resource.kind} {name}"}
        metadata |= {"resourceVersion": str(self._version), **parts.pop("metadata", {})}
        if owner is not None:
            maker = {"VirtualServer": VIRTUAL_SERVER, "VirtualMachine": kinds.VIRTUAL_MACHINE}[owner["kind"]]
            metadata["ownerReferences"] = [controller_reference(maker, owner)]
        return self.cache.remember(resource, {**kind, "metadata": metadata, **parts})

    def add_server(self, name: str, *, runs: bool = True, attach: str = "", **network: Any) -> Manifest:
        server = self.knows(VIRTUAL_SERVER, name, spec={"network": network})
        template = {"metadata": {"annotations": {names.ATTACH_LOAD_BALANCER: attach} if attach else {}}, "spec": {}}
        machine = self.knows(kinds.VIRTUAL_MACHINE, name, server, spec={"template": template})
        if runs:
            uid = self.add_instance(name, machine)["metadata"]["uid"]
            self.host.links[uid] = {"default": a_link()}
            self.host.machines[uid] = Machine()
        return server

    def add_instance(self, name: str, machine: Manifest, *, address: str = OWN) -> Manifest:
        conditions = [{"type": one, "status": "True"} for one in ("Ready", names.ADDRESS_TAKEN)]
        status = {
            "phase": "Running",
            "conditions": conditions,
            "interfaces": [{"name": "default", "ipAddress": address}],
        }
        return self.knows(
            kinds.VIRTUAL_MACHINE_INSTANCE,
            name,
            machine,
            metadata={"labels": {"app": name}},
            spec={"networks": [{"name": "default", "pod": {}}, {"name": "vpc-0", "multus": {"networkName": "back"}}]},
            status=status,
        )

    def add_service(
        self, name: str, *, owner: Manifest | None = None, address: str = FRONT, ports: Any = (PORT,), **spec: Any
    ) -> Manifest:
        spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": list(ports), **spec}
        status = {"loadBalancer": {"ingress": [{"ip": address}] if address else []}}
        made = self.knows(
            kinds.SERVICE,
            name,
            owner,
            metadata={"annotations": {names.METALLB_ALLOCATED_FROM: "public"}},
            spec=spec,
            status=status,
        )
        front = ip_address(address or FRONT)
        published = {
            PublishedPort(front, port["port"], port["protocol"], ip_address(OWN), port["targetPort"]) for port in ports
        }
        self.host.rules[made["metadata"]["uid"]] = ServiceRules(ports=frozenset(published))
        return made

    async def look(self, name: str = "web") -> dict[str, Any]:
        request = make_mocked_request("GET", "/", match_info={"namespace": "shop", "name": name})
        answer = await self.paths.serve(request)
        assert isinstance(answer.body, bytes)
        return json.loads(answer.body)["status"]


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(monkeypatch)


def lost(found: dict[str, Any]) -> str:
    return found["loss"]["place"] if found["loss"] else ""


async def test_a_server_that_answers_is_shown_whole(shop: Shop) -> None:
    shop.add_service("web-tcp", owner=shop.cache.get(VIRTUAL_SERVER, ("shop", "web")))
    found = await shop.look()
    outside, own = found["addresses"]
    assert (outside["address"], outside["kind"], outside["service"], outside["pool"], outside["sources"]) == (
        *(FRONT, "ports", "web-tcp", "public"),
        None,
    )
    assert outside["ports"] == [
        {"port": 80, "protocol": "TCP", "target": 8080, "element": "open", "answer": "answers", "loss": None}
    ]
    assert (own["address"], own["kind"], own["loss"]) == (OWN, "own", None)
    (card,) = found["guest"]["cards"]
    assert (card["mac"], card["heard"], card["whole"], card["lease"]) == (MAC, MAC, True, "2001-09-09T01:46:40Z")
    assert found["names"] == ["web-tcp.shop.svc.cluster.local"]
    assert found["guest"]["runs"]
    assert lost(found) == ""


async def test_the_first_loss_of_all_is_the_servers(shop: Shop) -> None:
    shop.add_service("web-tcp")
    shop.answer = asking.Answer.REFUSED
    assert lost(await shop.look()) == "Port"
    shop.host.missing["Service web-tcp"] = frozenset({Entry("published", f"{FRONT} . tcp . 80")})
    assert lost(await shop.look()) == "Element"


async def test_a_service_without_an_address_is_shown_with_what_it_waits_for(shop: Shop) -> None:
    shop.add_service("web-tcp", address="")
    found = await shop.look()
    assert (found["addresses"][0]["address"], found["addresses"][0]["loss"]["place"]) == ("", "Address")


async def test_a_stopped_server_is_asked_nothing(shop: Shop) -> None:
    server = shop.add_server("off", runs=False)
    shop.add_service("off-tcp", owner=server)
    found = await shop.look("off")
    assert lost(found) == "Machine"
    assert (found["guest"]["runs"], found["guest"]["cards"], shop.asked, shop.host.looks) == (False, [], [], 0)
    assert found["addresses"][0]["ports"][0]["loss"]["remedy"] == "start it: vs start off -n shop"


async def test_a_paused_guest_is_asked_nothing(shop: Shop) -> None:
    shop.add_service("web-tcp")
    shop.host.machines["VirtualMachineInstance web"] = Machine(is_paused=True)
    assert lost(await shop.look()) == "Machine"
    assert (shop.asked, shop.host.looks) == ([], 0)


async def test_what_is_dropped_of_a_guest_while_it_is_asked_is_why_it_is_not_heard(shop: Shop) -> None:
    shop.add_service("web-tcp")
    shop.answer, shop.host.heard_of = asking.Answer.UNREACHABLE, {}
    shop.host.drops = [{"mac": 3, "arp": 1}, {"mac": 5, "arp": 1}]
    found = await shop.look()
    assert lost(found) == "Guard"
    assert "mac (2)" in found["loss"]["message"] and "arp" not in found["loss"]["message"]
    assert found["guest"]["cards"][0]["dropped"] == {"mac": 5, "arp": 1}


async def test_an_attached_address_is_the_cards_own(shop: Shop) -> None:
    shop.host.links["VirtualMachineInstance web"]["default"] = a_link(FRONT, translated=False)
    shop.host.heard_of = {ip_address(FRONT): MAC}
    shop.knows(kinds.VIRTUAL_MACHINE_INSTANCE, "gone")
    server = shop.cache.get(VIRTUAL_SERVER, ("shop", "web"))
    shop.add_service("web-tcp", owner=server, ports=())
    found = await shop.look()
    (address,) = found["addresses"]
    assert (address["address"], address["kind"], address["element"]) == (FRONT, "attached", "open")
    assert lost(found) == ""


async def test_a_floating_address_leads_to_the_guest_as_a_whole(shop: Shop) -> None:
    server = shop.add_server("web", floatingIPs=["entry"])
    shop.add_service("entry", selector=None, ports=())
    shop.knows(kinds.ENDPOINT_SLICE, claim_name("entry"), server, metadata={"labels": {SERVICE_NAME: "entry"}})
    assert lost(await shop.look()) == "Element", "the map does not have it"
    floats = FloatingAddress(ip_address(FRONT), ip_address(OWN))
    shop.host.rules["Service entry"] = ServiceRules(floating=frozenset({floats}))
    found = await shop.look()
    assert (found["addresses"][0]["kind"], found["addresses"][0]["element"]) == ("floating", "open")
    assert lost(found) == ""


async def test_ports_of_the_machines_own_address_are_called_where_the_data_plane_is(shop: Shop) -> None:
    shop.host.ranges = Ranges({"public": ()}, {}, (), (), (), host=("public",))
    shop.add_service("web-tcp")
    inside = PublishedPort(shop.host.called_by_host[0], 80, "TCP", ip_address(OWN), 8080)
    shop.host.rules["Service web-tcp"] = ServiceRules(ports=frozenset({inside}))
    assert (await shop.look())["addresses"][0]["ports"][0]["element"] == "open"


async def test_a_card_on_a_vpc_is_shown_with_its_network(shop: Shop) -> None:
    shop.host.links["VirtualMachineInstance web"]["vpc-0"] = VpcLink("nic-1", "02:00:00:00:00:09", 64002, "vpc-1", 1500)
    shop.host.missing["vpc-0"] = frozenset({Entry("tap", "nic-1")})
    _, card = (await shop.look())["guest"]["cards"]
    assert (card["name"], card["network"], card["whole"], card["loss"]["place"]) == ("vpc-0", "back", False, "Card")


async def test_attack_nothing_that_a_user_writes_has_the_node_ask_another_address(shop: Shop) -> None:
    """A tenant writes Services, EndpointSlices, labels and owners as it likes."""
    server = shop.cache.get(VIRTUAL_SERVER, ("shop", "web"))
    machine = shop.cache.get(kinds.VIRTUAL_MACHINE, ("shop", "web"))
    assert server is not None and machine is not None
    shop.add_instance("web", machine, address="127.0.0.1")
    shop.add_service("leads", externalIPs=[OTHER], loadBalancerIP=OTHER)
    shop.add_service("away", selector=None, ports=({**PORT, "targetPort": 22},))
    shop.add_service("named", type="ExternalName", externalName="127.0.0.1", ports=({**PORT, "targetPort": 23},))
    shop.knows(
        kinds.ENDPOINT_SLICE,
        "away-1",
        server,
        metadata={"labels": {SERVICE_NAME: "away"}},
        endpoints=[{"addresses": [OTHER]}],
        ports=[{"port": 22}],
    )
    await shop.look()
    assert set(shop.asked) == {(OWN, 8080)}


async def test_attack_a_machine_that_says_it_is_a_servers_is_not_asked_for_it(shop: Shop) -> None:
    """Only what the server made counts: a machine of its name that names another as its owner is not looked at."""
    shop.add_server("other", runs=False)
    stranger = shop.knows(kinds.VIRTUAL_MACHINE, "other", shop.cache.get(VIRTUAL_SERVER, ("shop", "web")))
    shop.add_instance("other", stranger)
    shop.host.links["VirtualMachineInstance other"] = {"default": a_link(OTHER)}
    shop.host.machines["VirtualMachineInstance other"] = Machine()
    shop.add_service("other-tcp", selector={"app": "other"})
    assert lost(await shop.look("other")) == "Machine"
    assert shop.asked == []


async def test_attack_thousands_of_services_that_lead_to_one_guest_cost_a_look_at_some(shop: Shop) -> None:
    for number in range(3000):
        shop.add_service(f"s{number}")
    shop.add_service("web-tcp", owner=shop.cache.get(VIRTUAL_SERVER, ("shop", "web")))
    began = time.monotonic()
    found = await shop.look()
    assert time.monotonic() - began < 1
    services = [one["service"] for one in found["addresses"] if one["service"]]
    assert len(services) == 32 and "web-tcp" in services, "its own are looked at first"


async def test_a_service_of_another_server_is_not_this_ones(shop: Shop) -> None:
    other = shop.add_server("other", runs=False)
    shop.add_service("other-tcp", owner=other)
    assert [one["kind"] for one in (await shop.look())["addresses"]] == ["own"]


async def test_who_asks_while_a_look_is_under_way_gets_its_answer(shop: Shop) -> None:
    shop.wait = asyncio.Event()
    several = [asyncio.create_task(shop.look()) for _ in range(20)]
    await asyncio.sleep(0.01)
    shop.wait.set()
    found = await asyncio.gather(*several)
    assert shop.host.looks == 1
    assert all(one == found[0] for one in found)


async def test_attack_a_namespace_has_so_many_looks_at_once_and_no_more(shop: Shop) -> None:
    shop.wait = asyncio.Event()
    for number in range(9):
        shop.add_server(f"s{number}")
    several = [asyncio.create_task(shop.look(f"s{number}")) for number in range(8)]
    await asyncio.sleep(0.01)
    with pytest.raises(web.HTTPTooManyRequests):
        await shop.look("s8")
    shop.wait.set()
    await asyncio.gather(*several)
    assert await shop.look("s8")


async def test_a_server_that_is_not_there_and_a_kernel_that_does_not_answer_are_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(web.HTTPNotFound):
        await shop.look("nobody")

    async def refuses(_: Collection[str]) -> None:
        raise OSError(errno.ENOENT, "no such namespace")

    monkeypatch.setattr(shop.host, "dropped", refuses)
    with pytest.raises(web.HTTPServiceUnavailable) as failure:
        await shop.look()
    assert "no such namespace" in (failure.value.text or "")
