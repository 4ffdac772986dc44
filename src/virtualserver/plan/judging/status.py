"""The status of a server: its addresses and its five conditions, in the contract's order, without times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.api import names
from virtualserver.api.conditions import MOST_LETTERS, Condition, ConditionType, brief
from virtualserver.api.reasons import Reason
from virtualserver.api.virtualserver import NetworkStatus, RunStrategy, Status
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of
from virtualserver.plan import first_start
from virtualserver.plan.judging import machine
from virtualserver.plan.judging.machine import Phase
from virtualserver.plan.judging.readiness import (
    USELESS_PUBLIC,
    has_another_address,
    has_useless_public,
    ready,
    region_without_pool,
    told_of_guest,
    waiting_for_address,
    waiting_for_floating,
)
from virtualserver.plan.judging.settlement import REFUSED
from virtualserver.plan.judging.verdict import Verdict, refused
from virtualserver.plan.network import CLUSTER_NIC
from virtualserver.plan.objects import data_volumes, services
from virtualserver.plan.sites import annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from virtualserver.api.faults import Fault
    from virtualserver.kube.objects import Manifest
    from virtualserver.kube.trouble import Trouble
    from virtualserver.plan.children import Children
    from virtualserver.plan.situation import Situation

__all__ = ["invalid", "status", "troubled"]

_NOT_HAD: Final = REFUSED | {Reason.POOL_EXHAUSTED, Reason.INSUFFICIENT_MEMORY}
"""Reasons of ``Ready`` for which the server has not what its manifest asks for, and which time alone does not end."""


def status(situation: Situation, wanted: Children) -> Status:
    """Return the whole status.

    Args:
        situation: Of the server.
        wanted: The objects as planned now.
    """
    is_ready = ready(situation, at_next_start=_at_next_start(situation, wanted))
    verdicts = {
        ConditionType.READY: is_ready,
        ConditionType.SERVICES_READY: _services_ready(situation),
        ConditionType.VIRTUAL_MACHINE_READY: _virtual_machine_ready(situation),
        ConditionType.VIRTUAL_SERVER_STARTED: _started(situation),
        ConditionType.FULLY_APPLIED: _fully_applied(situation, wanted, is_ready),
    }
    metadata = situation.server.metadata
    return Status(
        observed_revision=_revision(metadata.annotations),
        network=_network(situation),
        conditions=_conditions(verdicts, metadata.generation),
    )


def invalid(manifest: Manifest, faults: Sequence[Fault]) -> Status:
    """Return the status of a manifest that cannot be read at all; what exists for it stays as it is."""
    told = Verdict("False", Reason.INVALID_SPEC, "; ".join(str(fault) for fault in faults))
    return Status(
        observed_revision=_revision(fields.annotations_of(manifest)),
        conditions=_conditions(dict.fromkeys(ConditionType, told), manifest["metadata"].get("generation", 0)),
    )


def troubled(manifest: Manifest, trouble: Trouble) -> Status:
    """Return the status of a server that cannot be judged, because of us; its addresses are those last known."""
    told = Verdict("Unknown", Reason(trouble.reason), trouble.message)
    known = fields.mapping(manifest, "status", "network")
    try:
        network = msgspec.convert(known, NetworkStatus)
    except msgspec.ValidationError:
        network = NetworkStatus()
    return Status(
        observed_revision=_revision(fields.annotations_of(manifest)),
        network=network,
        conditions=_conditions(dict.fromkeys(ConditionType, told), manifest["metadata"].get("generation", 0)),
    )


def _revision(annotations: Mapping[str, str]) -> str | msgspec.UnsetType:
    """Return the client's word for the manifest, so that it can tell this status from that of an earlier one."""
    return annotations.get(names.REVISION) or msgspec.UNSET


def _conditions(verdicts: Mapping[ConditionType, Verdict], generation: int) -> tuple[Condition, ...]:
    """Return the conditions; of what Ready has to say, its message has the first thing that matters."""
    return tuple(
        Condition(
            type=type_.value,
            status=verdicts[type_].status,
            reason=verdicts[type_].reason.value,
            message=brief(verdicts[type_].message) if type_ is ConditionType.READY else verdicts[type_].message,
            observed_generation=generation,
        )
        for type_ in ConditionType
    )


