"""The plan of one server: what to apply in which order, what to remove, and what its status says."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from virtualserver.plan import cloud_config_modules
from virtualserver.plan.children import Children
from virtualserver.plan.judging import refusals, status
from virtualserver.plan.network import network_of
from virtualserver.plan.objects import data_volumes
from virtualserver.plan.objects.floating_addresses import floating_of
from virtualserver.plan.objects.table import KINDS, STAGES
from virtualserver.plan.outcome import Apply, Plan
from virtualserver.plan.situation import Situation
from virtualserver.plan.user_data import user_data_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.sites.site import Site
    from virtualserver.plan.situation import Surroundings

__all__ = ["plan"]


def plan(server: VirtualServer, found: Children, surroundings: Surroundings, site: Site) -> Plan:
    """Return what to do for a server, and what to say of it.

    Nothing is planned for an object that exists and is not ours, nor while ours is being deleted. A refusal of one
    object leaves out that object, and a machine that does not exist yet; any other refusal leaves all as it is.

    Args:
        server: As decoded.
        found: What exists of the names that the server needs, whoever it belongs to.
        surroundings: What matters to it beside them.
        site: Where it runs.
    """
    situation = Situation(
        server=server,
        site=site,
        network=network_of(server, site, derived_mac=surroundings.derived_mac, vpc_macs=surroundings.vpc_macs),
        found=found,
        children=found.ours(server),
        surroundings=surroundings,
        user_data=user_data_of(
            server, surroundings.secrets, modules=cloud_config_modules.modules_of(surroundings.source)
        ),
    )
    situation = dataclasses.replace(situation, floating=floating_of(situation), refusals=refusals.refusals(situation))
    stages = [[apply for kind in stage for apply in kind.planned(situation)] for stage in STAGES]
    wanted = Children.of(apply.manifest for stage in stages for apply in stage)
    told = status.status(situation, wanted)
    if server.metadata.deletion_timestamp:
        return Plan(_kept_disk(situation), (), told)
    if any(not refusal.kind for refusal in situation.refusals):
        return Plan((), (), told)
    applicable = [_applicable(situation, stage) for stage in stages]
    removals = [removal for kind in KINDS for removal in kind.removals(situation)]
    return Plan(tuple(stage for stage in applicable if stage), tuple(removals), told)


def _applicable(situation: Situation, stage: Iterable[Apply]) -> tuple[Apply, ...]:
    """Return a stage without the names that are taken, and without objects that are being deleted."""
    refused = {(refusal.kind, refusal.name) for refusal in situation.refusals}
    # What the machine needs is not complete: one that exists goes on, a new one waits.
    if refused and situation.machine is None:
        refused.add(("VirtualMachine", situation.server.name))
    return tuple(apply for apply in stage if apply.key not in refused and not situation.children.leaving(*apply.key))


def _kept_disk(situation: Situation) -> tuple[tuple[Apply, ...], ...]:
    """Let go of a disk that is to be kept, if its server is deleted before that was done."""
    server = situation.server
    if not situation.keeps_disk or situation.root_disk is None:
        return ()
    if situation.children.leaving("DataVolume", server.name):
        return ()
    return (tuple(data_volumes.data_volumes(situation)),)
