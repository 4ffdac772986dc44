"""The VirtualMachine of a server: valid ``kubevirt.io/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.plan import mac, ownership
from virtualserver.plan.objects import dns, run_strategy, secret, services
from virtualserver.plan.sites import unsupported
from virtualserver.plan.values import Apply, Observed

if TYPE_CHECKING:
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.sites.site import Site

__all__ = ["CALICO_POOLS", "virtual_machine"]

CALICO_POOLS: Final = "cni.projectcalico.org/ipv4pools"
"""The one annotation of a VirtualServer that its machine gets. Any other could claim another tenant's address."""


def virtual_machine(server: VirtualServer, observed: Observed, site: Site) -> Apply:
    """Return the server's machine; its run strategy depends on what a user did, so it is locked."""
    manifest = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": ownership.metadata(
            server, server.name, annotations={names.RUN_STRATEGY: server.spec.run_strategy.value}
        ),
        "spec": {"template": {"metadata": _template_metadata(server, site), "spec": _machine(server)}},
    }
    return Apply(manifest, locked={"spec": {"runStrategy": run_strategy.run_strategy(server, observed)}})


def _template_metadata(server: VirtualServer, site: Site) -> dict[str, Any]:
    annotations: dict[str, str] = {}
    attached = services.address_service_name(server, site) if server.spec.network.direct_attach else None
    if attached:
        annotations[names.ATTACH_LOAD_BALANCER] = attached
    calico = server.metadata.annotations.get(CALICO_POOLS)
    if calico:
        annotations[CALICO_POOLS] = calico
    result: dict[str, Any] = {"labels": ownership.labels(server)}
    if annotations:
        result["annotations"] = annotations
    return result


def _machine(server: VirtualServer) -> dict[str, Any]:
    spec = server.spec
    machine: dict[str, Any] = {
        "hostname": server.name,
        **dns.machine_fields(spec.network),
        "terminationGracePeriodSeconds": spec.grace_seconds,
        "domain": _domain(server),
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [
            _root_volume(server),
            {"name": "cloud-init", "cloudInitNoCloud": {"secretRef": {"name": secret.secret_name(server)}}},
        ],
    }
    for field, probe in (("livenessProbe", spec.liveness_probe), ("readinessProbe", spec.readiness_probe)):
        honoured = unsupported.honoured_probe(probe)
        if honoured:
            machine[field] = honoured
    return machine


def _root_volume(server: VirtualServer) -> dict[str, Any]:
    """The root disk; of an ephemeral one each start begins anew with what was cloned."""
    if server.spec.storage.root.ephemeral:
        return {"name": "root", "ephemeral": {"persistentVolumeClaim": {"claimName": server.name}}}
    return {"name": "root", "dataVolume": {"name": server.name}}


def _domain(server: VirtualServer) -> dict[str, Any]:
    spec = server.spec
    root: dict[str, Any] = {"name": "root", "disk": {"bus": "virtio"}, "bootOrder": 1}
    if spec.storage.root.serial:
        root["serial"] = spec.storage.root.serial
    nic: dict[str, Any] = {"name": "default", "model": "virtio", "macAddress": mac.address(server), "bridge": {}}
    devices: dict[str, Any] = {
        "disks": [root, {"name": "cloud-init", "disk": {"bus": "virtio"}}],
        "interfaces": [nic],
    }
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
