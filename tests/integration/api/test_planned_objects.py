"""Every planned and every reported field survives the real API server: what a definition lacks is dropped silently."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness import situations
from harness.kubevirt_schema import assert_valid_data_volume, assert_valid_virtual_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.api_server import Server

EXAMPLES = situations.examples()
COLLECTIONS = {
    "DataVolume": "/apis/cdi.kubevirt.io/v1beta1/namespaces/{}/datavolumes",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "NetworkAttachmentDefinition": "/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "VirtualMachine": "/apis/kubevirt.io/v1/namespaces/{}/virtualmachines",
    "VirtualMachineInstance": "/apis/kubevirt.io/v1/namespaces/{}/virtualmachineinstances",
}
PROBE = {
    "initialDelaySeconds": 1,
    "periodSeconds": 2,
    "timeoutSeconds": 3,
    "successThreshold": 1,
    "failureThreshold": 4,
}
TERM = {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}
MACHINE: dict[str, Any] = {
    "hostname": "web",
    "subdomain": "web",
    "dnsPolicy": "None",
    "dnsConfig": {
        "nameservers": ["192.0.2.53"],
        "searches": ["a.example"],
        "options": [{"name": "ndots", "value": "2"}],
    },
    "terminationGracePeriodSeconds": 60,
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}},
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "h", "labelSelector": {"matchLabels": {"a": "b"}}}}
            ]
        },
    },
    "livenessProbe": {**PROBE, "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}},
    "readinessProbe": {**PROBE, "tcpSocket": {"port": "ssh"}},
    "networks": [
        {"name": "default", "pod": {}},
        {"name": "vpc-0", "multus": {"networkName": "team/blue"}},
        {"name": "vpc-1", "multus": {"networkName": "team/rdma"}},
    ],
    "volumes": [
        {"name": "root", "dataVolume": {"name": "web"}},
        {"name": "seed", "cloudInitNoCloud": {"secretRef": {"name": "s"}, "networkDataSecretRef": {"name": "s"}}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}},
        {"name": "swap", "emptyDisk": {"capacity": "1Gi"}},
        {"name": "snap", "ephemeral": {"persistentVolumeClaim": {"claimName": "c"}}},
        {"name": "share", "persistentVolumeClaim": {"claimName": "d"}},
    ],
    "domain": {
        "cpu": {"cores": 2, "sockets": 1, "threads": 1, "model": "host-model"},
        "memory": {"guest": "8Gi"},
        "resources": {"requests": {"memory": "8Gi"}, "limits": {"cpu": 2}},
        "firmware": {
            "uuid": "5d307ca9-b3ef-428c-8861-06e72d69f223",
            "serial": "e4686d2c-6e8d-4335-b8fd-81bee22f4815",
            "bootloader": {"efi": {"secureBoot": False}},
        },
        "features": {"acpi": {"enabled": True}, "smm": {"enabled": True}},
        "machine": {"type": "q35"},
        "devices": {
            "autoattachPodInterface": False,
            "useVirtioTransitional": True,
            "rng": {},
            "gpus": [{"name": "gpu-0", "deviceName": "nvidia.com/A40"}],
            "filesystems": [{"name": "share", "virtiofs": {}}],
            "disks": [
                {"name": "root", "disk": {"bus": "virtio"}, "bootOrder": 1, "serial": "r"},
                {"name": "seed", "disk": {"bus": "virtio", "readonly": True}},
                {"name": "claim", "cdrom": {"bus": "sata", "readonly": True}},
                {"name": "swap", "disk": {"bus": "virtio"}},
                {"name": "snap", "disk": {"bus": "virtio"}},
            ],
            "interfaces": [
                {"name": "default", "model": "virtio", "macAddress": "a2:1f:ee:09:06:5d", "acpiIndex": 1, "bridge": {}},
                {"name": "vpc-0", "bridge": {}, "acpiIndex": 101},
                {"name": "vpc-1", "sriov": {}, "pciAddress": "0000:81:00.1"},
            ],
        },
    },
}
CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "GuestNotRunning",
    "message": "m",
    "lastProbeTime": "2026-11-23T09:00:00Z",
    "lastTransitionTime": "2026-11-23T09:00:00Z",
}
ALL_OF_IT: list[dict[str, Any]] = [
    {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "all"},
        "spec": {
            "runStrategy": "RerunOnFailure",
            "template": {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": MACHINE},
        },
        "status": {
            "printableStatus": "Running",
            "created": True,
            "ready": True,
            "runStrategy": "Always",
            "observedGeneration": 3,
            "desiredGeneration": 4,
            "conditions": [CONDITION],
            "stateChangeRequests": [{"action": "Start", "data": {"paused": "true"}}, {"action": "Stop", "uid": "u"}],
            "startFailure": {
                "consecutiveFailCount": 2,
                "lastFailedVMIUID": "u",
                "retryAfterTimestamp": "2026-11-23T09:00:00Z",
            },
        },
    },
    {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": "all"},
        "spec": MACHINE,
        "status": {
            "phase": "Running",
            "reason": "r",
            "nodeName": "here",
            "phaseTransitionTimestamps": [{"phase": "Running", "phaseTransitionTimestamp": "2026-11-23T09:00:00Z"}],
            "interfaces": [
                {
                    "name": "default",
                    "mac": "a2:1f:ee:09:06:5d",
                    "ipAddress": "198.18.0.7",
                    "ipAddresses": ["198.18.0.7", "fd00::7"],
                    "infoSource": "domain",
                    "interfaceName": "eth0",
                }
            ],
            "conditions": [CONDITION],
            "guestOSInfo": {"name": "Debian"},
            "activePods": {"u": "here"},
            "volumeStatus": [{"name": "root", "target": "vda"}],
            "machine": {"type": "q35"},
            "memory": {"guestAtBoot": "8Gi", "guestCurrent": "8Gi"},
            "currentCPUTopology": {"cores": 2},
        },
    },
    {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": "all"},
        "spec": {
            "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}},
            "storage": {
                "accessModes": ["ReadWriteOnce"],
                "volumeMode": "Block",
                "storageClassName": "block-nvme-ord1",
                "resources": {"requests": {"storage": "40Gi"}},
            },
        },
        "status": {
            "phase": "CloneInProgress",
            "progress": "42.0%",
            "claimName": "all",
            "restartCount": 1,
            "conditions": [
                {
                    "type": "Bound",
                    "status": "True",
                    "reason": "r",
                    "message": "m",
                    "lastTransitionTime": "2026-11-23T09:00:00Z",
                    "lastHeartbeatTime": "2026-11-23T09:00:00Z",
                }
            ],
        },
    },
    {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "blue"},
        "spec": {"config": '{"cniVersion":"0.3.1","type":"bridge"}'},
    },
]


def lost(sent: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what was sent and is not in what the server keeps."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        fields = cast("dict[str, Any]", sent)
        for key, value in fields.items():
            yield from lost(value, cast("dict[str, Any]", kept).get(key), f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(kept, list):
        items, others = cast("list[Any]", sent), cast("list[Any]", kept)
        if len(items) != len(others):
            yield f"{path}: {len(items)} items became {len(others)}"
        for index, (item, other) in enumerate(zip(items, others, strict=False)):
            yield from lost(item, other, f"{path}[{index}]")
    elif sent != kept and not (sent == [] and kept is None):  # an empty list is left out
        yield f"{path}: {sent!r} became {kept!r}"


def of_known_kinds(objects: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the objects that are sent; what is removed is given by its name only."""
    return [manifest for manifest in objects.values() if manifest.get("kind") in COLLECTIONS]


