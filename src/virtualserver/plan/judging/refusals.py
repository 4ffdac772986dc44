"""Why a server, or one of its objects, is not carried out: all reasons at once, each with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import quantity, resolver, validation
from virtualserver.api.faults import Fault
from virtualserver.api.reasons import Reason
from virtualserver.plan import ownership
from virtualserver.plan.objects import data_volumes
from virtualserver.plan.objects.table import STAGES
from virtualserver.plan.situation import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.plan.situation import Situation
    from virtualserver.plan.user_data import UserData

__all__ = ["refusals"]

_MOST_FLOATING: Final = 10


def refusals(situation: Situation) -> tuple[Refusal, ...]:
    """Return everything that stands in the way, the gravest first.

    Args:
        situation: Its own refusals, which follow from these, are not read.
    """
    server = situation.server
    config = server.spec.network.dns_config
    faults = [*validation.validate(server), *resolver.faults(config, path="spec.network.dnsConfig")]
    if faults:
        return (Refusal(Reason.INVALID_SPEC, "; ".join(str(fault) for fault in faults)),)
    return (
        *_unsupported(situation),
        *_out_of_range(situation),
        *_taken(situation),
        *_shrunk(situation),
        *_mac_taken(situation),
        *_too_many_floating(situation),
        *_no_user_data(situation.user_data),
        *_doubtful(situation),
    )


def _unsupported(situation: Situation) -> Iterator[Refusal]:
    fields = situation.site.driver.unsupported(situation.server)
    if fields:
        message = (
            f"{', '.join(fields)}: not carried out by this version, so the server is not started: remove what it names"
        )
        if "spec.resources.gpu" in fields:
            # The published Terraform module asks for a GPU unless told otherwise.
            message += " (a GPU that Terraform's module asks for: vs_gpu_enable = false)"
        yield Refusal(Reason.NOT_SUPPORTED_YET, message)


def _out_of_range(situation: Situation) -> Iterator[Refusal]:
    server = situation.server
    faults, size = situation.site.driver.out_of_range(server), server.spec.storage.root.size
    if situation.root_disk is None and quantity.parse(size) < 1:
        faults.append(Fault("spec.storage.root.size", f"{size!r} is less than a byte: write a size such as 40Gi"))
    if faults:
        yield Refusal(Reason.INVALID_SPEC, "; ".join(map(str, faults)))


def _taken(situation: Situation) -> Iterator[Refusal]:
    """Yield the names that are needed now and are somebody else's; without the machine's own nothing has a place."""
    server = situation.server
    for child in (kind for stage in reversed(STAGES) for kind in stage):
        kind = child.resource.kind
        for name in child.names_needed(situation):
            in_the_way = situation.found.get(kind, name)
            if kind == "DataVolume" and in_the_way is None:
                # Nothing may be cloned over a claim that stands where our disk's would.
                in_the_way = situation.found.get("PersistentVolumeClaim", name)
            if in_the_way is None or ownership.is_ours(server, in_the_way):
                continue
            if ownership.is_of_former(server, in_the_way):
                told = "is the deleted server's of this name: this goes on as soon as it is gone"
                reason = Reason.TERMINATING
            else:
                told = f"is needed and exists, but {ownership.describe_owner(server, in_the_way)}"
                reason = child.taken
            message = f"{in_the_way['kind']} {name} {told}"
            yield Refusal(reason, message, "" if kind == "VirtualMachine" else kind, name)


def _shrunk(situation: Situation) -> Iterator[Refusal]:
    root = situation.server.spec.storage.root
    if situation.root_disk is not None and root.size_bytes < data_volumes.requested_bytes(situation.root_disk):
        size = data_volumes.requested_size(situation.root_disk)
        message = f"spec.storage.root.size: {root.size} is less than the disk's {size}, and a disk never shrinks: "
        yield Refusal(Reason.INVALID_SPEC, f"{message}write at least {size}")


def _mac_taken(situation: Situation) -> Iterator[Refusal]:
    nic, holder = situation.network.cluster_nic, situation.surroundings.mac_holder
    if nic is None or holder is None:
        return
    namespace, name = holder
    # The names of another namespace are its owner's business.
    whose = (
        f"VirtualServer {name}" if namespace == situation.server.namespace else "a VirtualServer of another namespace"
    )
    message = f"spec.network.macAddress: {nic.mac} belongs to {whose}: choose another"
    yield Refusal(Reason.MAC_ADDRESS_TAKEN, message)


def _too_many_floating(situation: Situation) -> Iterator[Refusal]:
    count = len(set(situation.network.floating))
    if count > _MOST_FLOATING:
        message = f"spec.network.floatingIPs: {count} are given, {_MOST_FLOATING} are allowed: remove some"
        yield Refusal(Reason.INVALID_SPEC, message)


def _no_user_data(user_data: UserData) -> Iterator[Refusal]:
    for message in user_data.missing:
        yield Refusal(Reason.WAITING_FOR_SECRET, message, "Secret")
    for fault in user_data.bad_passwords:
        yield Refusal(Reason.INVALID_SPEC, str(fault))
    for fault in user_data.bad_cloud_init:
        yield Refusal(Reason.INVALID_CLOUD_INIT, str(fault))


def _doubtful(situation: Situation) -> Iterator[Refusal]:
    """Yield what a new server is refused for: one that has its machine was let pass, and goes on."""
    for fault in situation.user_data.doubtful if situation.machine is None else ():
        is_user = fault.path.startswith("spec.users")
        yield Refusal(Reason.INVALID_SPEC if is_user else Reason.INVALID_CLOUD_INIT, str(fault))
