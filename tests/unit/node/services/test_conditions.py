from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from virtualserver.node.allocation.allocations import Claimant
from virtualserver.node.services import balancing
from virtualserver.node.services.conditions import conditions_of

HELD = ipaddress.ip_address("203.0.113.7")
LEAVE = "virtualservers.coreweave.com/leave-address"


def assigned(*, former: bool = False, contested: str = "", **annotations: str) -> dict[str, Any]:
    """Return what is said of the address of a Service that holds one."""
    service: dict[str, Any] = {
        "metadata": {"name": "web-tcp", "namespace": "shop", "uid": "u", "annotations": annotations},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    conditions = conditions_of(
        service,
        (HELD,),
        None,
        matches_nobody=False,
        former=[HELD] if former else [],
        contested={HELD: contested} if contested else {},
        refused="",
        left_out="",
        without_effect=(),
    )
    (found,) = (one for one in conditions if one["type"].endswith("AddressAssigned"))
    assert found["status"] == "True", "it has the address, and it works"
    return found


def test_who_else_answers_for_an_address_is_named() -> None:
    assert assigned()["reason"] == "Assigned"
    found = assigned(contested="02:00:00:00:00:99", former=True)
    assert found["reason"] == "AddressContested" and "203.0.113.7 by 02:00:00:00:00:99" in found["message"]


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({}, f"kubectl -n shop annotate --overwrite service web-tcp {LEAVE}=203.0.113.7"),
        ({LEAVE: "203.0.113.99"}, f"kubectl -n shop annotate --overwrite service web-tcp {LEAVE}=203.0.113.7"),
        ({LEAVE: "203.0.113.7"}, "is as soon as the pool has another one for this Service"),
        ({"metallb.io/loadBalancerIPs": "203.0.113.7"}, "asks for this very address"),
    ],
    ids=["at first", "another was given up", "to be given up", "asked for by its number"],
)
def test_a_service_with_an_address_of_a_former_network_says_what_moves_it(
    annotations: dict[str, str], words: str
) -> None:
    found = assigned(former=True, **annotations)
    assert found["reason"] == "FormerPool" and words in found["message"]


@pytest.mark.parametrize(
    ("holder", "which"),
    [
        ("VirtualServer web", "-l virtualservers.coreweave.com/name=web"),
        ("Service floating", "floating"),
        ("sharing-key a b", "NAME"),
    ],
)
def test_what_moves_whoever_an_address_is_recorded_for_finds_its_services(holder: str, which: str) -> None:
    """A server with ports of UDP alone has no Service NAME-tcp."""
    command = balancing.leaving_of(Claimant("shop", holder), HELD)
    assert command == f"kubectl -n shop annotate --overwrite service {which} {LEAVE}=203.0.113.7"