def _network(situation: Situation) -> NetworkStatus:
    nic = situation.network.cluster_nic
    own = present = machine.guest_addresses(situation, CLUSTER_NIC)
    if nic and nic.attached_to and situation.keeps_its_addresses:
        granted = services.granted_to(situation, nic)
        # A guest that runs has its addresses until its next start.
        own = present if present and (not granted or has_another_address(situation)) else granted
    balancers = situation.network.load_balancers
    live = (situation.children.get("Service", balancer.name) or {} for balancer in balancers)
    cluster_ips = (str(fields.mapping(item, "spec").get("clusterIP") or "") for item in live)
    held = {one.service: one.addresses[0] for one in situation.floating if one.is_held}
    return NetworkStatus(
        floating_ips=held,
        internal_ip=next(iter(own), ""),
        external_ip=next(iter(services.all_granted(situation)), ""),
        service_ip=next((address for address in cluster_ips if address not in ("", "None")), ""),
    )


def _services_ready(situation: Situation) -> Verdict:
    if verdict := _refused(situation, "Service"):
        return verdict
    wanted = (*situation.network.services, *(one.service for one in situation.floating if one.pinned))
    missing = [name for name in wanted if situation.children.get("Service", name) is None]
    if missing:
        return Verdict("False", Reason.WAITING_FOR_SERVICES, f"to be made: {', '.join(missing)}")
    waits = waiting_for_address(situation, situation.network.load_balancers)
    if waits:
        reason = Reason.SERVICES_CREATED if waits.reason is Reason.WAITING_FOR_ADDRESS else waits.reason
        return waits._replace(reason=reason)
    if waits := waiting_for_floating(situation):
        return waits
    if not wanted:
        told = USELESS_PUBLIC if has_useless_public(situation) else "no Service is asked for"
        told = f"{told}{_floating(situation)}" if situation.floating else told
        return Verdict("True", Reason.SERVICES_READY, told)
    told = ", ".join(wanted)
    addresses = services.all_granted(situation)
    if addresses:
        told += f" with address {', '.join(addresses)}"
    if any(balancer.is_attached for balancer in situation.network.load_balancers):
        told += ": every port and protocol, for which the Service's one port, 1/TCP, stands"
    told += _floating(situation)
    return Verdict("True", Reason.SERVICES_READY, told)


def _floating(situation: Situation) -> str:
    """Say which floating addresses a server has, ``""`` where it has none."""
    held = [f"{one.addresses[0]} of Service {one.service}" for one in situation.floating if one.is_held]
    return f"; floating: {', '.join(held)}" if held else ""


def _refused(situation: Situation, *kinds: str) -> Verdict | None:
    """Return the verdict on objects of these kinds where they, or all objects, are refused."""
    return refused([refusal for refusal in situation.refusals if refusal.kind in ("", *kinds)])


def _virtual_machine_ready(situation: Situation) -> Verdict:
    name = situation.server.name
    if situation.server.metadata.deletion_timestamp or situation.children.leaving("VirtualMachine", name):
        return Verdict("False", Reason.TERMINATING, f"VirtualMachine {name} is being deleted")
    if situation.machine is not None:
        return Verdict("True", Reason.VIRTUAL_MACHINE_READY, f"VirtualMachine {name} takes start and stop commands")
    verdict = _refused(situation, "Secret", "DataVolume", "Service")
    return verdict or Verdict("Unknown", Reason.INITIALIZING, f"VirtualMachine {name} is to be made")


def _started(situation: Situation) -> Verdict:
    phase = machine.phase(situation)
    if situation.machine is None:
        return Verdict("Unknown", Reason.INITIALIZING, "there is no machine yet")
    if phase in (Phase.RUNNING, Phase.PAUSED):
        return Verdict("True", Reason.VIRTUAL_SERVER_STARTED, "the machine runs")
    if phase is Phase.STOPPED:
        if fields.status_of(situation.instance or {}).get("phase") == "Succeeded":
            return Verdict("False", Reason.VIRTUAL_MACHINE_INSTANCE_SHUTDOWN, "the guest has shut itself down")
        return Verdict("False", Reason.VIRTUAL_SERVER_STOPPED, "the machine is stopped")
    if phase is Phase.STOPPING:
        return Verdict("Unknown", Reason.STOPPING, "the guest is shutting down")
    if phase is Phase.FAILING:
        word = machine.printable_status(situation)
        return Verdict("False", Reason.FAILED, f"the machine cannot run: {word}")
    return Verdict("Unknown", Reason.PENDING, "the machine is about to start")


