"""The status of a server: its addresses and its five conditions, in the contract's order, without times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.plan.judging import machine
from virtualserver.plan.judging.machine import Phase
from virtualserver.plan.judging.readiness import USELESS_PUBLIC, ready, waiting_for_address
from virtualserver.plan.judging.view import Verdict, View
from virtualserver.plan.objects import data_volumes, services
from virtualserver.plan.sites import unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.api.faults import Fault
    from virtualserver.plan.values import Manifest

__all__ = ["invalid", "status"]


def status(view: View) -> Manifest:
    """Return the whole status."""
    verdicts = {
        ConditionType.READY: ready(view),
        ConditionType.SERVICES_READY: _services_ready(view),
        ConditionType.VIRTUAL_MACHINE_READY: _virtual_machine_ready(view),
        ConditionType.VIRTUAL_SERVER_STARTED: _started(view),
        ConditionType.FULLY_APPLIED: _fully_applied(view),
    }
    return {
        **_revision(view.server.metadata.annotations),
        "network": _network(view),
        "conditions": _conditions(verdicts, view.server.metadata.generation),
    }


def invalid(manifest: Manifest, faults: Sequence[Fault]) -> Manifest:
    """Return the status of a manifest that cannot be read at all; what exists for it stays as it is."""
    metadata: Mapping[str, Any] = manifest["metadata"]
    told = Verdict("False", Reason.INVALID_SPEC, "; ".join(str(fault) for fault in faults))
    network: dict[str, Any] = {"internalIP": "", "externalIP": "", "serviceIP": "", "floatingIPs": {}}
    return {
        **_revision(metadata.get("annotations") or {}),
        "network": network,
        "conditions": _conditions(dict.fromkeys(ConditionType, told), metadata.get("generation", 0)),
    }


def _revision(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the client's word for the manifest, so that it can tell this status from that of an earlier one."""
    revision = annotations.get(names.REVISION)
    return {"observedRevision": revision} if revision else {}


def _conditions(verdicts: Mapping[ConditionType, Verdict], generation: int) -> list[dict[str, Any]]:
    return [
        {
            "type": type_.value,
            "status": verdicts[type_].status,
            "reason": verdicts[type_].reason.value,
            "message": verdicts[type_].message,
            "observedGeneration": generation,
        }
        for type_ in ConditionType
    ]


def _network(view: View) -> dict[str, Any]:
    external = next(iter(view.addresses), "")
    internal = next(iter(machine.guest_addresses(view.observed)), "")
    if view.server.spec.network.direct_attach:
        internal = external
    cluster_ips = [str((view.live(item) or {}).get("spec", {}).get("clusterIP") or "") for item in view.balancers]
    service = next((address for address in cluster_ips if address not in ("", "None")), "")
    return {"internalIP": internal, "externalIP": external, "serviceIP": service, "floatingIPs": {}}


def _services_ready(view: View) -> Verdict:
    refused = _refusal(view, "Service")
    if refused:
        return refused
    missing = [item["metadata"]["name"] for item in view.services if view.live(item) is None]
    if missing:
        return Verdict("False", Reason.WAITING_FOR_SERVICES, f"to be made: {', '.join(missing)}")
    waits = waiting_for_address(view)
    if waits:
        reason = Reason.SERVICES_CREATED if waits.reason is Reason.WAITING_FOR_ADDRESS else waits.reason
        return Verdict("False", reason, waits.message)
    if not view.services:
        told = USELESS_PUBLIC if services.has_useless_public(view.server.spec.network) else "no Service is asked for"
        return Verdict("True", Reason.SERVICES_READY, told)
    told = ", ".join(item["metadata"]["name"] for item in view.services)
    if view.addresses:
        told += f" with address {', '.join(view.addresses)}"
    return Verdict("True", Reason.SERVICES_READY, told)


