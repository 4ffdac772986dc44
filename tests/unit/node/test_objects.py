"""What is read off a Service, a VMI and a machine's specification."""

from __future__ import annotations

import ipaddress
from typing import Any

from virtualserver.node.objects import addresses_of, volume_claims


def a_vmi(*interfaces: dict[str, Any], phase: str = "Running", **spec: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": spec, "status": {"phase": phase, "interfaces": [*interfaces]}}


def test_addresses_count_while_the_guest_runs() -> None:
    nic = {"name": "default", "ipAddresses": ["10.42.0.2"]}
    assert addresses_of(a_vmi(nic)) == (ipaddress.ip_address("10.42.0.2"),)
    assert addresses_of(a_vmi(nic, phase="Scheduled")) == ()
    assert addresses_of({"metadata": {}}) == ()


def test_the_cluster_nic_is_found_by_the_name_of_its_network() -> None:
    vpc, lan = {"name": "a", "ipAddresses": ["192.0.2.7"]}, {"name": "lan", "ipAddresses": ["10.42.0.2"]}
    networks: list[dict[str, Any]] = [{"name": "a", "multus": {}}, {"name": "lan", "pod": {}}]
    assert addresses_of(a_vmi(vpc, lan, networks=networks)) == (ipaddress.ip_address("10.42.0.2"),)
    assert addresses_of(a_vmi(vpc, networks=networks)) == ()


def test_the_claims_of_a_machine() -> None:
    volumes = [
        {"name": "a", "dataVolume": {"name": "one"}},
        {"name": "b", "persistentVolumeClaim": {"claimName": "two"}},
        {"name": "c", "ephemeral": {"persistentVolumeClaim": {"claimName": "three"}}},
        {"name": "d", "cloudInitNoCloud": {"userData": ""}},
    ]
    assert volume_claims({"volumes": volumes}) == {"one": True, "two": False, "three": False}
