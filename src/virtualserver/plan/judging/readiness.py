"""When a server is ready: the machine runs, every address is in the data plane, the guest took its own, probes pass.

Every other verdict says what is waited for, and what a user can do about it. It does not mean that the guest listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api.reasons import Reason
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of
from virtualserver.plan.floating import Obstacle
from virtualserver.plan.judging import machine
from virtualserver.plan.judging.machine import Phase
from virtualserver.plan.judging.verdict import Verdict, refused
from virtualserver.plan.network import CLUSTER_NIC
from virtualserver.plan.objects import data_volumes, services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.floating import Floating
    from virtualserver.plan.network import LoadBalancer, ServerNetwork
    from virtualserver.plan.situation import Situation

__all__ = [
    "USELESS_PUBLIC",
    "has_another_address",
    "has_useless_public",
    "image_missing",
    "ready",
    "region_without_pool",
    "told_of_guest",
    "waiting_for_address",
    "waiting_for_floating",
]


USELESS_PUBLIC: Final = "public has no effect: add tcp.ports or directAttachLoadBalancerIP"
"""Short enough to stand in Ready beside an address, since it says what to add."""


def ready(situation: Situation, *, at_next_start: Sequence[str] = ()) -> Verdict:
    """Return the condition ``Ready``: the first thing that stands in the way, or that nothing does.

    Args:
        situation: Of the server.
        at_next_start: The fields of the manifest that a guest that runs has after its next start.
    """
    if situation.server.metadata.deletion_timestamp:
        return Verdict("False", Reason.TERMINATING, "the server is being deleted, with all that was made for it")
    verdict = next(_obstacles(situation), None)
    verdict = verdict or Verdict("True", Reason.VIRTUAL_SERVER_READY, _summary(situation, at_next_start))
    told = told_of_guest(situation, situation.site.driver.told)
    return verdict._replace(message="; ".join([verdict.message, *told]))


def told_of_guest(situation: Situation, types: Iterable[str]) -> Iterator[str]:
    """Yield what conditions of an instance say of a guest that runs all the same; it may be why something else fails.

    Args:
        situation: Of the server.
        types: Of the conditions.
    """
    if machine.phase(situation) is Phase.RUNNING:
        running = situation.running
        found = (_condition(running, type_) for type_ in types)
        yield from (str(one.get("message")) for one in found if one.get("status") == "True")


def _obstacles(situation: Situation) -> Iterator[Verdict]:
    """Yield what stands in the way, the gravest first."""
    yield from _refused(situation)
    failures = situation.surroundings.failures
    if failures:
        told = "; ".join(f"{item.kind} {item.name}: {item.message}" for item in failures)
        yield Verdict("False", Reason.ERROR, f"the API server refused an object, which is tried again: {told}")
    missing = image_missing(situation)
    if missing:
        yield Verdict("False", Reason.IMAGE_NOT_FOUND, missing)
    if situation.machine is None:
        yield Verdict("Unknown", Reason.INITIALIZING, "the server's objects are being made")
    yield from _not_running(situation)
    yield from _not_connected(situation)


def _refused(situation: Situation) -> Iterator[Verdict]:
    verdict = refused(situation.refusals)
    if verdict is None:
        return
    goes_on = machine.phase(situation) in (Phase.RUNNING, Phase.STARTING, Phase.PAUSED)
    note = " (the machine goes on as it was before this change)" if goes_on else ""
    yield verdict._replace(message=f"{verdict.message}{note}")


def image_missing(situation: Situation) -> str:
    """Say which image the root disk waits for and the one command that mends it, ``""`` where none is missing."""
    surroundings = situation.surroundings
    source = situation.server.spec.storage.root.source.pvc
    settled = data_volumes.source_is_settled(situation.root_disk)
    if source is None or settled or surroundings.source is not None:
        return ""
    return situation.site.driver.image_missing(source, surroundings.images)


def _not_running(situation: Situation) -> Iterator[Verdict]:
    phase = machine.phase(situation)
    driver, server = situation.site.driver, situation.server
    failure = _condition(situation.machine, "Failure")
    told = str(failure.get("message") or "") if failure.get("status") == "True" else ""
    if situation.children.leaving("VirtualMachine", server.name):
        message = f"VirtualMachine {server.name} is being deleted, and is made again afterwards"
        yield Verdict("False", Reason.TERMINATING, message)
    elif phase in (Phase.STOPPED, Phase.STARTING, Phase.FAILING) and (why := _disk_refused(situation)):
        yield Verdict("False", Reason.DISK_REFUSED, f"the root disk cannot be made: {why}")
    elif phase is Phase.UNREPORTED:
        yield Verdict("Unknown", Reason.INITIALIZING, f"VirtualMachine {server.name} waits to be taken up by a node")
    elif phase is Phase.STOPPED:
        message = f"the machine is stopped; to start it: {driver.command(server, 'start')}"
        told = [message, _disk_being_made(situation), *_without_effect(situation)]
        yield Verdict("False", Reason.VIRTUAL_SERVER_STOPPED, "; ".join(filter(None, told)))
    elif phase is Phase.STOPPING:
        yield Verdict("False", Reason.STOPPING, "the guest is shutting down")
    elif phase is Phase.PAUSED:
        message = f"the machine is paused; to go on: {driver.command(server, 'start')}"
        yield Verdict("False", Reason.PENDING, message)
    elif told:
        yield _told(situation, _reason_of(situation, failure, Reason.FAILED), told)
    elif phase is Phase.FAILING:
        word = machine.printable_status(situation)
        yield Verdict("False", Reason.FAILED, f"the machine cannot run: {word}")
    elif phase is Phase.STARTING:
        yield _starting(situation)


def _told(situation: Situation, reason: Reason, message: str) -> Verdict:
    """Return what the node says about a machine that it cannot start."""
    waits = waiting_for_address(situation, situation.network.load_balancers)
    if reason is Reason.WAITING_FOR_ADDRESS and waits:
        return waits  # the Service knows why
    of_memory = (Reason.INSUFFICIENT_MEMORY, Reason.MEMORY_EXCEEDS_MACHINE)
    field = "spec.resources.memory: " if reason in of_memory else ""
    return Verdict("False", reason, f"{field}{message}")


def _disk_refused(situation: Situation) -> str:
    """Say why there is no root disk before somebody changes something, ``""`` where it is there or on its way."""
    found = _condition(situation.root_disk, "Ready")
    is_refused = found.get("status") != "True" and found.get("reason") in situation.site.driver.disk_refusals
    return str(found.get("message") or found.get("reason")) if is_refused else ""


def _disk_being_made(situation: Situation) -> str:
    """Say how far the root disk is, ``""`` where it is there or is not asked for yet."""
    disk = fields.status_of(situation.root_disk or {})
    if situation.root_disk is None or disk.get("phase") == "Succeeded":
        return ""
    why = _condition(situation.root_disk, "Ready").get("message") or disk.get("phase") or "it waits for its turn"
    progress = str(disk.get("progress") or "")
    return f"the root disk is being made: {why} {progress if progress.endswith('%') else ''}".rstrip()


def _starting(situation: Situation) -> Verdict:
    if message := _disk_being_made(situation):
        return Verdict("Unknown", Reason.PROVISIONING, message)
    # A guest does not start before it has its own address; ports are published while it starts.
    attached = [balancer for balancer in situation.network.load_balancers if balancer.is_attached]
    waits = waiting_for_address(situation, attached)
    return waits or Verdict("Unknown", Reason.STARTING, "the machine is starting")


def _not_connected(situation: Situation) -> Iterator[Verdict]:
    """Yield why a running machine cannot be reached as the manifest says."""
    waits = waiting_for_address(situation, situation.network.load_balancers)
    if waits:
        yield waits
    if waits := waiting_for_floating(situation):
        yield waits
    driver, running = situation.site.driver, situation.running
    if not situation.keeps_its_cluster_nic:
        does = "comes" if situation.network.cluster_nic else "goes"
        command = driver.command(situation.server, "restart")
        message = f"the network card on the cluster network {does} at the next start: {command}"
        yield Verdict("False", Reason.RESTART_REQUIRED, message)
    if not situation.keeps_its_addresses or has_another_address(situation):
        command = driver.command(situation.server, "restart")
        message = f"the machine's own address changes at its next start: {command}"
        yield Verdict("False", Reason.RESTART_REQUIRED, message)
    probe = ("Ready", Reason.PROBE_FAILING, "the readiness probe has not succeeded yet")
    awaited = driver.awaited if situation.network.cluster_nic is not None else ()
    for type_, reason, message in (*awaited, probe):
        found = _condition(running, type_)
        if found.get("status") != "True":
            told = str(found.get("message") or message)
            if reason is Reason.WAITING_FOR_GUEST:
                told = f"{told}; what it says: {driver.command(situation.server, 'logs')}"
            yield Verdict("False", _reason_of(situation, found, reason), told)
    for one in situation.floating:
        if not driver.floats_to(_service(situation, one), situation.server):
            message = f"Service {one.service}: its address does not lead to the guest yet"
            yield Verdict("False", Reason.WAITING_FOR_DATA_PLANE, message)


def has_another_address(situation: Situation) -> bool:
    """Return whether a NIC of the guest has an address, and it is not that of the load balancer it is attached to."""
    for nic in situation.network.nics:
        present = machine.guest_addresses(situation, nic.name)
        if present and not set(services.granted_to(situation, nic)) <= set(present):
            return True
    return False


def waiting_for_address(situation: Situation, balancers: Iterable[LoadBalancer]) -> Verdict | None:
    """Return which of these load balancers has no address yet and why, None where all have one."""
    for balancer in balancers:
        if services.granted(situation, balancer):
            continue
        told = situation.site.driver.address_condition(situation.children.get("Service", balancer.name))
        reason = _reason_of(situation, told, Reason.WAITING_FOR_ADDRESS)
        message = str(told.get("message") or f"waiting for an address of pool {balancer.pool.name}")
        return Verdict("False", reason, f"Service {balancer.name}: {message}")
    return None


def waiting_for_floating(situation: Situation) -> Verdict | None:
    """Return which floating addresses a server does not have and why, each with its reason; None where it has all."""
    waits = list(_floating_waits(situation))
    if not waits:
        return None
    return Verdict("False", waits[0].reason, "; ".join(wait.message for wait in waits))


def _floating_waits(situation: Situation) -> Iterator[Obstacle]:
    for one in situation.floating:
        if one.obstacle is not None:
            yield one.obstacle
        elif not one.addresses:
            told = situation.site.driver.address_condition(_service(situation, one))
            message = str(told.get("message") or "waiting for its address")
            reason = _reason_of(situation, told, Reason.WAITING_FOR_ADDRESS)
            yield Obstacle(reason, f"{one.field}: Service {one.service}: {message}")
        elif not one.is_claimed:
            yield Obstacle(Reason.WAITING_FOR_SERVICES, f"{one.field}: Service {one.service} is about to be claimed")


def _service(situation: Situation, floating: Floating) -> Manifest | None:
    """Return the Service whose address floats, None where it does not exist."""
    if floating.pinned:
        return situation.children.get("Service", floating.service)
    found = situation.surroundings.floating.get(floating.service)
    return found.service if found else None


def _condition(manifest: Manifest | None, type_: str) -> Mapping[str, Any]:
    """Return a condition of an object, ``{}`` where there is none."""
    return condition_of(manifest or {}, type_) or {}


def _reason_of(situation: Situation, condition: Mapping[str, Any], default: Reason) -> Reason:
    """Return the reason that the word of another part's condition stands for."""
    word = str(condition.get("reason"))
    known = Reason(word) if word in Reason.__members__.values() else default
    return situation.site.driver.reasons.get(word, known)


