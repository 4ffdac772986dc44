"""When a server is ready: the machine runs, every address is in the data plane, the guest took its own, probes pass.

Every other verdict says what is waited for, and what a user can do about it. It does not mean that the guest listens.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.reasons import Reason
from virtualserver.plan.judging import machine
from virtualserver.plan.judging.machine import Phase
from virtualserver.plan.judging.view import Verdict, View
from virtualserver.plan.objects import data_volumes, services

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["USELESS_PUBLIC", "image_missing", "ready", "reason_of", "waiting_for_address"]


USELESS_PUBLIC: Final = (
    "spec.network.public: true has no effect yet, because nothing is exposed: "
    "add tcp.ports or udp.ports, or set directAttachLoadBalancerIP"
)

_WORDS_OF_THE_NODE = {"WaitingForVolumes": Reason.PROVISIONING, "GuestStandsStill": Reason.FAILED}
"""Reasons of waits for which a VirtualServer has a word of its own."""


def ready(view: View) -> Verdict:
    """Return the condition ``Ready``: the first thing that stands in the way, or that nothing does."""
    if view.server.metadata.deletion_timestamp:
        return Verdict("False", Reason.TERMINATING, "the server is being deleted, with all that was made for it")
    return next(_obstacles(view), None) or Verdict("True", Reason.VIRTUAL_SERVER_READY, _summary(view))


def _obstacles(view: View) -> Iterator[Verdict]:
    """Yield what stands in the way, the gravest first."""
    if view.refusals:
        yield _refused(view)
    if view.observed.failures:
        told = "; ".join(f"{item.kind} {item.name}: {item.message}" for item in view.observed.failures)
        yield Verdict("False", Reason.ERROR, f"the API server refused an object, which is tried again: {told}")
    missing = image_missing(view)
    if missing:
        yield Verdict("False", Reason.IMAGE_NOT_FOUND, missing)
    if view.observed.virtual_machine is None:
        yield Verdict("Unknown", Reason.INITIALIZING, "the server's objects are being made")
    yield from _not_running(view)
    yield from _not_connected(view)


def _refused(view: View) -> Verdict:
    message = "; ".join(dict.fromkeys(refusal.message for refusal in view.refusals))
    if machine.phase(view.observed) in (Phase.RUNNING, Phase.STARTING, Phase.PAUSED):
        message += " (the machine goes on as it was before this change)"
    return Verdict("False", view.refusals[0].reason, message)


def image_missing(view: View) -> str:
    """Say which image the root disk waits for and the one command that mends it, ``""`` where none is missing.

    The command names the image whose name is most like the one that is asked for; all that there are stand beside it.
    """
    source = view.server.spec.storage.root.source.pvc
    settled = data_volumes.source_is_settled(view.server, view.observed)
    if source is None or settled or view.observed.source is not None:
        return ""
    known = [name.rpartition("/")[2] for name in view.observed.images]
    image = difflib.get_close_matches(source.name, known, n=1, cutoff=0)[0] if known else "debian"
    message = (
        f"spec.storage.root.source.pvc: image {source.namespace}/{source.name} does not exist: "
        f"to let the name stand for an image that does: vs image alias {source.namespace}/{source.name} {image}"
    )
    if known:
        return f"{message} (there is {', '.join(known)})"
    return f"{message} (there is none yet, so first: vs image build debian)"


def _not_running(view: View) -> Iterator[Verdict]:
    phase = machine.phase(view.observed)
    name = view.server.name
    failure = machine.condition(view.observed.virtual_machine, "Failure")
    told = str(failure.get("message") or "") if failure.get("status") == "True" else ""
    if view.observed.virtual_machine and view.observed.virtual_machine["metadata"].get("deletionTimestamp"):
        yield Verdict(
            "False", Reason.TERMINATING, f"VirtualMachine {name} is being deleted, and is made again afterwards"
        )
    elif phase is Phase.UNREPORTED:
        yield Verdict("Unknown", Reason.INITIALIZING, f"VirtualMachine {name} waits to be taken up by a node")
    elif phase is Phase.STOPPED:
        message = f"the machine is stopped; to start it: {machine.command(view.server, 'start')}"
        yield Verdict("False", Reason.VIRTUAL_SERVER_STOPPED, "; ".join([message, *_without_effect(view)]))
    elif phase is Phase.STOPPING:
        yield Verdict("False", Reason.STOPPING, "the guest is shutting down")
    elif phase is Phase.PAUSED:
        yield Verdict("False", Reason.PENDING, f"the machine is paused; to go on: virtctl unpause vm {name}")
    elif told:
        yield _told(view, reason_of(str(failure.get("reason")), Reason.FAILED), told)
    elif phase is Phase.FAILING:
        yield Verdict("False", Reason.FAILED, f"the machine cannot run: {machine.printable_status(view.observed)}")
    elif phase is Phase.STARTING:
        yield _starting(view)


def _told(view: View, reason: Reason, message: str) -> Verdict:
    """Return what the node says about a machine that it cannot start."""
    if reason is Reason.WAITING_FOR_ADDRESS and (waits := waiting_for_address(view)):
        return waits  # the Service knows why
    field = "spec.resources.memory: " if reason is Reason.INSUFFICIENT_MEMORY else ""
    return Verdict("False", reason, f"{field}{message}")


def _starting(view: View) -> Verdict:
    disk = (view.observed.data_volume or {}).get("status", {})
    if disk.get("phase") not in ("Succeeded", None):
        why = machine.condition(view.observed.data_volume, "Ready").get("message")
        message = f"the root disk is being made: {why or disk.get('phase')} {disk.get('progress') or ''}".rstrip()
        return Verdict("Unknown", Reason.PROVISIONING, message)
    waits = waiting_for_address(view) if view.server.spec.network.direct_attach else None
    return waits or Verdict("Unknown", Reason.STARTING, "the machine is starting")


def _not_connected(view: View) -> Iterator[Verdict]:
    """Yield why a running machine cannot be reached as the manifest says."""
    waits = waiting_for_address(view)
    if waits:
        yield waits
    running = machine.instance(view.observed)
    direct = view.server.spec.network.direct_attach
    moved = direct and not set(view.addresses) <= set(machine.guest_addresses(view.observed))
    if machine.attachment(running) != machine.attachment(view.template) or (
        moved and machine.guest_addresses(view.observed)
    ):
        message = f"the machine's own address changes at its next start: {machine.command(view.server, 'restart')}"
        yield Verdict("False", Reason.RESTART_REQUIRED, message)
    checks = (
        (
            names.DATA_PLANE_READY,
            Reason.WAITING_FOR_DATA_PLANE,
            "the addresses and ports are not in the data plane yet",
        ),
        (names.ADDRESS_TAKEN, Reason.WAITING_FOR_GUEST, "the guest has not taken its address since this start"),
        ("Ready", Reason.PROBE_FAILING, "the readiness probe has not succeeded yet"),
    )
    for type_, reason, message in checks:
        found = machine.condition(running, type_)
        if found.get("status") != "True":
            told = reason_of(str(found.get("reason")), reason)
            yield Verdict("False", told, str(found.get("message") or message))


def waiting_for_address(view: View) -> Verdict | None:
    """Return which Service has no address yet and why, None where all have one."""
    for service in view.balancers:
        live = view.live(service)
        if view.granted(service):
            continue
        name = service["metadata"]["name"]
        told = machine.condition(live, names.ADDRESS_ASSIGNED)
        reason = reason_of(str(told.get("reason")), Reason.WAITING_FOR_ADDRESS)
        pool = service["metadata"]["annotations"][names.METALLB_ADDRESS_POOL]
        message = str(told.get("message") or f"waiting for an address of pool {pool}")
        return Verdict("False", reason, f"Service {name}: {message}")
    return None


def reason_of(word: str, default: Reason) -> Reason:
    """Return the reason that another part's word stands for."""
    if word in _WORDS_OF_THE_NODE:
        return _WORDS_OF_THE_NODE[word]
    return Reason(word) if word in Reason.__members__.values() else default


def _summary(view: View) -> str:
    """Say where a ready server is reached, and what in its manifest has no effect."""
    own = ", ".join(machine.guest_addresses(view.observed))
    sentences = [f"running, reachable at {', '.join(view.addresses)}" if view.addresses else f"running at {own}"]
    return "; ".join([*sentences, *_without_effect(view)])


def _without_effect(view: View) -> Iterator[str]:
    """Yield what in the manifest of a server with which nothing is wrong has no effect."""
    network = view.server.spec.network
    if services.has_useless_public(network):
        yield USELESS_PUBLIC
    pool = view.site.pool(public=network.public, region=view.server.spec.region)
    if view.balancers and not pool.region_known:
        yield f"spec.region: {view.server.spec.region} has no address pool here, so the pool {pool.name} serves it"
