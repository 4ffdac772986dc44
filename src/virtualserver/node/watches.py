"""Which keys a change concerns: from what is watched, the API and the guests' leases, to the controllers' queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.cache import Cache, Watch
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.objects import Key, Manifest, Resource, controller_of, key_of
from virtualserver.node.objects import attached_service, template_spec, volume_claims, vpcs_of
from virtualserver.node.services import balancing, by_hand, floating, relations, source_ranges
from virtualserver.node.vm.data_volumes import template_names
from virtualserver.node.vmi import macs
from virtualserver.plan import labels
from virtualserver.plan.floating import named
from virtualserver.plan.ownership import PINNED_SUFFIXES, SERVICE_NAME, SUFFIXES, VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from virtualserver.kube.store import Change
    from virtualserver.node.queues import Queues

__all__ = ["WATCHES", "Watches"]

WATCHES: Final = {
    VIRTUAL_SERVER: Watch(indexes={macs.BY_MAC: macs.of_server}),
    kinds.VIRTUAL_MACHINE: Watch(indexes={macs.BY_MAC: macs.of_machine}),
    kinds.VIRTUAL_MACHINE_INSTANCE: Watch(),
    kinds.NAMESPACE: Watch(),
    kinds.SERVICE: Watch(
        indexes={balancing.GROUP: balancing.groups_of, relations.FOR_ANYBODY: relations.namespace_of_users}
    ),
    kinds.DATA_VOLUME: Watch(),
    kinds.PERSISTENT_VOLUME_CLAIM: Watch(),
    kinds.NETWORK_ATTACHMENT_DEFINITION: Watch(),
    kinds.ENDPOINT_SLICE: Watch(indexes={by_hand.BY_HAND: by_hand.services_by_hand}),
}
"""The kinds that the node follows."""


class Watches:
    """Adds keys to queues, and does nothing else."""

    def __init__(self, cache: Cache, queues: Queues) -> None:
        self._cache = cache
        self._queues = queues
        self._receivers: dict[Resource, Callable[[Change], None]] = {
            VIRTUAL_SERVER: self._server,
            kinds.VIRTUAL_MACHINE: self._vm,
            kinds.VIRTUAL_MACHINE_INSTANCE: self._vmi,
            kinds.NAMESPACE: self._namespace,
            kinds.SERVICE: self._service,
            kinds.DATA_VOLUME: self._volume,
            kinds.PERSISTENT_VOLUME_CLAIM: self._claim,
            kinds.NETWORK_ATTACHMENT_DEFINITION: self._network,
            kinds.ENDPOINT_SLICE: self._slice,
        }

    def receive(self, resource: Resource, change: Change) -> None:
        """Take in one change that the cache has."""
        self._receivers[resource](change)

    def site_changed(self) -> None:
        """Look again at all that the administrator's file decides about, each in a pass of its own."""
        for service in self._cache.all(kinds.SERVICE):  # they may have an address now
            self._queues.services.add(key_of(service))
        for volume in self._cache.all(kinds.DATA_VOLUME):  # there may be room for its disk now
            self._queues.volumes.add(key_of(volume))
        for vmi in self._cache.all(kinds.VIRTUAL_MACHINE_INSTANCE):  # its links may be of another group now
            self._queues.vmis.add(key_of(vmi))

    async def follow_leases(self, changes: AsyncIterator[None]) -> None:
        """Look again, whenever leases change, at every VMI whose guest has not taken its address yet."""
        async for _ in changes:
            for vmi in self._cache.all(kinds.VIRTUAL_MACHINE_INSTANCE):
                condition = condition_of(vmi, names.ADDRESS_TAKEN)
                if condition is not None and condition["status"] != "True":
                    self._queues.vmis.add(key_of(vmi))

    def _server(self, change: Change) -> None:
        # That it lives matters here, and the order of its floating addresses: else the operator carries it out.
        if change.old is not None and change.new is not None and _uid(change.old) == _uid(change.new):
            if named(change.old) != named(change.new):
                self._claimed_by(_uid(change.new))
            return
        for one in (change.old, change.new):
            if one is not None:
                self._claimed_by(_uid(one))
        namespace, name = change.key
        self._queues.vmis.add(change.key)
        for suffix in SUFFIXES["Service"]:
            service = namespace, f"{name}{suffix}"
            if suffix not in PINNED_SUFFIXES or self._cache.get(kinds.SERVICE, service):
                self._queues.services.add(service)
        if change.old is not None:
            self._queues.sweep_soon()

    def _vm(self, change: Change) -> None:
        self._queues.vms.add(change.key)
        attached = {attached_service(vm["spec"]["template"]) for vm in (change.old, change.new) if vm}
        for name in attached - {None}:
            self._queues.services.add((change.key[0], str(name)))
        self._machine_labels(change)
        if change.new is None:
            self._queues.sweep_soon()

    def _machine_labels(self, change: Change) -> None:
        """Have the Services looked at that find a machine by its labels, or do not any more."""
        seen = [labels.of_vm(vm) for vm in (change.old, change.new) if vm]
        if len(seen) == 2 and seen[0] != seen[1]:
            for key in relations.services_selecting(self._cache, change.key[0], *seen):
                self._queues.services.add(key)
            self._queues.vmis.add(change.key)  # it may have waited for one of them
        elif len(seen) == 1:
            # While a machine has no VMI, it only matters to those that would say that they match none.
            for service in self._cache.by_index(kinds.SERVICE, relations.FOR_ANYBODY, change.key[0]):
                if labels.selects(service, seen[0]):
                    self._queues.services.add(key_of(service))

    def _vmi(self, change: Change) -> None:
        self._queues.vms.add(change.key)
        self._queues.vmis.add(change.key)
        if _face(change.old) != _face(change.new):
            for vmi in (change.old, change.new):
                for key in relations.services_of(self._cache, vmi) if vmi else ():
                    self._queues.services.add(key)
            for one in self._cache.by_index(kinds.ENDPOINT_SLICE, by_hand.BY_HAND, change.key[0]):
                self._queues.services.add((change.key[0], fields.labels_of(one)[SERVICE_NAME]))
        if change.new is None:
            self._queues.sweep_soon()

    def _namespace(self, change: Change) -> None:
        if change.new is None:
            return
        if change.old is None or fields.annotations_of(change.old) != fields.annotations_of(change.new):
            for service in self._cache.in_namespace(kinds.SERVICE, change.new["metadata"]["name"]):
                self._queues.services.add(key_of(service))

    def _service(self, change: Change) -> None:
        self._queues.services.add(change.key)
        # Its address may now be free for another, its ports for others of its group, or theirs for itself.
        if _wish(change.old) != _wish(change.new):
            if change.old is not None:
                self._queues.sweep_soon()
            for group in {balancing.group_of(one) for one in (change.old, change.new) if one is not None}:
                for other in self._cache.by_index(kinds.SERVICE, balancing.GROUP, group):
                    self._queues.services.add(key_of(other))
        # A machine may have waited for it, or waits for it no longer.
        if _spec(change.old) != _spec(change.new):
            for one in (change.old, change.new):
                for key in relations.waiting_vmis(self._cache, one) if one else ():
                    self._queues.vmis.add(key)

    def _volume(self, change: Change) -> None:
        self._queues.volumes.add(change.key)
        namespace, name = change.key
        for vm in self._cache.in_namespace(kinds.VIRTUAL_MACHINE, namespace):
            if name in volume_claims(template_spec(vm)) or name in template_names(vm):
                self._queues.vms.add(key_of(vm))
                self._queues.vmis.add(key_of(vm))

    def _claim(self, change: Change) -> None:
        self._queues.volumes.add(change.key)
        claim = change.new or change.old
        # DataVolumes may wait for an image, and say that nobody makes it any more.
        annotations = fields.annotations_of(claim or {})
        if names.IMAGE in annotations or annotations.get(names.IMAGE_PROGRESS) == names.IMAGE_ABANDONED:
            for volume in self._cache.all(kinds.DATA_VOLUME):
                pvc = fields.mapping(volume, "spec", "source", "pvc")
                if (pvc.get("namespace") or volume["metadata"]["namespace"], pvc.get("name")) == change.key:
                    self._queues.volumes.add(key_of(volume))

    def _network(self, change: Change) -> None:
        namespace, name = change.key
        for vmi in self._cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, namespace):
            if name in vpcs_of(vmi["spec"]):
                self._queues.vmis.add(key_of(vmi))

    def _slice(self, change: Change) -> None:
        for one in (change.old, change.new):
            name = fields.labels_of(one).get(SERVICE_NAME) if one else None
            if name:
                self._queues.services.add((change.key[0], name))
                self._group_of((change.key[0], name))
            # Which of its floating addresses a server's guest leaves with depends on all of them.
            if one and (owner := controller_of(one)):
                self._claimed_by(owner["uid"])
                if owner["kind"] == VIRTUAL_SERVER.kind:
                    self._queues.vmis.add((change.key[0], owner["name"]))  # as in `_service`

    def _group_of(self, key: Key) -> None:
        """Look again at the Services that share the address of one: whom it floats to concerns all."""
        service = self._cache.get(kinds.SERVICE, key)
        for one in self._cache.by_index(kinds.SERVICE, balancing.GROUP, balancing.group_of(service)) if service else ():
            self._queues.services.add(key_of(one))

    def _claimed_by(self, server: str) -> None:
        """Look again at the Services that a VirtualServer claims, by its UID."""
        for key in floating.claimed_by(self._cache, server):
            self._queues.services.add(key)


def _uid(manifest: Manifest) -> str:
    return manifest["metadata"]["uid"]


def _face(vmi: Manifest | None) -> object:
    """Return what Services see of a VMI."""
    if vmi is None:
        return None
    status = fields.status_of(vmi)
    addresses = tuple(
        str(address)
        for interface in fields.items(status, "interfaces")
        for address in interface.get("ipAddresses") or ()
    )
    ready = condition_of(vmi, "Ready")
    return (
        addresses,
        (status.get("phase"), ready and ready["status"]),
        (vmi["metadata"].get("deletionTimestamp"), fields.labels_of(vmi)),
    )


def _spec(manifest: Manifest | None) -> object:
    return None if manifest is None else manifest["spec"]


def _wish(service: Manifest | None) -> object:
    """Return what decides about a Service's address, and about those that it shares it with."""
    if service is None or not balancing.wants_address(service):
        return None
    selects = bool(fields.mapping(service, "spec", "selector"))
    return balancing.wish_of(service), service["spec"].get("ports"), source_ranges.clients_of(service), selects