def _summary(situation: Situation, at_next_start: Sequence[str]) -> str:
    """Say which address a ready server has, what waits for a restart, and what in its manifest has no effect.

    Whether a port answers is not said: nobody has asked the guest, unless it has a probe.
    """
    addresses = services.all_granted(situation)
    own = machine.guest_addresses(situation, CLUSTER_NIC)
    floating = tuple(address for one in situation.floating for address in one.addresses)
    several = tuple(dict.fromkeys((*addresses, *floating)))
    reached = f"running, address {', '.join(several or own)}"
    nic = situation.network.cluster_nic
    if nic is None:
        reached = f"running {_without_cluster_nic(situation.network)}"
    elif floating and nic.attached_to:
        reached += f"; what it sends leaves with its own address {', '.join(own)}"
    waits = f" (restart needed: {', '.join(at_next_start)})" if at_next_start else ""
    return "; ".join([reached + waits, *_without_effect(situation)])


def _without_cluster_nic(network: ServerNetwork) -> str:
    """Say what ``disableK8sNetworking`` means for a server."""
    where = f"on VPC {', '.join(network.vpcs)} only" if network.vpcs else "without any network card"
    return f"{where} (disableK8sNetworking): no address, Service or cluster DNS name"


def has_useless_public(situation: Situation) -> bool:
    """Return whether ``public: true`` has no effect, because nothing is exposed."""
    network = situation.network
    is_exposed = network.load_balancers or network.floating
    return situation.server.spec.network.public and network.cluster_nic is not None and not is_exposed


def _without_effect(situation: Situation) -> Iterator[str]:
    """Yield what in the manifest of a server with which nothing is wrong has no effect."""
    if has_useless_public(situation):
        yield USELESS_PUBLIC


def region_without_pool(situation: Situation) -> str:
    """Say that the region has no pool of addresses here, which is all that depends on it; ``""`` where it is served."""
    spec = situation.server.spec
    pool = situation.site.pool(public=spec.network.public, region=spec.region)
    if pool.region_known:
        return ""
    return f"spec.region: {spec.region} has no address pool here, so the pool {pool.name} serves it"
