"""What a manifest asks for and this site does not carry out, by field: never a silent downgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api.virtualserver import OSType, VirtualServer
from virtualserver.plan.objects import dns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.plan.sites.site import Site

__all__ = ["honoured_probe", "not_supported_yet", "partly_applied"]

_PROBE_HANDLERS: Final = ("httpGet", "tcpSocket")


def not_supported_yet(server: VirtualServer) -> list[str]:
    """Return the fields without which the server would be another one than was asked for: it is not started."""
    spec = server.spec
    gpu = spec.resources.gpu
    root = spec.storage.root
    asked = {
        "spec.resources.gpu": gpu is not None and bool(gpu.type or gpu.count),
        **{f"spec.storage.root.source.{kind}": kind != "pvc" for kind in root.source.kinds},
        "spec.storage.additionalDisks": spec.storage.additional_disks,
        "spec.storage.filesystems": spec.storage.filesystems,
        "spec.network.floatingIPs": spec.network.floating_ips,
        "spec.network.vpcs": spec.network.vpcs,
        "spec.network.disableK8sNetworking": spec.network.disable_k8s_networking,
    }
    return [field for field, value in asked.items() if value]


def partly_applied(server: VirtualServer, site: Site) -> list[str]:
    """Return the fields (or what of them) that have no effect here, though the server runs without them."""
    spec = server.spec
    root = spec.storage.root
    asked = {
        "spec.affinity": spec.affinity,
        "spec.resources.cpu.type": spec.resources.cpu.type,
        "spec.storage.root.storageClassName": root.storage_class_name not in site.storage_classes,
        "spec.storage.root.accessMode": root.access_mode != "ReadWriteOnce",
        "spec.storage.swap": spec.storage.swap,
        "spec.livenessProbe": spec.liveness_probe and not honoured_probe(spec.liveness_probe),
        "spec.readinessProbe": spec.readiness_probe and not honoured_probe(spec.readiness_probe),
        # Guests have IPv4 only, and so has the DHCP that tells them of their resolver.
        "IPv6 addresses in spec.network.dnsConfig.nameservers": dns.has_ipv6_nameserver(spec.network),
        # Only cloud-init can set them in the guest, and Windows has none.
        "spec.network.dnsConfig.options": spec.os.type is OSType.WINDOWS and dns.options(spec.network),
    }
    return [field for field, value in asked.items() if value]


def honoured_probe(probe: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the probe, None where there is none or where it asks inside the guest, which this site cannot."""
    return probe if any(probe.get(handler) for handler in _PROBE_HANDLERS) else None
