"""Manifests are read with their defaults, and every fault of form is reported at once."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from harness.manifests import a_virtual_server
from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.faults import InvalidManifest
from virtualserver.api.virtualserver import DNSPolicy, FloatingIP, OSType, RunStrategy, decode


def test_defaults_are_those_of_the_contract() -> None:
    server = decode(a_virtual_server({"resources": {"cpu": None, "memory": None}}))
    spec = server.spec
    assert (spec.os.definition, spec.resources.definition) == ("a", "a")
    assert (spec.resources.cpu.count, spec.resources.memory_bytes) == (2, 8 * 2**30)
    assert (spec.storage.root.volume_mode, spec.storage.root.access_mode) == ("Block", "ReadWriteOnce")
    assert spec.run_strategy is RunStrategy.RERUN_ON_FAILURE
    assert not spec.initialize_running
    network = spec.network
    assert network.public
    assert network.dns_policy is DNSPolicy.CLUSTER_FIRST
    assert not (network.direct_attach or network.headless or network.disable_k8s_networking)
    assert not (network.tcp.ports or network.udp.ports or network.vpcs or network.floating)


@pytest.mark.parametrize(("kind", "seconds"), [("linux", 60), ("windows", 300)])
def test_the_time_to_shut_down_depends_on_the_operating_system(kind: str, seconds: int) -> None:
    assert decode(a_virtual_server({"os": {"type": kind}})).spec.grace_seconds == seconds
    given = decode(a_virtual_server({"os": {"type": kind}, "terminationGracePeriodSeconds": 0}))
    assert given.spec.grace_seconds == 0


@pytest.mark.parametrize("mac", ["A2-1F-EE-09-06-5D", "a2:1f:ee:09:06:5d", "A2:1f:EE:09:06:5d"])
def test_both_mac_forms_mean_the_same(mac: str) -> None:
    assert decode(a_virtual_server({"network": {"macAddress": mac}})).spec.network.mac == "a2:1f:ee:09:06:5d"


def test_an_empty_mac_is_none() -> None:
    assert decode(a_virtual_server({"network": {"macAddress": ""}})).spec.network.mac is None


def test_every_floating_form_is_read() -> None:
    items = [{"serviceName": "a"}, "b", "240.141.77.141", "2001:db8::1"]
    assert decode(a_virtual_server({"network": {"floatingIPs": items}})).spec.network.floating == (
        FloatingIP(service_name="a"),
        FloatingIP(service_name="b"),
        FloatingIP(address=ipaddress.ip_address("240.141.77.141")),
        FloatingIP(address=ipaddress.ip_address("2001:db8::1")),
    )


def test_nulls_and_unknown_fields_are_as_absent() -> None:
    manifest = a_virtual_server({"network": {"unknown": 1}})
    manifest["spec"]["network"] |= {"tcp": None, "public": None, "udp": {"ports": None}}
    manifest["metadata"]["creationTimestamp"] = None
    server = decode(manifest)
    assert server.spec.network == decode(a_virtual_server()).spec.network


def test_metadata_and_status_are_read() -> None:
    manifest = a_virtual_server()
    manifest["metadata"] |= {"uid": "u", "generation": 3, "annotations": {names.KEEP_DISK: "true"}}
    manifest["status"] = {
        "network": {"internalIP": "192.0.2.1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    server = decode(manifest)
    assert (server.name, server.namespace, server.uid) == ("web", "team", "u")
    assert server.keep_disk
    assert server.status.network.internal_ip == "192.0.2.1"
    ready = server.status.condition(ConditionType.READY)
    assert ready is not None
    assert ready.status == "True"
    assert server.status.condition(ConditionType.FULLY_APPLIED) is None


def test_the_source_that_is_given_is_named() -> None:
    server = decode(a_virtual_server())
    assert server.spec.os.type is OSType.LINUX
    assert server.spec.storage.root.source.kinds == ("pvc",)
    assert server.spec.storage.root.size_bytes == 2**30


def test_all_faults_of_form_are_reported_with_their_paths() -> None:
    manifest: dict[str, Any] = a_virtual_server({"os": {"type": "plan9"}, "users": [{}], "runStrategy": "Once"})
    del manifest["spec"]["storage"]["root"]["size"]
    manifest["spec"]["network"] = {"public": "yes", "tcp": {"ports": ["ssh", 22]}, "floatingIPs": [5, None]}
    with pytest.raises(InvalidManifest) as caught:
        decode(manifest)
    messages = {fault.path: fault.message for fault in caught.value.faults}
    assert set(messages) == {
        "spec.os.type",
        "spec.storage.root.size",
        "spec.users[0].username",
        "spec.network.public",
        "spec.network.tcp.ports[0]",
        "spec.network.floatingIPs[0]",
        "spec.network.floatingIPs[1]",
        "spec.runStrategy",
    }
    assert messages["spec.os.type"] == "'plan9' is not known: write one of linux, windows"
    assert messages["spec.storage.root.size"] == "is required: add it"
    assert str(caught.value.faults[0]).startswith("spec.")


def test_another_kind_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="kind"):
        decode(a_virtual_server() | {"kind": "VirtualMachine"})
