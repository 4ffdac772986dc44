"""The check of planned machines must itself be able to fail."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.kubevirt_schema import assert_valid_data_volume, assert_valid_virtual_machine, faults_of_machine

MACHINE: dict[str, Any] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {"name": "web", "namespace": "team", "labels": {"a": "b"}},
    "spec": {
        "runStrategy": "Halted",
        "template": {
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {
                "hostname": "web",
                "networks": [{"name": "default", "pod": {}}],
                "volumes": [
                    {"name": "root", "dataVolume": {"name": "web"}},
                    {"name": "seed", "cloudInitNoCloud": {"secretRef": {"name": "web-cloud-init"}}},
                ],
                "domain": {
                    "cpu": {"cores": 2},
                    "memory": {"guest": "8Gi"},
                    "devices": {
                        "disks": [
                            {"name": "root", "disk": {"bus": "virtio"}},
                            {"name": "seed", "disk": {"bus": "virtio"}},
                        ],
                        "interfaces": [{"name": "default", "bridge": {}, "macAddress": "a2:1f:ee:09:06:5d"}],
                    },
                },
            },
        },
    },
}


def test_a_sound_machine_passes() -> None:
    assert_valid_virtual_machine(MACHINE)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("spec.template.spec.hostName", "web", "hostName"),
        ("spec.template.spec.domain.devices.interfaces.0.bridge.x", 1, "'x' was unexpected"),
        ("spec.template.spec.domain.cpu.cores", "2", "'2' is not of type 'integer'"),
        ("spec.template.spec.domain.memory.guest", "8GB", "'8GB' is not a 'quantity'"),
        ("spec.template.spec.domain.devices.interfaces.0.name", "nic", "interface nic: no network has its name"),
        ("spec.template.spec.volumes.0.name", "disk", "disk root: no volume has its name"),
        ("spec.template.spec.volumes.1.name", "root", "volumes: root is repeated"),
        ("spec.template.spec.domain.devices.interfaces.0.masquerade", {}, "needs exactly one binding"),
        ("spec.template.spec.dnsPolicy", "None", "needs a name server"),
        ("spec.running", True, "running and runStrategy"),
        ("metadata.name", "", "metadata.name: is required"),
    ],
)
def test_a_faulty_machine_is_refused(path: str, value: Any, fault: str) -> None:
    machine = copy.deepcopy(MACHINE)
    *parents, last = path.split(".")
    at: Any = machine
    for step in parents:
        at = at[int(step) if isinstance(at, list) else step]
    at[last] = value
    assert any(fault in found for found in faults_of_machine(machine)), faults_of_machine(machine)


def test_a_data_volume_with_an_unknown_field_is_refused() -> None:
    volume: dict[str, Any] = {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": "web"},
        "spec": {
            "source": {"pvc": {"namespace": "vd-images", "name": "debian"}},
            "storage": {"resources": {"requests": {"storage": "40Gi"}}},
        },
    }
    assert_valid_data_volume(volume)
    volume["spec"]["size"] = "40Gi"
    with pytest.raises(AssertionError, match="'size' was unexpected"):
        assert_valid_data_volume(volume)
