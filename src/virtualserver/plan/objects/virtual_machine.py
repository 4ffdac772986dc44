"""The VirtualMachine of a server: valid ``kubevirt.io/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.plan import dns, ownership
from virtualserver.plan.objects import network_data, run_strategy, secret
from virtualserver.plan.outcome import Apply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.network import NIC
    from virtualserver.plan.situation import Situation

__all__ = ["virtual_machine"]


def virtual_machine(situation: Situation) -> list[Apply]:
    """Return the server's machine; its run strategy depends on what a user did, so it is locked."""
    server = situation.server
    annotations = {
        **situation.site.driver.machine_annotations(),
        names.RUN_STRATEGY: server.spec.run_strategy.value,
    }
    if not server.spec.initialize_running:
        annotations[names.INITIALIZE_RUNNING] = "false"
    manifest = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": ownership.metadata(server, server.name, annotations=annotations),
        "spec": {"template": {"metadata": _template_metadata(situation), "spec": _machine(situation)}},
    }
    strategy = run_strategy.run_strategy(server, situation.machine, situation.instance)
    return [Apply(manifest, locked={"spec": {"runStrategy": strategy}})]


def _template_metadata(situation: Situation) -> dict[str, Any]:
    server, nic = situation.server, situation.network.cluster_nic
    annotations = situation.site.annotations.of_machine(server.metadata.annotations)
    annotations |= situation.site.driver.template_annotations(attached_to=nic.attached_to if nic else None)
    if digest := network_data.digest(situation):
        annotations[names.NETWORK_DATA] = digest
    result: dict[str, Any] = {"labels": ownership.machine_labels(server)}
    if annotations:
        result["annotations"] = annotations
    return result


def _machine(situation: Situation) -> dict[str, Any]:
    server = situation.server
    spec = server.spec
    machine: dict[str, Any] = {
        "hostname": server.name,
        **dns.machine_fields(spec.network),
        "terminationGracePeriodSeconds": spec.grace_seconds,
        "domain": _domain(server, situation.network.nics),
        "networks": [_network(server, nic) for nic in situation.network.nics],
        "volumes": [
            _root_volume(server),
            {"name": "cloud-init", "cloudInitNoCloud": _cloud_init(situation)},
        ],
    }
    for field, probe in (("livenessProbe", spec.liveness_probe), ("readinessProbe", spec.readiness_probe)):
        honoured = situation.site.driver.honoured_probe(server, probe)
        if honoured:
            machine[field] = honoured
    return machine


def _network(server: VirtualServer, nic: NIC) -> dict[str, Any]:
    """The network of a NIC: a VPC is always one of the server's own namespace."""
    if nic.vpc is None:
        return {"name": nic.name, "pod": {}}
    return {"name": nic.name, "multus": {"networkName": f"{server.namespace}/{nic.vpc}"}}


def _cloud_init(situation: Situation) -> dict[str, Any]:
    reference = {"name": f"{situation.server.name}{secret.SUFFIX}"}
    if network_data.network_data(situation) is None:
        return {"secretRef": reference}
    return {"secretRef": reference, "networkDataSecretRef": reference}


def _root_volume(server: VirtualServer) -> dict[str, Any]:
    """The root disk; of an ephemeral one each start begins anew with what was cloned."""
    if server.spec.storage.root.ephemeral:
        return {"name": "root", "ephemeral": {"persistentVolumeClaim": {"claimName": server.name}}}
    return {"name": "root", "dataVolume": {"name": server.name}}


def _domain(server: VirtualServer, nics: Sequence[NIC]) -> dict[str, Any]:
    spec = server.spec
    root: dict[str, Any] = {"name": "root", "disk": {"bus": "virtio"}, "bootOrder": 1}
    if spec.storage.root.serial:
        root["serial"] = spec.storage.root.serial
    devices: dict[str, Any] = {
        "disks": [root, {"name": "cloud-init", "disk": {"bus": "virtio"}}],
        "interfaces": [{"name": nic.name, "model": "virtio", "macAddress": nic.mac, "bridge": {}} for nic in nics],
    }
    if not any(nic.vpc is None for nic in nics):
        devices["autoattachPodInterface"] = False
    if spec.use_virtio_transitional:
        devices["useVirtioTransitional"] = True
    domain: dict[str, Any] = {
        "cpu": {"cores": spec.resources.cpu.count},
        "memory": {"guest": str(spec.resources.memory)},
        "devices": devices,
    }
    firmware = _firmware(server)
    if firmware:
        domain["firmware"] = firmware
    return domain


def _firmware(server: VirtualServer) -> dict[str, Any]:
    given = server.spec.firmware
    firmware: dict[str, Any] = {}
    if given.uuid:
        firmware["uuid"] = given.uuid
    if given.serial:
        firmware["serial"] = given.serial
    if server.spec.os.enable_uefi_boot:
        # Secure boot needs the vendor's keys in the firmware, which no manifest asks for.
        firmware["bootloader"] = {"efi": {"secureBoot": False}}
    return firmware
