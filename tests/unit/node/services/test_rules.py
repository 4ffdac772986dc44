"""What a Service becomes in the data plane and in EndpointSlices."""

from __future__ import annotations

import ipaddress
from typing import Any

from virtualserver.fabric.desired.state import PublishedPort, ServiceRules
from virtualserver.node.services.rules import Backend, endpoint_slices, named_target_ports, rules_of

ip = ipaddress.ip_address
PUBLIC, CLUSTER = ip("203.0.113.1"), ip("10.96.0.9")


def a_service(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-tcp", "namespace": "ns", "uid": "s1"},
        "spec": {"clusterIP": str(CLUSTER), "clusterIPs": [str(CLUSTER)], "ports": [{"port": 80}], **spec},
    }


def a_member(
    name: str = "web", *, address: str | None = "10.42.0.2", ready: bool = True, created: str = "1", **metadata: str
) -> Backend:
    """Return a VMI; its machine runs where it has an address."""
    return Backend(
        {
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": f"uid-{name}",
                "creationTimestamp": created,
                **metadata,
            },
            "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
        },
        (ip(address),) if address else (),
    )


def test_a_port_is_published_on_the_load_balancers_and_the_clusters_address() -> None:
    rules = rules_of(a_service(), [a_member()], granted=[PUBLIC])
    guest = ip("10.42.0.2")
    assert rules.ports == {PublishedPort(PUBLIC, 80, "TCP", guest, 80), PublishedPort(CLUSTER, 80, "TCP", guest, 80)}
    assert rules.announced == {PUBLIC}
    assert rules.names == {"web-tcp.ns.svc.cluster.local": (CLUSTER,)}


def test_a_stopped_server_keeps_its_address_but_publishes_nothing() -> None:
    for member in ([], [a_member(address=None)]):
        rules = rules_of(a_service(), member, granted=[PUBLIC])
        assert rules.ports == rules.withheld == frozenset()
        assert rules.announced == {PUBLIC}


def test_fault_34_the_ports_of_a_guest_that_is_not_ready_are_withheld_unless_the_service_says_otherwise() -> None:
    members = [a_member(ready=False)]
    unready, ready = rules_of(a_service(), members), rules_of(a_service(), [a_member()])
    assert not unready.ports
    assert unready.withheld == ready.ports
    assert not ready.withheld
    assert unready.addresses >= {ip("10.42.0.2"), CLUSTER}
    assert rules_of(a_service(publishNotReadyAddresses=True), members).ports


def targets_of(rules: ServiceRules) -> set[str]:
    return {str(port.target) for port in rules.ports}


def test_a_port_goes_to_all_guests_that_are_ready_and_not_told_to_end() -> None:
    ending = a_member("ending", address="10.42.0.5", deletionTimestamp="2026-01-01T00:00:00Z")
    sick = a_member("sick", address="10.42.0.3", created="0", ready=False)
    ready = [a_member("young", address="10.42.0.4", created="3"), a_member("old", address="10.42.0.2", created="2")]
    rules = rules_of(a_service(), [sick, ending, *ready], granted=[PUBLIC])
    assert targets_of(rules) == {"10.42.0.2", "10.42.0.4"}
    assert len(rules.ports) == 4, "of both addresses"
    assert not rules.withheld
    assert targets_of(rules_of(a_service(), [sick, ending])) == {"10.42.0.5"}, "it answers as long as it can"
    alone = rules_of(a_service(), [sick, a_member("also", address="10.42.0.6", ready=False)])
    assert not alone.ports
    assert {str(port.target) for port in alone.withheld} == {"10.42.0.3"}
    unready = rules_of(a_service(publishNotReadyAddresses=True), [sick, ending, *ready])
    assert targets_of(unready) == {f"10.42.0.{number}" for number in (2, 3, 4, 5)}


def test_a_client_stays_with_a_guest_where_the_service_says_so() -> None:
    def affinity_of(**spec: Any) -> set[int | None]:
        return {port.affinity for port in rules_of(a_service(**spec), [a_member()], granted=[PUBLIC]).ports}

    assert affinity_of() == affinity_of(sessionAffinity="None") == {None}
    assert affinity_of(sessionAffinity="ClientIP") == {10800}
    minute = {"clientIP": {"timeoutSeconds": 60}}
    assert affinity_of(sessionAffinity="ClientIP", sessionAffinityConfig=minute) == {60}


def test_a_target_port_is_kept() -> None:
    (port,) = rules_of(a_service(ports=[{"port": 80, "targetPort": 8080, "protocol": "UDP"}]), [a_member()]).ports
    assert (port.port, port.target_port, port.protocol) == (80, 8080, "UDP")


def test_a_target_port_with_a_name_is_told_and_not_published() -> None:
    service = a_service(ports=[{"port": 80, "targetPort": "http"}])
    assert named_target_ports(service) == ["http"]
    assert not rules_of(service, [a_member()]).ports


def test_a_headless_service_names_the_guests_themselves() -> None:
    service = a_service(clusterIP="None", clusterIPs=["None"])
    rules = rules_of(service, [a_member(), a_member("two", address="10.42.0.3", created="2")])
    assert rules.names == {"web-tcp.ns.svc.cluster.local": (ip("10.42.0.2"), ip("10.42.0.3"))}
    assert rules.ports == frozenset()
    assert rules_of(service, []).names == {}


