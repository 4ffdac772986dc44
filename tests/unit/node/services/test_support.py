"""What the table of a Service's fields says is so: what is named changes nothing, what is carried out does."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

import pytest

from virtualserver.api.support.field import Effect, field_of
from virtualserver.api.support.service import SERVICE
from virtualserver.node.objects import partly_applied
from virtualserver.node.services import balancing, rules

GRANTED = (ipaddress.ip_address("203.0.113.7"),)
GUESTS = (ipaddress.ip_address("10.128.0.5"), ipaddress.ip_address("10.128.0.6"))

CHANGES: dict[str, dict[str, Any]] = {
    "spec.type": {"type": "ClusterIP"},
    "spec.clusterIP": {"clusterIP": "10.96.0.21"},
    "spec.clusterIPs": {"clusterIPs": ["10.96.0.22"]},
    "spec.ipFamilies": {"ipFamilies": ["IPv4", "IPv6"]},
    "spec.externalName": {"externalName": "a.example"},
    "spec.loadBalancerIP": {"loadBalancerIP": "203.0.113.9"},
    "spec.loadBalancerSourceRanges": {"loadBalancerSourceRanges": ["192.0.2.0/24"]},
    "spec.loadBalancerClass": {"loadBalancerClass": "example.com/other"},
    "spec.publishNotReadyAddresses": {"publishNotReadyAddresses": True},
    "spec.sessionAffinity": {"sessionAffinity": "ClientIP"},
    "spec.sessionAffinityConfig": {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    },
    "spec.ports[].port": {"ports": [{"port": 81, "targetPort": 80}]},
    "spec.ports[].protocol": {"ports": [{"port": 80, "protocol": "UDP"}]},
    "spec.ports[].targetPort": {"ports": [{"port": 80, "targetPort": 8080}]},
    "spec.ports[].name": {"ports": [{"port": 80, "name": "web"}]},
    "spec.ports[].appProtocol": {"ports": [{"port": 80, "appProtocol": "h2c"}]},
}
"""A change of each field, in place of the Service's own."""

ELSEWHERE = {
    # By whom a Service selects, and where its address comes from (test_relations.py, the real thing's tests).
    "spec.selector",
    "metadata.annotations",
    # Of the API server, or of no meaning on one machine.
    "spec.ipFamilyPolicy",
    "spec.allocateLoadBalancerNodePorts",
    "spec.healthCheckNodePort",
    "spec.externalTrafficPolicy",
    "spec.internalTrafficPolicy",
    "spec.trafficDistribution",
    "spec.ports[].nodePort",
    # By a policy (controlplane/test_policies.py).
    "spec.externalIPs",
}


def a_service(**changes: Any) -> dict[str, Any]:
    spec = {"type": "LoadBalancer", "clusterIP": "10.96.0.20", "selector": {"a": "b"}, "ports": [{"port": 80}]}
    return {"metadata": {"name": "web", "namespace": "ns", "uid": "u"}, "spec": {**spec, **changes}}


def what_comes_of(service: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a Service with two machines, of which one is ready, wishes for, and what is made of it."""
    members = [
        rules.Backend(
            {
                "metadata": {"name": name, "namespace": "ns", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            },
            (guest,),
        )
        for name, guest, ready in (("a", GUESTS[0], "False"), ("b", GUESTS[1], "True"))
    ]
    wish = balancing.wish_of(service) if balancing.wants_address(service) else None
    made = rules.rules_of(service, members, granted=GRANTED)
    return wish, made, rules.endpoint_slices(service, members, node="here")


def test_every_field_has_its_change() -> None:
    assert {field.path for field in SERVICE} == {*CHANGES, *ELSEWHERE}


@pytest.mark.parametrize("path", CHANGES)
def test_what_is_carried_out_has_an_effect_and_what_is_named_has_none(path: str) -> None:
    field = field_of(SERVICE, path)
    assert field is not None
    changed = a_service(**copy.deepcopy(CHANGES[path]))
    told = partly_applied(SERVICE, changed)
    is_same = what_comes_of(changed) == what_comes_of(a_service())
    if field.effect is Effect.NOW and not told:
        assert not is_same
    elif path == "spec.loadBalancerClass":
        assert told and not balancing.wants_address(changed)
    else:
        assert told and is_same
