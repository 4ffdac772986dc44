"""The same rules as the CRD's and the policy's, without a server; test_rules_agree.py compares the two."""

from __future__ import annotations

from typing import Any

import pytest

from harness import refusals
from harness.manifests import a_virtual_server
from virtualserver.api.faults import Fault, InvalidManifest
from virtualserver.api.validation import validate
from virtualserver.api.virtualserver import decode

RULES = [rule for rule in refusals.RULES if rule.is_validated]


def faults_of(manifest: dict[str, Any]) -> list[Fault]:
    try:
        return validate(decode(manifest))
    except InvalidManifest as error:
        return list(error.faults)


@pytest.mark.parametrize(("refused", "says"), [rule[1:3] for rule in RULES], ids=[rule.why for rule in RULES])
def test_what_breaks_a_rule_is_found_at_the_field(refused: dict[str, Any], says: list[str]) -> None:
    faults = faults_of(a_virtual_server(refused))
    assert faults
    # The server's path may be of a child or of the item: what is before the first bracket is the same field's.
    field = says[0].partition("[")[0]
    assert any(fault.path.startswith(field) or field.startswith(fault.path) for fault in faults), faults


@pytest.mark.parametrize("accepted", [rule.accepted for rule in RULES], ids=[rule.why for rule in RULES])
def test_the_neighbour_of_what_breaks_a_rule_is_sound(accepted: dict[str, Any]) -> None:
    assert faults_of(a_virtual_server(accepted)) == []


@pytest.mark.parametrize(("name", "is_sound"), [("a" * 59, True), ("a" * 60, False), ("web.team", False), ("1a", True)])
def test_a_name_is_a_dns_label_of_at_most_59_characters(name: str, is_sound: bool) -> None:
    assert (faults_of(a_virtual_server(name=name)) == []) is is_sound


def test_all_faults_are_found_at_once_each_with_its_remedy() -> None:
    spec = {
        "network": {
            "macAddress": "zz",
            "dnsPolicy": "None",
            "tcp": {"ports": [0, 0]},
            "directAttachLoadBalancerIP": True,
        },
        "resources": {"memory": "much", "cpu": {"count": 0}},
        "firmware": {"uuid": "x"},
    }
    faults = faults_of(a_virtual_server(spec))
    assert [fault.path for fault in faults] == [
        "spec.resources.cpu.count",
        "spec.resources.memory",
        "spec.network",
        "spec.network.tcp.ports[0]",
        "spec.network.tcp.ports[1]",
        "spec.network.tcp.ports",
        "spec.network.macAddress",
        "spec.network.dnsPolicy",
        "spec.firmware.uuid",
    ]
    assert all(": " in fault.message for fault in faults)


@pytest.mark.parametrize(
    ("size", "is_sound"), [("1Gi", False), ("2047Mi", False), ("2Gi", True), ("3G", True), (1, False)]
)
def test_the_root_disk_never_shrinks(size: str | int, is_sound: bool) -> None:
    old = decode(a_virtual_server({"storage": {"root": {"size": "2Gi"}}}))
    new = decode(a_virtual_server({"storage": {"root": {"size": size}}}))
    assert (validate(new, old=old) == []) is is_sound
    assert validate(new) == []
