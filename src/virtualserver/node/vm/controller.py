"""VirtualMachines: their VMI is made and deleted as the run strategy and people's requests have it.

What KubeVirt's virt-controller does; the decision itself is `run_strategy`, the status `status`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from virtualserver.api import names
from virtualserver.api.support.virtual_machine import VIRTUAL_MACHINE
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.controller import Controller
from virtualserver.kube.errors import AlreadyExists, Forbidden, Invalid
from virtualserver.kube.objects import controller_reference, key_of
from virtualserver.node.objects import attached_service, partly_applied, template_spec, volume_claims
from virtualserver.node.ownership import is_made_by, look_for_owners
from virtualserver.node.vm import run_strategy
from virtualserver.node.vm import status as vm_status
from virtualserver.node.vm.data_volumes import data_volumes_of
from virtualserver.node.vmi.specification import PAUSED
from virtualserver.node.waits import Wait
from virtualserver.plan import labels
from virtualserver.plan.ownership import claimed_owner, living_owner

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest
    from virtualserver.node.overseer import Overseer
    from virtualserver.node.queues import Queues
    from virtualserver.node.writer import NodeWriter

__all__ = ["VmController", "template_hash", "vmi_of"]

_logger = logging.getLogger(__name__)
_API_VERSION = "v1"


def template_hash(vm: Manifest) -> str:
    """Return a hash of what only a restart can change in a running machine."""
    attached = attached_service(vm["spec"]["template"])
    text = msgspec.json.encode([template_spec(vm), attached], order="sorted")
    return hashlib.sha256(text).hexdigest()[:16]


def vmi_of(vm: Manifest) -> dict[str, Any]:
    """Return the VMI that a VirtualMachine makes: pure."""
    metadata, template = vm["metadata"], vm["spec"]["template"]
    return {
        "apiVersion": kinds.VIRTUAL_MACHINE_INSTANCE.api_version,
        "kind": kinds.VIRTUAL_MACHINE_INSTANCE.kind,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels.of_new_vmi(vm),
            "annotations": {
                **fields.annotations_of(template),
                names.INSTANCE_TEMPLATE: template_hash(vm),
                names.TEMPLATE_LABELS: labels.recorded(vm),
            },
            "finalizers": [names.NODE_FINALIZER],
            "ownerReferences": [controller_reference(kinds.VIRTUAL_MACHINE, vm)],
        },
        "spec": {**template_spec(vm), **({"startStrategy": PAUSED} if run_strategy.starts_paused(vm) else {})},
    }


class VmController:
    """Brings VirtualMachines to their run strategy."""

    def __init__(self, client: Client, cache: Cache, writer: NodeWriter, queues: Queues, overseer: Overseer) -> None:
        self._client = client
        self._cache = cache
        self._writer = writer
        self._controller: Controller[Key] = Controller(
            name="vm",
            reconcile=self._reconcile,
            queue=queues.vms,
            subject=overseer.subject(kinds.VIRTUAL_MACHINE),
            oversight=overseer.oversight,
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def _reconcile(self, key: Key) -> float | None:
        """Start or stop one machine, and report it."""
        vm = self._cache.get(kinds.VIRTUAL_MACHINE, key)
        vmi = self._cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, key)
        foreign = vmi if vmi is not None and (vm is None or not is_made_by(vm, vmi)) else None
        if foreign is not None:
            # That of an earlier machine of this name, or made by hand: its end brings us here again.
            await self._end_abandoned(foreign)
            vmi = None
        if vm is None:
            return None
        refused = await self._make_volumes(vm)
        now = time.time()
        decision = run_strategy.decide(vm, vmi, now=now)
        if decision.requests and decision.action == "stop" and not _same_requests(vm, decision):
            # The wish to start again is on record before the failed VMI goes.
            requests = [dict(request) for request in decision.requests]
            await self._writer.write_status(kinds.VIRTUAL_MACHINE, vm, {"stateChangeRequests": requests}, locked=True)
            vm = self._cache.get(kinds.VIRTUAL_MACHINE, key) or vm
        if decision.action == "nothing" and vmi is not None and _waits_for_old_wishes(vm, vmi):
            requests = [dict(run_strategy.stop_request(vmi["metadata"]["uid"])), dict(run_strategy.start_request())]
            await self._writer.write_status(kinds.VIRTUAL_MACHINE, vm, {"stateChangeRequests": requests}, locked=True)
            return 0.0
        if decision.action == "always":
            lock = {"resourceVersion": vm["metadata"]["resourceVersion"]}
            # "running" is the old form of the same wish; the two exclude each other.
            spec = {"runStrategy": "Always", "running": None}
            await self._writer.patch(kinds.VIRTUAL_MACHINE, vm, {"metadata": lock, "spec": spec})
            return 0.0
        if decision.action == "stop" and vmi is not None:
            await self._writer.delete(kinds.VIRTUAL_MACHINE_INSTANCE, vmi)
        is_carried_out = decision.action != "start" or foreign is None
        if decision.action == "start" and foreign is None:
            try:
                vmi = await self._start(vm)
            except (Forbidden, Invalid) as error:
                # A ResourceQuota, mostly: whoever asked is told in its words.
                refused = refused or Wait("InstanceRefused", error.message)
                is_carried_out = False
        if not is_carried_out:
            # It shall be once the name is free, or there is room.
            decision = dataclasses.replace(decision, run_strategy=fields.status_of(vm).get("runStrategy"))
        await self._report(vm, vmi, decision, now, foreign=foreign, refused=refused)
        if refused is not None:
            return min(refused.retry_seconds, decision.wait_seconds or refused.retry_seconds)
        return decision.wait_seconds

    async def _end_abandoned(self, vmi: Manifest) -> None:
        """Delete a VMI whose VirtualMachine is gone: its machine ends, whatever finalizers keep the object.

        The garbage collector does so too, but it may be late, and what the guest has is its owner's no longer.
        """
        if vmi["metadata"].get("deletionTimestamp") or claimed_owner(vmi) is None:
            return
        await look_for_owners(self._cache, self._client, vmi)
        if living_owner(vmi, self._cache.get) is None:
            _logger.warning("%s/%s: its VirtualMachine is gone, so the VMI is deleted", *key_of(vmi))
            await self._writer.delete(kinds.VIRTUAL_MACHINE_INSTANCE, vmi)

    async def _make_volumes(self, vm: Manifest) -> Wait | None:
        """Make the DataVolumes that a machine brings along, and return why one of them could not be made."""
        if vm["metadata"].get("deletionTimestamp"):
            return None
        refused = None
        for wanted in data_volumes_of(vm):
            if self._cache.get(kinds.DATA_VOLUME, key_of(wanted)) is not None:
                continue
            try:
                await self._writer.create(kinds.DATA_VOLUME, wanted)
            except AlreadyExists:
                continue  # from a moment ago: the watch is about to tell
            except (Forbidden, Invalid) as error:
                message = f"DataVolume {wanted['metadata']['name']} of spec.dataVolumeTemplates: {error.message}"
                refused = Wait("FailedCreateDataVolume", message)
        return refused

    async def _start(self, vm: Manifest) -> Manifest | None:
        try:
            vmi = await self._writer.create(kinds.VIRTUAL_MACHINE_INSTANCE, vmi_of(vm))
        except AlreadyExists:
            return None  # Ours from a moment ago, or an earlier machine's: the watch is about to tell.
        _logger.info("%s/%s: VMI made", vm["metadata"]["namespace"], vm["metadata"]["name"])
        return vmi

    async def _report(
        self,
        vm: Manifest,
        vmi: Manifest | None,
        decision: run_strategy.Decision,
        now: float,
        *,
        foreign: Manifest | None,
        refused: Wait | None,
    ) -> None:
        namespace = vm["metadata"]["namespace"]
        hash_then = fields.annotations_of(vmi).get(names.INSTANCE_TEMPLATE) if vmi else None
        status = vm_status.status_of(
            vm,
            vmi,
            decision,
            data_volumes=self._volumes(namespace, template_spec(vm)),
            foreign=foreign,
            refused=refused,
            needs_restart=hash_then is not None and hash_then != template_hash(vm),
            partly_applied=partly_applied(VIRTUAL_MACHINE, vm),
            now=now,
        )
        annotations = fields.annotations_of(vm)
        observed = {
            names.LATEST_OBSERVED_API_VERSION: _API_VERSION,
            names.STORAGE_OBSERVED_API_VERSION: _API_VERSION,
        }
        if any(annotations.get(name) != value for name, value in observed.items()):
            vm = await self._writer.patch(kinds.VIRTUAL_MACHINE, vm, {"metadata": {"annotations": observed}}) or vm
        await self._writer.write_status(kinds.VIRTUAL_MACHINE, vm, status, locked=True)

    def _volumes(self, namespace: str, spec: Manifest) -> list[tuple[str, Manifest | None]]:
        """Return the DataVolumes that a machine waits for; other claims are looked at when it starts."""
        found = [
            (name, self._cache.get(kinds.DATA_VOLUME, (namespace, name)), is_data_volume)
            for name, is_data_volume in volume_claims(spec).items()
        ]
        return [(name, volume) for name, volume, is_data_volume in found if volume is not None or is_data_volume]


def _waits_for_old_wishes(vm: Manifest, vmi: Manifest) -> bool:
    """Return whether a VMI waits to be started as its machine is not wanted any more: a new one takes its place.

    Nobody has to ask for a restart of what has never run.
    """
    has_run = fields.status_of(vmi).get("phase") not in (None, "", "Pending")
    if has_run or vmi["metadata"].get("deletionTimestamp"):
        return False
    waits = condition_of(vmi, "Synchronized")
    if waits is None or waits["status"] != "False":
        return False
    return fields.annotations_of(vmi).get(names.INSTANCE_TEMPLATE) != template_hash(vm)


def _same_requests(vm: Manifest, decision: run_strategy.Decision) -> bool:
    return list(fields.items(vm, "status", "stateChangeRequests")) == [dict(one) for one in decision.requests]
