"""Endpoints made by hand are not led to, and that is said, those of others apart."""

from __future__ import annotations

from typing import Any

from virtualserver.node.services.by_hand import services_by_hand, words_of


def a_service(**spec: Any) -> dict[str, Any]:
    """Return a Service as a user makes it, that selects machines."""
    return {
        "metadata": {"name": "web", "namespace": "ns", "uid": "s1"},
        "kind": "Service",
        "spec": {"selector": {"app": "web"}, **spec},
    }


def a_slice(*addresses: str, **labels: str) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "web", **labels}
    return {
        "metadata": {"name": "mine", "namespace": "ns", "labels": labels},
        "endpoints": [{"addresses": [address]} for address in addresses],
    }


def test_fault_27_endpoints_made_by_hand_are_named_and_those_of_others_apart() -> None:
    (own,) = words_of(a_service(), [a_slice("10.42.0.2")], ["10.42.0.2"])
    assert own == "EndpointSlice mine (made by hand: a selector leads to guests)"
    others = a_slice("10.42.0.2", "10.42.0.9", "127.0.0.1", "169.254.169.254", "10.96.0.1")
    (foreign,) = words_of(a_service(), [others], ["10.42.0.2"])
    assert foreign.startswith("EndpointSlice mine (10.42.0.9, 127.0.0.1, 169.254.169.254 and 1 more: no guest of this")
    assert words_of(a_service(), [a_slice()], []) == [], "a claim to a floating address has none"


def test_fault_27_a_service_that_leads_to_nobody_without_a_slice_is_named_too() -> None:
    (told,) = words_of(a_service(selector=None), [], [])
    assert told.startswith("endpoints made by hand"), "there may be Endpoints, at which nobody looks"
    assert words_of(a_service(selector=None, type="LoadBalancer"), [], []) == [], "it may be a floating address"
    kubernetes = a_service(selector=None)
    kubernetes["metadata"] |= {"name": "kubernetes", "namespace": "default"}
    assert words_of(kubernetes, [a_slice("192.0.2.1")], []) == []


def test_slices_that_the_node_and_the_operator_make_are_not_made_by_hand() -> None:
    assert list(services_by_hand(a_slice("10.42.0.2"))) == ["ns", "ns/web"]
    for manager in ("virtualserver-node", "virtualserver-operator"):
        assert list(services_by_hand(a_slice(**{"endpointslice.kubernetes.io/managed-by": manager}))) == []
