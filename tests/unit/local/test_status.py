"""What ``vs status`` tells of servers and addresses (fault 57)."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.kube.objects import controller_reference
from virtualserver.local.status import AddressHolder, DisksFound, ServerFound, disks_of, holders_of, servers_of
from virtualserver.plan.ownership import VIRTUAL_SERVER
from virtualserver.storage.space import Space

WEB: dict[str, Any] = {"metadata": {"namespace": "team", "name": "web", "uid": "1"}}


def a_service(name: str, *addresses: str, owner: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "team", "ownerReferences": [owner] if owner else []},
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}},
    }


def test_whose_each_address_is_is_told_in_the_order_of_the_addresses() -> None:
    owner = controller_reference(VIRTUAL_SERVER, WEB)
    services = [a_service("own", "203.0.113.10"), a_service("web-tcp", "203.0.113.9", owner=owner), a_service("none")]
    assert holders_of(services, [WEB]) == (
        AddressHolder("203.0.113.9", "team/web-tcp", "team/web"),
        AddressHolder("203.0.113.10", "team/own", ""),
    )


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("web-tcp", {"controller": False}),
        ("web-tcp", {"uid": "2"}),
        ("web-tcp", {"name": "gone"}),
        ("web-tcp", {"apiVersion": "example.com/v1"}),
        ("mine", {}),
    ],
)
def test_attack_a_service_that_only_says_whose_it_is_is_told_as_its_users_own(
    name: str, changed: dict[str, Any]
) -> None:
    """A tenant who writes any reference to a server hid the Service from what an administrator sees of users' own."""
    service = a_service(name, "203.0.113.9", owner=controller_reference(VIRTUAL_SERVER, WEB) | changed)
    assert holders_of([service], [WEB]) == (AddressHolder("203.0.113.9", f"team/{name}", ""),)


def test_servers_are_told_by_namespace_and_name_whatever_they_show_yet() -> None:
    ready = {
        "metadata": {"namespace": "b", "name": "web"},
        "status": {
            "conditions": [{"type": "Ready", "reason": "VirtualServerReady"}],
            "network": {"externalIP": "203.0.113.9", "internalIP": "10.0.0.5"},
        },
    }
    new = {"metadata": {"namespace": "a", "name": "new"}}
    assert servers_of([ready, new]) == (
        ServerFound("a", "new", "", "", ""),
        ServerFound("b", "web", "VirtualServerReady", "203.0.113.9", "10.0.0.5"),
    )


def test_disks_count_with_what_they_may_grow_to_and_images_do_not() -> None:
    def a_claim(**annotations: str) -> dict[str, Any]:
        owner = {"kind": "DataVolume", "name": "web", "uid": str(annotations), "controller": True}
        return {
            "metadata": {"ownerReferences": [owner], "annotations": annotations},
            "status": {"capacity": {"storage": "40Gi"}},
        }

    claims = [a_claim(), a_claim(other=""), a_claim(**{names.IMAGE: "sha256:00"})]
    assert disks_of(claims, Space(100 << 30, 30 << 30), overcommit=2.5) == DisksFound(
        80 << 30, 250 << 30, 100 << 30, 30 << 30
    )
