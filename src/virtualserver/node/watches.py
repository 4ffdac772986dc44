"""Which keys a change concerns: from the API's changes to the controllers' queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.controller import Controller
from virtualserver.kube.objects import Manifest, Resource, key_of, owner_uid
from virtualserver.kube.reflector import Change, Reflector
from virtualserver.node.allocation.addresses import RESERVED_SECONDS, Addresses
from virtualserver.node.services import balancing
from virtualserver.node.services.controller import Services, attached_service
from virtualserver.node.vm import run_strategy
from virtualserver.node.vmi import specification

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.node.observed import Observed
    from virtualserver.node.vm.controller import VirtualMachines
    from virtualserver.node.vmi.controller import Instances
    from virtualserver.node.volumes.controller import Volumes

__all__ = ["Routing"]

_SWEEP_SECONDS: Final = 0.1


class Routing:
    """The reflectors of all kinds, and the sweeper that frees what nobody holds.

    Attributes:
        reflectors: To be run; controllers start when all are synced.
        sweeper: Frees allocations and disks; has one key.
    """

    def __init__(
        self,
        observed: Observed,
        machines: VirtualMachines,
        instances: Instances,
        services: Services,
        volumes: Volumes,
        addresses: Addresses,
    ) -> None:
        self._observed = observed
        self._machines = machines
        self._instances = instances
        self._services = services
        self._volumes = volumes
        self._addresses = addresses
        self.sweeper: Controller[str] = Controller(name="sweep", reconcile=self._sweep, workers=1)
        instances.on_release = self.sweep_soon
        volumes.on_gone = self.sweep_soon
        services.on_applied = self._applied
        handlers: dict[Resource, Callable[[Change], None]] = {
            kinds.VIRTUAL_MACHINE: self._machine,
            kinds.VIRTUAL_MACHINE_INSTANCE: self._instance,
            kinds.SERVICE: self._service,
            kinds.DATA_VOLUME: self._volume,
            kinds.PERSISTENT_VOLUME_CLAIM: self._claim,
            kinds.ENDPOINT_SLICE: self._slice,
        }
        managed = {kinds.ENDPOINT_SLICE: f"endpointslice.kubernetes.io/managed-by={names.MANAGED_BY_NODE}"}
        self.reflectors = {
            Reflector(
                observed.client,
                resource,
                observed.stores[resource],
                label_selector=managed.get(resource, ""),
            ): handler
            for resource, handler in handlers.items()
        }
        self.sweep_soon()

    def sweep_soon(self) -> None:
        """Look in a moment what can be freed."""
        self.sweeper.queue.add("all", after=_SWEEP_SECONDS)

    def look_at_running(self) -> None:
        """Look again at every instance whose guest has not taken its address yet."""
        for vmi in self._observed.all(kinds.VIRTUAL_MACHINE_INSTANCE):
            condition = condition_of(vmi, names.ADDRESS_TAKEN)
            if condition is not None and condition["status"] != "True":
                self._instances.controller.queue.add(key_of(vmi))

    def _machine(self, change: Change) -> None:
        self._machines.controller.queue.add(change.key)
        attached = {attached_service(vm["spec"]["template"]) for vm in (change.old, change.new) if vm}
        for name in attached - {None}:
            self._services.controller.queue.add((change.key[0], str(name)))
        if change.new is None:
            self.sweep_soon()

    def _instance(self, change: Change) -> None:
        self._machines.controller.queue.add(change.key)
        self._instances.controller.queue.add(change.key)
        if _face(change.old) != _face(change.new):
            for vmi in (change.old, change.new):
                for key in self._services.affected_by(vmi) if vmi else ():
                    self._services.controller.queue.add(key)
        if change.new is None:
            self.sweep_soon()

    def _service(self, change: Change) -> None:
        self._services.controller.queue.add(change.key)
        if change.old is not None and _wish(change.old) != _wish(change.new):
            # Its address may now be free for another, and its ports for others of its group.
            self.sweep_soon()
            for other in self._observed.in_namespace(kinds.SERVICE, change.key[0]):
                if balancing.group_of(other) == balancing.group_of(change.old):
                    self._services.controller.queue.add(key_of(other))
        elif change.old is None and change.new is not None:
            self._applied(change.new)

    def _applied(self, service: Manifest) -> None:
        """Look at the instances that a Service concerns: they may wait for its address, or for its ports."""
        namespace, name = key_of(service)
        for vmi in self._observed.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, namespace):
            condition = condition_of(vmi, names.DATA_PLANE_READY)
            waits = not run_strategy.is_final(vmi) and not (condition and condition["status"] == "True")
            if waits and (attached_service(vmi) == name or (namespace, name) in self._services.affected_by(vmi)):
                self._instances.controller.queue.add(key_of(vmi))

    def _volume(self, change: Change) -> None:
        self._volumes.controller.queue.add(change.key)
        namespace, name = change.key
        for vm in self._observed.in_namespace(kinds.VIRTUAL_MACHINE, namespace):
            if name in specification.volume_claims(vm["spec"]["template"]["spec"]):
                self._machines.controller.queue.add(key_of(vm))
                self._instances.controller.queue.add(key_of(vm))

    def _claim(self, change: Change) -> None:
        self._volumes.controller.queue.add(change.key)
        claim = change.new or change.old
        if claim and names.IMAGE in fields.annotations_of(claim):
            for volume in self._observed.all(kinds.DATA_VOLUME):
                pvc = fields.mapping(volume, "spec", "source", "pvc")
                if (pvc.get("namespace") or volume["metadata"]["namespace"], pvc.get("name")) == change.key:
                    self._volumes.controller.queue.add(key_of(volume))

    def _slice(self, change: Change) -> None:
        for one in (change.old, change.new):
            name = fields.labels_of(one).get("kubernetes.io/service-name") if one else None
            if name:
                self._services.controller.queue.add((change.key[0], name))

    async def _sweep(self, _: str) -> float | None:
        alive: set[str] = set()
        for kind in (kinds.VIRTUAL_MACHINE, kinds.VIRTUAL_MACHINE_INSTANCE, kinds.SERVICE, kinds.DATA_VOLUME):
            for manifest in self._observed.all(kind):
                alive |= {manifest["metadata"]["uid"], owner_uid(manifest) or ""}
        services = [one for one in self._observed.all(kinds.SERVICE) if balancing.wants_address(one)]
        freed = self._addresses.sweep(
            alive=alive, wishes=balancing.wishes_of(services), in_use=self._instances.values_in_use()
        )
        if any(one.kind == "address" for one in freed):
            for service in services:
                condition = condition_of(service, names.ADDRESS_ASSIGNED)
                if condition is None or condition["status"] != "True":
                    self._services.controller.queue.add(key_of(service))
        self._volumes.sweep()
        return RESERVED_SECONDS / 4 if self._addresses.has_reserved else None


def _face(vmi: Manifest | None) -> tuple[tuple[str, ...], object, object] | None:
    """Return what Services see of an instance."""
    if vmi is None:
        return None
    status = fields.status_of(vmi)
    addresses = tuple(
        str(address)
        for interface in fields.items(status, "interfaces")
        for address in interface.get("ipAddresses") or ()
    )
    ready = condition_of(vmi, "Ready")
    return addresses, (status.get("phase"), ready and ready["status"]), vmi["metadata"].get("deletionTimestamp")


def _wish(service: Manifest | None) -> object:
    """Return what decides about a Service's address."""
    if service is None or not balancing.wants_address(service):
        return None
    return balancing.wish_of(service), service["spec"].get("ports")
