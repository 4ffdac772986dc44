"""What ``vs status`` tells of servers and addresses (fault 57)."""

from __future__ import annotations

from typing import Any

from virtualserver.local.status import AddressHolder, ServerFound, holders_of, servers_of


def a_service(name: str, *addresses: str, server: str = "") -> dict[str, Any]:
    owners = [{"kind": "VirtualServer", "name": server}] if server else []
    return {
        "metadata": {"name": name, "namespace": "team", "ownerReferences": owners},
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}},
    }


def test_whose_each_address_is_is_told_in_the_order_of_the_addresses() -> None:
    services = [a_service("own", "203.0.113.10"), a_service("web-tcp", "203.0.113.9", server="web"), a_service("none")]
    assert holders_of(services) == (
        AddressHolder("203.0.113.9", "team/web-tcp", "team/web"),
        AddressHolder("203.0.113.10", "team/own", ""),
    )


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