def in_namespace(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Return a manifest as it would be sent: a Secret's data there are a reader's note."""
    sent = copy.deepcopy(manifest)
    sent["metadata"]["namespace"] = namespace
    for key in ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"):
        sent["metadata"].pop(key, None)
    if sent["kind"] == "Secret":
        sent["data"] = dict.fromkeys(sent.get("data", {}), "")
    return sent


@pytest.mark.parametrize("case", situations.folders())
def test_a_planned_object_is_kept_whole(server: Server, case: str) -> None:
    for manifest in of_known_kinds(EXAMPLES[case].objects):
        sent = in_namespace(manifest, server.namespace)
        path = COLLECTIONS[sent["kind"]].format(server.namespace)
        kept = server.call("POST", f"{path}?dryRun=All&fieldValidation=Strict", sent)
        assert list(lost(sent, kept)) == []


@pytest.mark.parametrize("case", EXAMPLES)
def test_a_planned_machine_is_valid_on_a_cluster(case: str) -> None:
    for manifest in of_known_kinds(EXAMPLES[case].objects):
        if manifest["kind"] == "VirtualMachine":
            assert_valid_virtual_machine(manifest)
        if manifest["kind"] == "DataVolume":
            assert_valid_data_volume(manifest)


def put_and_report(server: Server, manifest: dict[str, Any]) -> None:
    sent = in_namespace(manifest, server.namespace)
    path = COLLECTIONS[sent["kind"]].format(server.namespace)
    status = sent.pop("status", None)
    kept = server.call("POST", f"{path}?fieldValidation=Strict", sent)
    try:
        assert list(lost(sent, kept)) == []
        if status is not None:
            at = f"{path}/{sent['metadata']['name']}/status?fieldValidation=Strict"
            kept = server.call("PATCH", at, {"status": status}, content_type="application/merge-patch+json")
            assert list(lost(status, kept["status"])) == []
    finally:
        server.call("DELETE", f"{path}/{sent['metadata']['name']}")


@pytest.mark.parametrize("manifest", ALL_OF_IT, ids=lambda manifest: manifest["kind"])
def test_all_that_may_be_planned_and_reported_is_kept(server: Server, manifest: dict[str, Any]) -> None:
    put_and_report(server, manifest)


def test_the_full_machine_is_valid_on_a_cluster() -> None:
    machine = copy.deepcopy(ALL_OF_IT[0])
    assert_valid_virtual_machine(machine)


FULL = {manifest["kind"]: manifest for manifest in ALL_OF_IT}


@pytest.mark.parametrize("case", [case for case, example in EXAMPLES.items() if of_known_kinds(example.found)])
def test_the_status_that_a_plan_reads_can_be_reported(server: Server, case: str) -> None:
    for manifest in of_known_kinds(EXAMPLES[case].found):
        if "status" in manifest and manifest["kind"] in FULL:
            put_and_report(server, FULL[manifest["kind"]] | {"status": manifest["status"]})
