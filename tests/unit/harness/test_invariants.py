"""The invariant itself: what it finds, and that it finds nothing where all is well."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.invariants import Seen, doubled, faults
from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Entry

MAC, OTHER = "a2:00:00:00:00:01", "a2:00:00:00:00:02"


def a_vmi(name: str, address: str, namespace: str = "m") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "status": {"interfaces": [{"name": "default", "ipAddresses": [address]}]},
    }


def a_service(address: str, namespace: str = "m") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": "web-tcp"},
        "spec": {"clusterIPs": ["None"]},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }


def guard(device: str, mac: str, address: str) -> dict[Entry, str]:
    return {
        Entry(entries.GUARD_MAC, f"{device} . {mac}"): "",
        Entry(entries.GUARD_IP[4], f"{device} . {mac} . {address}"): "",
    }


PUBLISHED = Entry(entries.PUBLISHED[4], "203.0.113.1 . tcp . 22")
WELL = Seen(
    allocations=[
        ("u1", "guest/4", "address", "10.42.0.2"),
        ("u1", "mac", "mac", MAC),
        ("u1", "tap", "tap", "tap1"),
        ("u1", "user", "user", "7000"),
        ("m/web-tcp", "load-balancer/public/4", "address", "203.0.113.1"),
    ],
    elements={
        **guard("tap1", MAC, "10.42.0.2"),
        Entry(entries.ANNOUNCED[4], "203.0.113.1"): "",
        PUBLISHED: "10.42.0.2 . 22",
    },
    hosts={"tap1": (MAC, "10.42.0.2")},
    leases=[(MAC, "10.42.0.2")],
    routes=[("10.42.0.2", "tap1"), ("default", "up0")],
    machines=[("m/web", 7000)],
    vmis=[a_vmi("web", "10.42.0.2")],
    services=[a_service("203.0.113.1")],
    servers=[],
    slices=[],
)


def test_where_all_is_well_nothing_is_found() -> None:
    assert doubled(WELL) == faults(WELL) == []


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("10.42.0.2 may be sent from", {"elements": {**WELL.elements, **guard("tap2", OTHER, "10.42.0.2")}}),
        (f"{MAC} may be sent from", {"elements": {**WELL.elements, **guard("tap2", MAC, "10.42.0.3")}}),
        ("run under the user number 7000", {"machines": [*WELL.machines, ("n/other", 7000)]}),
    ],
)
def test_what_two_guests_have_is_found(words: str, changes: dict[str, Any]) -> None:
    (found,) = doubled(dataclasses.replace(WELL, **changes))
    assert words in found


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("the tap is None's", {"allocations": [one for one in WELL.allocations if one[2] != "tap"]}),
        ("the address u2's", {"allocations": [*WELL.allocations, ("u2", "attached", "attached", "10.42.0.2")]}),
        ("10.42.0.9 is leased to", {"hosts": {"tap1": (MAC, "10.42.0.9")}}),
        (f"10.42.0.2 is leased to {OTHER}", {"leases": [(OTHER, "10.42.0.2")]}),
        ("10.42.0.2 leads to tap2", {"routes": [("10.42.0.2", "tap2")]}),
        ("runs under 7001, which nobody was given", {"machines": [("m/web", 7001)]}),
        ("announced: 203.0.113.1", {"allocations": [one for one in WELL.allocations if "load" not in one[1]]}),
        ("which no guest has", {"elements": {**WELL.elements, PUBLISHED: "10.42.0.8 . 22"}}),
        ("leads to 10.42.0.2 of {'n'}", {"vmis": [a_vmi("web", "10.42.0.2", "n")]}),
        ("shown by [('m', 'web'), ('n', 'thief')]", {"vmis": [*WELL.vmis, a_vmi("thief", "10.42.0.2", "n")]}),
        ("Services of ['m', 'n'] show", {"services": [*WELL.services, a_service("203.0.113.1", "n")]}),
    ],
)
def test_what_two_sources_say_differently_is_found(words: str, changes: dict[str, Any]) -> None:
    found = faults(dataclasses.replace(WELL, **changes))
    assert any(words in one for one in found), found