def test_a_guest_whose_subdomain_a_headless_service_is_has_a_name_of_its_own() -> None:
    def in_subdomain(name: str, address: str, **spec: str) -> Backend:
        member = a_member(name, address=address)
        return Backend({**member.vmi, "spec": spec}, member.addresses)

    one = in_subdomain("one", "10.42.0.2", subdomain="web-tcp")
    two = in_subdomain("two", "10.42.0.3", subdomain="web-tcp", hostname="db")
    others = [
        in_subdomain("three", "10.42.0.4"),
        in_subdomain("four", "10.42.0.5", subdomain="web-tcp", hostname="a b"),
    ]
    named = rules_of(a_service(clusterIP="None", clusterIPs=["None"]), [one, two, *others]).names
    assert set(named) == {f"{host}web-tcp.ns.svc.cluster.local" for host in ("", "one.", "db.")}
    assert named["db.web-tcp.ns.svc.cluster.local"] == (ip("10.42.0.3"),)
    assert set(rules_of(a_service(), [one]).names) == {"web-tcp.ns.svc.cluster.local"}, "it has an address"


def test_an_attached_address_is_neither_announced_nor_published() -> None:
    guest = a_member(address=str(PUBLIC))
    assert rules_of(a_service(), [], granted=[PUBLIC], is_attached=True).announced == frozenset()
    rules = rules_of(a_service(), [guest], granted=[PUBLIC], on_guests=[PUBLIC])
    assert rules.announced == frozenset()
    assert {port.address for port in rules.ports} == {CLUSTER}


def test_an_endpoint_slice_names_its_service_its_guests_and_their_state() -> None:
    leaving = a_member("leaving", address="10.42.0.3", deletionTimestamp="2026-01-01T00:00:00Z")
    (one,) = endpoint_slices(a_service(), [a_member(), leaving], node="host")
    assert one["metadata"]["name"] == "web-tcp-ipv4"
    assert one["metadata"]["labels"] == {
        "kubernetes.io/service-name": "web-tcp",
        "endpointslice.kubernetes.io/managed-by": "virtualserver-node",
    }
    assert one["metadata"]["ownerReferences"][0]["uid"] == "s1"
    assert [endpoint["conditions"] for endpoint in one["endpoints"]] == [
        {"ready": True, "serving": True, "terminating": False},
        {"ready": False, "serving": True, "terminating": True},
    ]
    assert one["ports"] == [{"protocol": "TCP", "name": "", "port": 80}]


def test_without_guests_there_is_no_slice() -> None:
    assert endpoint_slices(a_service(), [a_member(address=None)], node="host") == []


def test_a_slice_of_a_service_without_ports_is_as_the_api_server_stores_it() -> None:
    """With an empty list, which the API server makes a null, it was written again at each look."""
    (one,) = endpoint_slices(a_service(ports=[]), [a_member()], node="host")
    assert one["ports"] is None


def test_fault_16_source_ranges_are_for_the_load_balancers_addresses() -> None:
    rules = rules_of(a_service(loadBalancerSourceRanges=["192.0.2.0/24"]), [a_member()], granted=[PUBLIC])
    clients = {port.address: port.clients for port in rules.ports}
    assert clients == {PUBLIC: (ipaddress.ip_network("192.0.2.0/24"),), CLUSTER: None}
    assert not rules.restricted


def test_fault_16_source_ranges_restrict_an_attached_address_as_a_whole() -> None:
    ranged, plain = a_service(loadBalancerSourceRanges=["192.0.2.0/24"]), a_service()
    restricted = {PUBLIC: (ipaddress.ip_network("192.0.2.0/24"),)}
    assert rules_of(ranged, [], granted=[PUBLIC], is_attached=True).restricted == restricted
    assert rules_of(plain, [], granted=[PUBLIC], is_attached=True, sharing=[ranged, plain]).restricted == restricted
    assert rules_of(ranged, [], granted=[PUBLIC], on_guests=[PUBLIC]).restricted == restricted, "its VM is gone"
    assert not rules_of(plain, [], granted=[PUBLIC], is_attached=True).restricted
    assert not rules_of(ranged, [], granted=[PUBLIC]).restricted


def test_fault_16_an_address_that_the_service_has_no_more_stays_restricted_while_a_nic_has_it() -> None:
    ranged, former = a_service(loadBalancerSourceRanges=["192.0.2.0/24"]), ip("203.0.113.9")
    clients = (ipaddress.ip_network("192.0.2.0/24"),)
    rules = rules_of(ranged, [], granted=[PUBLIC], on_guests=[former], is_attached=True, attached=[former])
    assert rules.restricted == {PUBLIC: clients, former: clients}
    assert rules_of(ranged, [], on_guests=[former], attached=[former]).restricted == {former: clients}


def test_what_is_published_on_the_machines_own_address_is_announced_by_nobody() -> None:
    ranged, node = a_service(loadBalancerSourceRanges=["192.0.2.0/24"]), ip("198.19.0.2")
    rules = rules_of(ranged, [a_member()], granted=[PUBLIC], on_host=[node])
    assert rules.announced == frozenset()
    clients = {port.address: port.clients for port in rules.ports}
    assert clients == {CLUSTER: None, **dict.fromkeys((PUBLIC, node), (ipaddress.ip_network("192.0.2.0/24"),))}
