"""What the CRD and its policy refuse, each beside the nearest thing that they accept; no process of ours runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.manifests import a_virtual_server
from harness.refusals import RULES

if TYPE_CHECKING:
    from harness.api_server import Server

WHY = [rule.why for rule in RULES]


@pytest.mark.parametrize(("refused", "says"), [rule[1:3] for rule in RULES], ids=WHY)
def test_what_breaks_a_rule_is_refused_with_field_value_reason_and_remedy(
    server: Server, refused: dict[str, Any], says: list[str]
) -> None:
    message = server.refusal_of(a_virtual_server(refused))
    assert message, "it was accepted"
    assert [part for part in says if part not in message] == [], message


@pytest.mark.parametrize("accepted", [rule.accepted for rule in RULES], ids=WHY)
def test_the_neighbour_of_what_breaks_a_rule_is_accepted(server: Server, accepted: dict[str, Any]) -> None:
    assert server.refusal_of(a_virtual_server(accepted)) == ""


def test_fault_21_a_windows_guest_has_other_names(server: Server) -> None:
    manifest = a_virtual_server({"os": {"type": "windows"}, "users": [{"username": "Ada Lovelace"}]})
    assert server.refusal_of(manifest) == ""


@pytest.mark.parametrize("field", ["os", "resources", "storage"])
def test_a_required_field_that_is_missing_is_named(server: Server, field: str) -> None:
    message = server.refusal_of(a_virtual_server({field: None}))
    assert f"spec.{field}: Required value" in message


def test_a_name_of_60_characters_is_refused_and_one_of_59_accepted(server: Server) -> None:
    assert server.refusal_of(a_virtual_server(name="a" * 59)) == ""
    message = server.refusal_of(a_virtual_server(name="a" * 60))
    assert "metadata.name" in message
    assert "60 characters" in message
    assert "59" in message


def test_a_name_with_a_dot_is_refused(server: Server) -> None:
    assert "no dots" in server.refusal_of(a_virtual_server(name="web.team"))


def test_all_faults_are_reported_at_once(server: Server) -> None:
    """Bounds of the schema hid the rules, so that faults came in two rounds (fault 29)."""
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"operator": "in"}]}]}
    faults: dict[str, Any] = {
        "os": None,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        "network": {
            "macAddress": "zz",
            "dnsPolicy": "none",
            "vpcs": [{"name": "a"}, {"name": "a"}, {}],
            "tcp": {"ports": [0, *range(1, 12)]},
            "floatingIPs": ["My_Service"],
        },
        "firmware": {"uuid": "x"},
        "resources": {"memory": "much", "cpu": {"count": 0}},
        "storage": {"root": {"volumeMode": "Tape", "storageClassName": None, "source": {"blank": {}}}},
        "users": [{"username": "", "passwordSecretRef": {"key": "a b"}}],
        "readinessProbe": {"httpGet": {"scheme": "http"}},
        "runStrategy": "Once",
        "terminationGracePeriodSeconds": -1,
    }
    message = server.refusal_of(a_virtual_server(faults))
    named = (
        "spec.os: Required value: add it",
        "nodeSelectorTerms[0].matchExpressions[0].key: Required value: add it",
        "nodeSelectorTerms[0].matchExpressions[0].operator",
        "spec.network.macAddress",
        "spec.network.dnsPolicy",
        "spec.network.vpcs[2].name: Required value: add it",
        "spec.network.tcp.ports[0]",
        "spec.network.tcp.ports: ",
        "spec.network.floatingIPs[0]",
        "spec.firmware.uuid",
        "spec.resources.memory",
        "spec.resources.cpu.count",
        "spec.storage.root.volumeMode",
        "spec.storage.root.storageClassName: Required value: add it",
        "spec.storage.root.source",
        "spec.users[0].username",
        "spec.users[0].passwordSecretRef.name: Required value: add it",
        "spec.users[0].passwordSecretRef.key",
        "spec.readinessProbe.httpGet.port: Required value: add it",
        "spec.readinessProbe.httpGet.scheme",
        "spec.runStrategy",
        "spec.terminationGracePeriodSeconds",
    )
    assert [field for field in named if field not in message] == [], message
    for words in ("some validation rules were not checked", "evaluation error", "no such key"):
        assert words not in message


def test_a_huge_value_is_refused_before_all_rules(server: Server) -> None:
    message = server.refusal_of(a_virtual_server({"network": {"tcp": {"ports": list(range(1, 30_000))}}}))
    assert "spec.network.tcp.ports: Too many" in message


def test_the_root_disk_grows_and_never_shrinks(server: Server) -> None:
    server.create(a_virtual_server({"storage": {"root": {"size": "2Gi"}}}, name="disk"))
    message = server.refusal_of_patch("disk", {"spec": {"storage": {"root": {"size": "2047Mi"}}}})
    assert "spec.storage.root.size" in message
    assert '"2047Mi" is less than the disk has, and a disk cannot shrink: keep the size' in message
    for size in ("2048Mi", 2 * 1024**3, "3Gi", "1T"):
        assert server.refusal_of_patch("disk", {"spec": {"storage": {"root": {"size": size}}}}) == ""


def test_ports_give_way_to_direct_attach_in_one_merge_patch(server: Server) -> None:
    server.create(a_virtual_server({"network": {"tcp": {"ports": [22]}}}, name="ports"))
    attach: dict[str, Any] = {"spec": {"network": {"directAttachLoadBalancerIP": True}}}
    assert "remove the ports" in server.refusal_of_patch("ports", attach)
    attach["spec"]["network"] |= {"tcp": {"ports": []}, "udp": {"ports": []}}
    assert server.patch("ports", attach)["spec"]["network"]["directAttachLoadBalancerIP"] is True
