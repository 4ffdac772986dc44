"""Builders of VirtualServers and of what stands for the node's part of them, for tests of several parts."""

from __future__ import annotations

import base64
import copy
from typing import Any

from virtualserver.api import names
from virtualserver.api.virtualserver import VirtualServer, decode
from virtualserver.kube import kinds
from virtualserver.kube.objects import controller_reference

UID = "5f0c9a52-6f0e-4a8e-9d6f-2f3f7b1c0a11"

_BASE: dict[str, Any] = {
    "apiVersion": names.API_VERSION,
    "kind": names.KIND,
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "os": {"type": "linux"},
        "resources": {"cpu": {"count": 1}, "memory": "512Mi"},
        "storage": {
            "root": {
                "size": "4Gi",
                "storageClassName": "local",
                "source": {"pvc": {"namespace": "vd-images", "name": "debian-12"}},
            }
        },
    },
}


def a_manifest(name: str = "web", *, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """Return a VirtualServer as a user writes it; ``network={...}`` and the like replace fields of its spec."""
    manifest = copy.deepcopy(_BASE)
    manifest["metadata"] |= {"name": name, "namespace": namespace}
    manifest["spec"] |= spec
    return manifest


def a_server(name: str = "web", *, annotations: dict[str, str] | None = None, **spec: Any) -> VirtualServer:
    """Return a VirtualServer as the API server hands it to the operator."""
    manifest = a_manifest(name, **spec)
    manifest["metadata"] |= {"uid": UID, "generation": 1, "annotations": annotations or {}}
    return decode(manifest)


def owned(manifest: dict[str, Any], *, name: str = "web", uid: str = UID) -> dict[str, Any]:
    """Return an object as owned by a VirtualServer."""
    reference = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": name, "uid": uid, "controller": True}
    manifest["metadata"] = {"uid": f"uid-of-{manifest['metadata']['name']}", **manifest["metadata"]}
    manifest["metadata"]["ownerReferences"] = [reference]
    return manifest


def a_service(name: str, *, address: str | None = None, condition: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a Service of the server ``web`` as it exists."""
    status: dict[str, Any] = {"loadBalancer": {"ingress": [{"ip": address}]} if address else {}}
    if condition:
        status["conditions"] = [{"type": names.ADDRESS_ASSIGNED, **condition}]
    metadata = {"name": name, "namespace": "default"}
    spec = {"type": "LoadBalancer", "clusterIP": "10.96.0.20"}
    return owned({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status})


def a_machine(
    word: str = "Running", *, strategy: str = "RerunOnFailure", remembered: str = "RerunOnFailure", **status: Any
) -> dict[str, Any]:
    """Return the VirtualMachine of ``web`` as it exists, with its ``printableStatus``."""
    return owned(
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": "web", "namespace": "default", "annotations": {names.RUN_STRATEGY: remembered}},
            "spec": {"runStrategy": strategy, "template": {}},
            "status": {"printableStatus": word, **status},
        }
    )


def an_instance(
    template: Any, *, address: str = "10.128.0.5", phase: str = "Running", **conditions: str
) -> dict[str, Any]:
    """Return the VirtualMachineInstance of ``web`` that a node made of a template; conditions are True by default."""
    verdicts = {names.DATA_PLANE_READY: "True", names.ADDRESS_TAKEN: "True", "Ready": "True"}
    verdicts |= {
        {"data_plane": names.DATA_PLANE_READY, "taken": names.ADDRESS_TAKEN, "ready": "Ready"}[key]: value
        for key, value in conditions.items()
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            **copy.deepcopy(dict(template["metadata"])),
            "name": "web",
            "namespace": "default",
            "uid": "uid-of-instance",
            "ownerReferences": [
                controller_reference(kinds.VIRTUAL_MACHINE, {"metadata": {"name": "web", "uid": "uid-of-web"}})
            ],
        },
        "spec": copy.deepcopy(dict(template["spec"])),
        "status": {
            "phase": phase,
            "interfaces": [{"name": "default", "ipAddress": address, "ipAddresses": [address]}],
            "conditions": [{"type": type_, "status": status} for type_, status in verdicts.items()],
        },
    }


def a_disk(phase: str = "Succeeded", *, size: str = "4Gi", owner: bool = True) -> dict[str, Any]:
    """Return the DataVolume of ``web`` as it exists."""
    disk: dict[str, Any] = {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-of-disk", "labels": {names.UID: UID}},
        "spec": {
            "source": {"pvc": {"namespace": "vd-images", "name": "debian-12"}},
            "storage": {"resources": {"requests": {"storage": size}}},
        },
        "status": {"phase": phase},
    }
    return owned(disk) if owner else disk


def an_image(name: str = "debian-12") -> dict[str, Any]:
    """Return the claim that stands for an image."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "vd-images",
            "uid": f"uid-of-{name}",
            "annotations": {names.IMAGE: "sha256:00"},
        },
    }


def a_secret(name: str, **texts: str) -> dict[str, Any]:
    """Return a Secret of a user."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    metadata = {"name": name, "namespace": "default", "uid": f"uid-of-{name}"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