def _refusal(view: View, *kinds: str) -> Verdict | None:
    """Return the verdict on objects of these kinds where they, or all objects, are refused."""
    found = [refusal for refusal in view.refusals if not refusal.kind or refusal.kind in kinds]
    if not found:
        return None
    return Verdict("False", found[0].reason, "; ".join(refusal.message for refusal in found))


def _virtual_machine_ready(view: View) -> Verdict:
    name = view.server.name
    live = view.observed.virtual_machine
    if view.server.metadata.deletion_timestamp or (live and live["metadata"].get("deletionTimestamp")):
        return Verdict("False", Reason.TERMINATING, f"VirtualMachine {name} is being deleted")
    if live is not None:
        return Verdict("True", Reason.VIRTUAL_MACHINE_READY, f"VirtualMachine {name} takes start and stop commands")
    refused = _refusal(view, "Secret", "DataVolume", "Service")
    return refused or Verdict("Unknown", Reason.INITIALIZING, f"VirtualMachine {name} is to be made")


def _started(view: View) -> Verdict:
    phase = machine.phase(view.observed)
    ended = (view.observed.virtual_machine_instance or {}).get("status", {}).get("phase") == "Succeeded"
    if view.observed.virtual_machine is None:
        return Verdict("Unknown", Reason.INITIALIZING, "there is no machine yet")
    if phase in (Phase.RUNNING, Phase.PAUSED):
        return Verdict("True", Reason.VIRTUAL_SERVER_STARTED, "the machine runs")
    if phase is Phase.STOPPED:
        reason = Reason.VIRTUAL_MACHINE_INSTANCE_SHUTDOWN if ended else Reason.VIRTUAL_SERVER_STOPPED
        return Verdict("False", reason, "the guest has shut itself down" if ended else "the machine is stopped")
    if phase is Phase.STOPPING:
        return Verdict("Unknown", Reason.STOPPING, "the guest is shutting down")
    if phase is Phase.FAILING:
        return Verdict("False", Reason.FAILED, f"the machine cannot run: {machine.printable_status(view.observed)}")
    return Verdict("Unknown", Reason.PENDING, "the machine is about to start")


def _fully_applied(view: View) -> Verdict:
    """Return whether all that the manifest asks for is honoured as it stands now; ``Ready`` does not depend on it."""
    if view.refusals:
        return Verdict(
            "False", view.refusals[0].reason, "; ".join(dict.fromkeys(item.message for item in view.refusals))
        )
    shortfalls: list[tuple[Reason, str]] = []
    fields = unsupported.partly_applied(view.server, view.site)
    if fields:
        shortfalls.append((Reason.PARTLY_APPLIED, f"{', '.join(fields)}: no effect here"))
    if _source_changed(view):
        message = "spec.storage.root.source: the root disk was made from another source and stays as it is"
        shortfalls.append((Reason.PARTLY_APPLIED, message))
    if data_volumes.is_growing(view.server, view.observed):
        size = view.server.spec.storage.root.size
        message = f"spec.storage.root.size: the disk grows to {size} when the machine starts next"
        shortfalls.append((Reason.ROOT_DISK_RESIZE_IN_PROGRESS, message))
    changes = machine.pending_changes(view.observed, view.template)
    if changes:
        message = f"{', '.join(changes)}: takes effect at the next start: {machine.command(view.server, 'restart')}"
        shortfalls.append((Reason.RESTART_REQUIRED, message))
    if not shortfalls:
        return Verdict("True", Reason.FULLY_APPLIED, "all that the manifest asks for is honoured")
    return Verdict("False", shortfalls[0][0], "; ".join(message for _, message in shortfalls))


def _source_changed(view: View) -> bool:
    if not data_volumes.source_is_settled(view.server, view.observed) or view.observed.data_volume is None:
        return False
    made_from = view.observed.data_volume["spec"].get("source", {}).get("pvc", {})
    source = view.server.spec.storage.root.source.pvc
    return source is not None and (made_from.get("namespace"), made_from.get("name")) != (source.namespace, source.name)