def _fully_applied(situation: Situation, wanted: Children, is_ready: Verdict) -> Verdict:
    """Return whether all that the manifest asks for is honoured as it stands now; ``Ready`` does not depend on it.

    Its message begins with what ``Ready`` has to say, where that is more than ``Ready`` has room for.
    """
    at_length = [is_ready.message] if len(is_ready.message) > MOST_LETTERS else []
    if verdict := refused(situation.refusals):
        return verdict._replace(message=next(iter(at_length), verdict.message))
    not_had = [(is_ready.reason, is_ready.message)] if is_ready.reason in _NOT_HAD else []
    shortfalls = [*not_had, *_shortfalls(situation, wanted)]
    if not shortfalls:
        honoured = f"all {'else ' if at_length else ''}that the manifest asks for is honoured"
        return Verdict("True", Reason.FULLY_APPLIED, "; ".join([*at_length, honoured]))
    (gravest, _), *_ = shortfalls
    told = [*at_length, *(message for _, message in shortfalls)]
    return Verdict("False", gravest, "; ".join(dict.fromkeys(told)))


def _shortfalls(situation: Situation, wanted: Children) -> Iterator[tuple[Reason, str]]:
    """Yield what of the manifest is not honoured now, the gravest first."""
    server, site = situation.server, situation.site
    if unheard := first_start.changed(situation):
        message = "the guest was told at its first start, and no start tells it again: change it in the guest too"
        yield Reason.FIRST_START_ONLY, f"{', '.join(unheard)}: {message}, or make the server anew, its disk kept"
    without_effect = site.driver.without_effect(server, storage_classes=site.storage_classes)
    if without_effect:
        yield Reason.PARTLY_APPLIED, f"{', '.join(without_effect)}: no effect here"
    if told := region_without_pool(situation):
        yield Reason.PARTLY_APPLIED, told
    if _is_not_started(situation):
        message = f"the machine was stopped since, which stands: to start it: {site.driver.command(server, 'start')}"
        yield Reason.PARTLY_APPLIED, f"spec.initializeRunning: {message}"
    for told in told_of_guest(situation, site.driver.shortfalls):
        yield Reason.PARTLY_APPLIED, told
    for key in annotations.kept_back(server.metadata.annotations, site.annotations):
        yield Reason.PARTLY_APPLIED, f"metadata.annotations[{key}]: not among the annotations that this site passes on"
    for fault in (*situation.user_data.doubtful, *situation.user_data.remarks):
        yield Reason.PARTLY_APPLIED, str(fault)
    if _source_changed(situation):
        message = "spec.storage.root.source: the root disk was made from another source and stays as it is"
        yield Reason.PARTLY_APPLIED, message
    if told := data_volumes.smaller_than_image(situation):
        yield Reason.PARTLY_APPLIED, told
    if data_volumes.is_growing(situation):
        size = server.spec.storage.root.size
        command = site.driver.command(server, "restart")
        message = f"spec.storage.root.size: the disk grows to {size} when the machine starts next: {command}"
        yield Reason.ROOT_DISK_RESIZE_IN_PROGRESS, message
    if waits := waiting_for_floating(situation):
        yield waits.reason, waits.message
    if changes := _template_changes(situation, wanted):
        command = site.driver.command(server, "restart")
        yield Reason.RESTART_REQUIRED, f"{', '.join(changes)}: takes effect at the next start: {command}"


def _is_not_started(situation: Situation) -> bool:
    """Return whether ``initializeRunning`` is asked of a server that has never run, and nothing starts it any more.

    Somebody stopped it before it ran, or it was asked for while an earlier version made nothing of that.
    """
    is_stopped = situation.machine is not None and machine.phase(situation) is Phase.STOPPED
    is_asked = situation.server.spec.initialize_running and situation.server.spec.run_strategy is not RunStrategy.HALTED
    return is_asked and is_stopped and situation.instance is None and not first_start.told(situation)


def _template_changes(situation: Situation, wanted: Children) -> list[str]:
    planned = wanted.get("VirtualMachine", situation.server.name)
    changes = machine.pending_changes(situation, planned["spec"]["template"]) if planned else []
    if situation.keeps_its_addresses and has_another_address(situation):
        changes.append("spec.network.directAttachLoadBalancerIP (another address)")
    return changes


def _at_next_start(situation: Situation, wanted: Children) -> list[str]:
    """Return the fields that a guest that runs has after its next start."""
    size = ["spec.storage.root.size"] if data_volumes.is_growing(situation) and situation.running else []
    return [*size, *_template_changes(situation, wanted)]


def _source_changed(situation: Situation) -> bool:
    source, disk = situation.server.spec.storage.root.source.pvc, situation.root_disk
    if source is None or disk is None or not data_volumes.source_is_settled(disk):
        return False
    made_from: Mapping[str, Any] = fields.mapping(disk, "spec", "source", "pvc")
    wanted = (source.namespace, source.name)
    # Who names the claim of a disk that was kept for the server wants just that disk.
    return wanted not in ((made_from.get("namespace"), made_from.get("name")), key_of(disk))
