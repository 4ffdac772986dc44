"""What is read off Services, machines and rules about the way to a guest."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.api.network_path import Element
from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.state import FloatingAddress, PublishedPort, ServiceRules
from virtualserver.machines.ends import Ended, EndReason, Running
from virtualserver.node.served import seen

FRONT, OWN, OTHER = (ip_address(text) for text in ("203.0.113.1", "10.42.0.2", "10.42.0.3"))
PORT = {"port": 80, "protocol": "TCP", "targetPort": 8080}
OPEN = PublishedPort(FRONT, 80, "TCP", OWN, 8080)
ELSEWHERE = PublishedPort(FRONT, 80, "TCP", OTHER, 8080)


def a_service(*conditions: dict[str, Any], addresses: tuple[str, ...] = (str(FRONT),), **spec: Any) -> dict[str, Any]:
    ingress = [{"ip": address} for address in addresses]
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "1"},
        "spec": {"type": "LoadBalancer", "ports": [PORT], **spec},
        "status": {"loadBalancer": {"ingress": ingress}, "conditions": list(conditions)},
    }


def condition(type: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": type, "status": status, "reason": reason, "message": message}


def test_a_service_says_why_it_has_no_address() -> None:
    waits = condition(names.ADDRESS_ASSIGNED, "False", "PoolExhausted", "pool 'public' has no free address")
    assert seen.service_seen(a_service(waits, addresses=()), left_out="").waits == "pool 'public' has no free address"
    assert seen.service_seen(a_service(addresses=()), left_out="").waits
    assert not seen.service_seen(a_service(), left_out="").waits


def test_a_service_says_who_else_answers_and_what_is_not_carried() -> None:
    contested = condition(names.ADDRESS_ASSIGNED, "True", "AddressContested", "answered for by another")
    assert seen.service_seen(a_service(contested), left_out="").contested == "answered for by another"
    named = condition(names.PORTS_PUBLISHED, "False", "NamedTargetPort", "targetPort 'http'")
    assert seen.service_seen(a_service(named), left_out="").refused == "targetPort 'http'"
    shown = condition(names.PORTS_PUBLISHED, "False", "EndpointsRefused", "packets take their way")
    assert seen.service_seen(a_service(shown), left_out="") == seen.service_seen(a_service(), left_out="")
    assert seen.service_seen(a_service(), left_out="the kernel's words").refused == "the kernel's words"


@pytest.mark.parametrize(
    ("ranges", "closed", "sources"),
    [([], False, None), (["192.0.2.0/24"], False, ("192.0.2.0/24",)), (["nonsense"], True, ())],
)
def test_source_ranges_are_told(ranges: list[str], closed: bool, sources: tuple[str, ...] | None) -> None:
    service = a_service(loadBalancerSourceRanges=ranges)
    assert seen.service_seen(service, left_out="").closed is closed
    assert seen.sources_of(service) == sources


def test_a_machine_says_what_it_waits_for() -> None:
    vmi = {"status": {"phase": "Pending", "conditions": [condition("Synchronized", "False", "X", "no room")]}}
    assert seen.machine_seen(None, vmi, None) == seen.MachineSeen(runs=False, starts=True, message="no room")
    vm = {"status": {"conditions": [condition("Failure", "True", "X", "no disk")]}}
    assert seen.machine_seen(vm, None, None) == seen.MachineSeen(runs=False, message="no disk")
    ended = Ended(EndReason.GUEST_SHUTDOWN, "it shut down")
    assert not seen.machine_seen(vm, {"status": {"phase": "Succeeded"}}, ended).starts


def test_a_machine_that_runs_says_why_it_is_not_ready() -> None:
    ready = {"status": {"conditions": [condition("Ready", "True", "GuestRunning", "")]}}
    assert seen.machine_seen(None, ready, Running()) == seen.MachineSeen(runs=True)
    failing = {"status": {"conditions": [condition("Ready", "False", "X", "the probe fails")]}}
    assert seen.machine_seen(None, failing, Running()).message == "the probe fails"
    assert seen.machine_seen(None, ready, Running(is_paused=True)).paused
    assert seen.machine_seen(None, ready, Running(message="no room")).stands_still == "no room"


def test_a_port_leads_to_a_number_of_the_guest() -> None:
    assert seen.target_of(PORT) == 8080
    assert seen.target_of({"port": 80}) == 80
    assert seen.target_of({"port": 80, "targetPort": "http"}) == 0


@pytest.mark.parametrize(
    ("rules", "element"),
    [
        (None, Element.NONE),
        (ServiceRules(), Element.NONE),
        (ServiceRules(ports=frozenset({OPEN})), Element.OPEN),
        (ServiceRules(ports=frozenset({OPEN, ELSEWHERE})), Element.OPEN),
        (ServiceRules(ports=frozenset({ELSEWHERE})), Element.OTHERS),
        (ServiceRules(withheld=frozenset({OPEN})), Element.WITHHELD),
        (ServiceRules(ports=frozenset({PublishedPort(FRONT, 80, "UDP", OWN, 8080)})), Element.NONE),
        (ServiceRules(ports=frozenset({PublishedPort(OTHER, 80, "TCP", OWN, 8080)})), Element.NONE),
    ],
)
def test_what_the_map_has_of_a_port(rules: ServiceRules | None, element: Element) -> None:
    assert seen.elements_of(rules, (), fronts=(FRONT,), ports=[PORT], own=(OWN,)) == [element]


@pytest.mark.parametrize("clients", [None, (ip_network("192.0.2.0/24"),)])
def test_a_port_that_the_kernel_does_not_have_is_missing_in_whichever_map_it_is(clients: Any) -> None:
    ports = frozenset({PublishedPort(FRONT, 80, "TCP", OWN, 8080, clients)})
    for rules in (ServiceRules(ports=ports), ServiceRules(withheld=ports), ServiceRules(ports=ports | {ELSEWHERE})):
        absent = entries.of_service("1", rules).keys()
        told = seen.elements_of(rules, absent, fronts=(FRONT,), ports=[PORT, {"port": 81}], own=(OWN,))
        assert told == [Element.MISSING, Element.NONE]


def test_what_the_map_has_of_a_floating_address() -> None:
    rules = ServiceRules(floating=frozenset({FloatingAddress(FRONT, OWN)}))
    assert seen.floating_element_of(rules, (), address=FRONT, own=(OWN,)) is Element.OPEN
    assert seen.floating_element_of(rules, (), address=FRONT, own=(OTHER,)) is Element.NONE
    assert seen.floating_element_of(None, (), address=FRONT, own=(OWN,)) is Element.NONE
    absent = entries.of_service("1", rules).keys()
    assert seen.floating_element_of(rules, absent, address=FRONT, own=(OWN,)) is Element.MISSING
