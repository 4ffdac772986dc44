"""Why a server, or one of its objects, is not carried out: all reasons at once, each with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import resolver, validation
from virtualserver.api.reasons import Reason
from virtualserver.plan import mac, ownership
from virtualserver.plan.objects import data_volumes, secret
from virtualserver.plan.sites import unsupported
from virtualserver.plan.values import Manifest, Observed, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from virtualserver.api.virtualserver import VirtualServer

__all__ = ["refusals"]

_TAKEN = {
    "VirtualMachine": Reason.VIRTUAL_MACHINE_NAME_TAKEN,
    "DataVolume": Reason.DATA_VOLUME_NAME_TAKEN,
    "PersistentVolumeClaim": Reason.DATA_VOLUME_NAME_TAKEN,
    "Secret": Reason.SECRET_NAME_TAKEN,
    "Service": Reason.SERVICE_NAME_TAKEN,
}


def refusals(server: VirtualServer, observed: Observed, services: Sequence[Manifest]) -> list[Refusal]:
    """Return everything that stands in the way, the gravest first.

    Args:
        server: As decoded.
        observed: What exists.
        services: The Services that the server asks for.
    """
    config = server.spec.network.dns_config
    faults = [*validation.validate(server), *resolver.faults(config, path="spec.network.dnsConfig")]
    if faults:
        return [Refusal(Reason.INVALID_SPEC, "; ".join(str(fault) for fault in faults))]
    return [
        *_unsupported(server),
        *_taken(server, observed, services),
        *_shrunk(server, observed),
        *_mac(server, observed),
        *secret.refusals(server, observed),
    ]


def _unsupported(server: VirtualServer) -> Iterator[Refusal]:
    fields = unsupported.not_supported_yet(server)
    if fields:
        message = (
            f"{', '.join(fields)}: not carried out by this version, so the server is not started: remove what it names"
        )
        if "spec.resources.gpu" in fields:
            # The published Terraform module asks for a GPU unless told otherwise.
            message += " (a GPU that Terraform's module asks for: vs_gpu_enable = false)"
        yield Refusal(Reason.NOT_SUPPORTED_YET, message)


def _taken(server: VirtualServer, observed: Observed, services: Sequence[Manifest]) -> Iterator[Refusal]:
    wanted = [item["metadata"]["name"] for item in services]
    found: list[tuple[str, Manifest | None]] = [
        ("VirtualMachine", observed.virtual_machine),
        ("DataVolume", observed.data_volume),
        ("PersistentVolumeClaim", _stray_claim(observed)),
        ("Secret", observed.secret),
        *(("Service", observed.services.get(name)) for name in wanted),
    ]
    for kind, manifest in found:
        if manifest is None or ownership.is_ours(server, manifest):
            continue
        name = manifest["metadata"]["name"]
        # Without the machine's own name nothing of the server has a place, so nothing is applied.
        object_kind = {"VirtualMachine": "", "PersistentVolumeClaim": "DataVolume"}.get(kind, kind)
        message = f"{kind} {name} is needed and exists, but {ownership.describe_owner(server, manifest)}"
        yield Refusal(_TAKEN[kind], message, object_kind, name)


def _stray_claim(observed: Observed) -> Manifest | None:
    """Return the claim that stands where our disk's would: nothing may be cloned over it."""
    return observed.claim if observed.data_volume is None else None


def _shrunk(server: VirtualServer, observed: Observed) -> Iterator[Refusal]:
    live = observed.data_volume
    if live is None or not ownership.is_ours(server, live):
        return
    root = server.spec.storage.root
    if root.size_bytes < data_volumes.requested_bytes(live):
        size = live["spec"]["storage"]["resources"]["requests"]["storage"]
        message = f"spec.storage.root.size: {root.size} is less than the disk's {size}, and a disk never shrinks: "
        yield Refusal(Reason.INVALID_SPEC, f"{message}write at least {size}")


def _mac(server: VirtualServer, observed: Observed) -> Iterator[Refusal]:
    if observed.mac_holder is None:
        return
    namespace, name = observed.mac_holder
    # The names of another namespace are its owner's business.
    whose = f"VirtualServer {name}" if namespace == server.namespace else "a VirtualServer of another namespace"
    message = f"spec.network.macAddress: {mac.address(server)} belongs to {whose}: choose another"
    yield Refusal(Reason.MAC_ADDRESS_TAKEN, message)
