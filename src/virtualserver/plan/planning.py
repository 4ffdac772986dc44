"""The plan of one server: what to apply in which order, what to remove, and what its status says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.plan.judging import refusals, status
from virtualserver.plan.judging.view import View, only_ours
from virtualserver.plan.objects import data_volumes, secret, services, virtual_machine
from virtualserver.plan.values import Apply, Manifest, Observed, Plan, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.sites.site import Site

__all__ = ["plan"]


def plan(server: VirtualServer, observed: Observed, site: Site) -> Plan:
    """Return what to do for a server, and what to say of it.

    Nothing is planned for an object that exists and is not ours, nor while ours is being deleted. A refusal of one
    object leaves out that object, and a machine that does not exist yet; any other refusal leaves all as it is.

    Args:
        server: As decoded.
        observed: What exists of the names that the server needs, whoever it belongs to.
        site: The site profile.
    """
    wanted = services.services(server, site)
    refused = refusals.refusals(server, observed, wanted)
    ours = only_ours(server, observed)
    machine = virtual_machine.virtual_machine(server, ours, site)
    view = View(server, ours, site, wanted, machine.manifest["spec"]["template"], refused)
    told = status.status(view)
    if server.metadata.deletion_timestamp:
        return Plan(_kept_disk(server, ours), (), told)
    if any(not refusal.kind for refusal in refused):
        return Plan((), (), told)
    # What the machine needs comes before it; among themselves these do not care.
    first = [Apply(manifest) for manifest in [*_configuration(server, ours, refused), *wanted]]
    second = [machine] if not refused or ours.virtual_machine else []
    stages = tuple(_applicable(stage, ours, refused) for stage in (first, second))
    return Plan(tuple(stage for stage in stages if stage), services.removals(server, ours, wanted), told)


def _configuration(server: VirtualServer, observed: Observed, refused: Sequence[Refusal]) -> list[Manifest]:
    """Return the Secret, unless something in it is waited for, and the root disk."""
    complete = all(refusal.kind != "Secret" for refusal in refused)
    return [*([secret.secret(server, observed)] if complete else []), data_volumes.data_volume(server, observed)]


def _applicable(stage: Sequence[Apply], observed: Observed, refused: Sequence[Refusal]) -> tuple[Apply, ...]:
    """Return a stage without the names that are taken, and without objects that are being deleted."""
    taken = {(refusal.kind, refusal.name) for refusal in refused if refusal.name}
    live = [observed.virtual_machine, observed.data_volume, observed.secret, *observed.services.values()]
    leaving = {
        (item["kind"], item["metadata"]["name"]) for item in live if item and item["metadata"].get("deletionTimestamp")
    }
    skipped = taken | leaving
    return tuple(
        apply for apply in stage if (apply.manifest["kind"], apply.manifest["metadata"]["name"]) not in skipped
    )


def _kept_disk(server: VirtualServer, observed: Observed) -> tuple[tuple[Apply, ...], ...]:
    """Let go of a disk that is to be kept, if its server is deleted before that was done."""
    disk = observed.data_volume
    if not server.keeps_disk or disk is None or disk["metadata"].get("deletionTimestamp"):
        return ()
    return ((Apply(data_volumes.data_volume(server, observed)),),)
