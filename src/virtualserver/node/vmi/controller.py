"""VirtualMachineInstances (VMIs): each has links in the data plane and a machine, and its status says how they are.

What KubeVirt's virt-handler and virt-launcher do. `lifecycle` chooses the next step, `preparation` collects what a
machine needs, `placement` puts it on this host, and `status` words the report.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.support.virtual_machine import INSTANCE
from virtualserver.fabric.refusals import Refused
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of, is_true, with_conditions
from virtualserver.kube.controller import Controller
from virtualserver.kube.objects import Key, Manifest, controller_of, key_of
from virtualserver.machines.hypervisor import HypervisorError
from virtualserver.machines.machine import Ended, Machine, Running
from virtualserver.machines.seed import SeedError
from virtualserver.node.held import key_of_machine
from virtualserver.node.objects import partly_applied, volume_claims
from virtualserver.node.services import relations
from virtualserver.node.vmi import lifecycle, status
from virtualserver.node.vmi.attempts import Attempts
from virtualserver.node.vmi.lifecycle import NextStep
from virtualserver.node.vmi.links import has_taken
from virtualserver.node.vmi.probes import Health, Probes
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.kube.cache import Cache
    from virtualserver.node.held import Held
    from virtualserver.node.overseer import Overseer
    from virtualserver.node.queues import Queues
    from virtualserver.node.services.controller import ServiceController
    from virtualserver.node.vmi.placement import Placement
    from virtualserver.node.vmi.preparation import Preparation
    from virtualserver.node.writer import NodeWriter

__all__ = ["VmiController"]

_logger = logging.getLogger(__name__)

_REFUSED_SECONDS: Final = 30.0
"""How often a link is tried again that the data plane refuses."""


class VmiController:
    """Brings VMIs to life and to their end, and reports them."""

    def __init__(
        self,
        cache: Cache,
        writer: NodeWriter,
        queues: Queues,
        held: Held,
        services: ServiceController,
        preparation: Preparation,
        placement: Placement,
        probes: Probes,
        dataplane: DataPlane,
        overseer: Overseer,
        *,
        node: str,
    ) -> None:
        """Name what it works with.

        Args:
            cache: What the API has.
            writer: Writes statuses, and lets VMIs go.
            queues: Its own one, and that of the Services whose members it changes.
            held: The machines and links that there are.
            services: Says whether Services are in the data plane.
            preparation: Collects what a machine needs.
            placement: Puts machines on this host, and takes them away.
            probes: Says how guests are.
            dataplane: Has the leases that guests took.
            overseer: Watches over its passes.
            node: The name of the Node that the VMIs run on.
        """
        self._cache = cache
        self._writer = writer
        self._queues = queues
        self._held = held
        self._services = services
        self._preparation = preparation
        self._placement = placement
        self._probes = probes
        self._dataplane = dataplane
        self._node = node
        self._pressed: dict[str, float] = {}
        self._attempts = Attempts()
        self._controller: Controller[Key] = Controller(
            name="vmi",
            reconcile=self._reconcile,
            queue=queues.vmis,
            grace_seconds=2.0,
            subject=overseer.subject(kinds.VIRTUAL_MACHINE_INSTANCE),
            oversight=overseer.oversight,
        )

    async def run(self) -> None:
        """Work until cancelled, beginning with the machines that are known, whether their VMIs still exist or not."""
        for machine in self._held.machines().values():
            self._queues.vmis.add(key_of_machine(machine))
        await self._controller.run()

    # The work -------------------------------------------------------------------------------------------------------

    async def _reconcile(self, key: Key) -> float | None:
        """Take the next step for one VMI."""
        vmi = self._cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, key)
        await self._end_orphans(key, vmi["metadata"]["uid"] if vmi else None)
        if vmi is None:
            return None
        uid = vmi["metadata"]["uid"]
        machine = self._held.machine(uid)
        disk_goes = bool(vmi["metadata"].get("deletionTimestamp")) and self._disk_goes(vmi)
        step = lifecycle.next_step(vmi, machine.state if machine else None, now=time.time(), disk_goes=disk_goes)
        if step is NextStep.LAUNCH:
            return await self._launch(vmi)
        if step is NextStep.RELEASE:
            await self._release(vmi)
        elif step in (NextStep.CLEAN, NextStep.AGAIN):
            await self._clean(uid)
            return 0.0 if step is NextStep.AGAIN else None
        elif machine is None:
            return None
        elif step is NextStep.REPORT:
            return await self._report(vmi, machine)
        elif step is NextStep.PRESS:
            after = await self._press(uid, machine, lifecycle.deadline(vmi, disk_goes=disk_goes))
            await self._placement.follow(vmi)  # it may take as long to end as its manifest says
            return after
        elif step is NextStep.QUIT:
            await machine.quit()
            return 0.0
        else:
            await self._finish(vmi, machine)
        return None

    async def _launch(self, vmi: Manifest) -> float | None:
        """Start the machine of a VMI, or say what it waits for."""
        uid, key = vmi["metadata"]["uid"], key_of(vmi)
        if rest := self._attempts.rest(uid, time.monotonic()):
            return rest
        vmi = await self._forget_last_start(vmi)
        try:
            prepared = await self._preparation.prepare(vmi)
            if isinstance(prepared, Wait):
                return await self._wait(vmi, prepared)
            machine = await self._placement.start(uid, prepared)
        except (HypervisorError, Refused, SeedError) as error:
            _logger.error("%s/%s: %s", *key, error)
            await self._clean(uid, is_over=False)
            pause = self._attempts.failed(uid, time.monotonic())
            return await self._wait(vmi, Wait("LaunchFailed", str(error), retry_seconds=pause))
        self._attempts.forget(uid)
        _logger.info("%s/%s: machine started, PID %s", *key, machine.pid)
        return await self._report(vmi, machine)

    async def _forget_last_start(self, vmi: Manifest) -> Manifest:
        """Take back what is said about a guest that ran before the host or this program went down."""
        if fields.status_of(vmi).get("phase") != "Running":
            return vmi
        wanted = status.before_restart(vmi, now=time.time())
        return await self._writer.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, wanted) or vmi

    async def _wait(self, vmi: Manifest, wait: Wait) -> float:
        """Say what a VMI waits for, and return when to look again."""
        wanted = status.waiting(vmi, wait, now=time.time())
        await self._writer.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, wanted)
        return wait.retry_seconds

    async def _report(self, vmi: Manifest, machine: Machine) -> float | None:
        """Write how a running machine is."""
        uid, now = vmi["metadata"]["uid"], time.time()
        cluster = self._held.cluster_link(uid)
        is_paused = isinstance(machine.state, Running) and machine.state.is_paused
        if is_paused:
            self._probes.forget(uid)  # nobody ends a guest for not answering while it may not
        health = Health.NOT_READY if is_paused else self._probes.health(vmi, cluster)
        if health is Health.DEAD:
            _logger.warning("%s: its liveness probe failed, so it is ended", machine.spec.name)
            self._probes.forget(uid)
            await machine.quit()
            return 0.0
        refused = await self._placement.follow(vmi)
        wanted = status.running(vmi, self._held.links_of(uid), node=self._node, now=now)
        cut_off = "; ".join(filter(None, (self._dataplane.cut_off(nic.device) for nic in machine.spec.nics)))
        conditions = [status.ready(health, machine.state, self._probes.answer(uid), cut_off=cut_off)]
        if cluster is not None:
            taken = is_true(vmi, names.ADDRESS_TAKEN) and fields.status_of(vmi).get("phase") == "Running"
            taken = taken or has_taken(cluster, await self._dataplane.leases(), since=machine.started or now)
            # What others wait for is judged by the status as it will be.
            told = {**wanted, "conditions": with_conditions(vmi, conditions, now=now)}
            coming = {**vmi, "status": {**fields.status_of(vmi), **told}}
            conditions += status.link_conditions(has_taken=taken, waits_for=await self._services.missing_of(coming))
        if refused:
            conditions.append(status.refused(refused))
        if is_paused:
            conditions.append(status.paused())
        if any(map(self._dataplane.has_met_bound, self._held.links_of(uid).values())):
            conditions.append(status.bounded())
        if differs := self._placement.network_differs(vmi):
            conditions.append(status.network_differs(differs))
        if cluster is not None and (cut := self._placement.resolver_cut(vmi)):
            conditions.append(status.resolver_cut(cut))
        if controller_of(vmi) is None:
            conditions += partly_applied(INSTANCE, vmi)
        wanted["conditions"] = with_conditions(vmi, conditions, now=now)
        await self._writer.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, wanted)
        if "phase" in wanted or condition_of(vmi, "Ready") != condition_of({"status": wanted}, "Ready"):
            for service in relations.services_of(self._cache, vmi):
                self._queues.services.add(service)
        return _REFUSED_SECONDS if refused else None

    async def _press(self, uid: str, machine: Machine, deadline: float) -> float:
        """Press the power button, now and then again, until the guest ends or its time is over."""
        now = time.time()
        due = self._pressed.get(uid, 0.0) + lifecycle.PRESS_SECONDS
        if due <= now:
            await machine.power_down()
            self._pressed[uid] = now
            due = now + lifecycle.PRESS_SECONDS
        return max(0.01, min(due, deadline) - time.time())

    async def _finish(self, vmi: Manifest, machine: Machine) -> None:
        """Write that a machine ended by itself."""
        if not isinstance(machine.state, Ended):
            return
        _logger.info("%s: machine ended: %s", machine.spec.name, machine.state.message)
        wanted = status.after_end(vmi, machine.state, now=time.time())
        ended = await self._writer.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, wanted)
        await self._services.withdraw(ended or vmi)
        await self._clean(vmi["metadata"]["uid"])

    async def _release(self, vmi: Manifest) -> None:
        """Let a VMI go whose machine has ended."""
        finalizers = vmi["metadata"].get("finalizers") or ()
        left = [one for one in finalizers if one != names.NODE_FINALIZER]
        if left:
            # It stays, for whoever has these finalizers, and shows no longer what is about to be free.
            wanted = status.released(vmi, now=time.time())
            vmi = await self._writer.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, wanted) or vmi
        await self._services.withdraw(vmi)
        await self._clean(vmi["metadata"]["uid"])
        self._attempts.forget(vmi["metadata"]["uid"])
        if names.NODE_FINALIZER in finalizers:
            version = vmi["metadata"]["resourceVersion"]
            await self._writer.patch(
                kinds.VIRTUAL_MACHINE_INSTANCE,
                vmi,
                {"metadata": {"finalizers": left or None, "resourceVersion": version}},
            )

    async def _clean(self, uid: str, *, is_over: bool = True) -> None:
        """Remove what an ended machine had on this host."""
        self._probes.forget(uid)
        self._pressed.pop(uid, None)
        await self._placement.clean(uid, is_over=is_over)

    async def _end_orphans(self, key: Key, uid: str | None) -> None:
        """End machines of this name whose VMI is gone."""
        for other, machine in self._held.machines().items():
            if other != uid and key_of_machine(machine) == key:
                _logger.warning("%s: its VMI is gone, so the machine is ended", machine.spec.name)
                await machine.quit()
                await self._clean(other)

    def _disk_goes(self, vmi: Manifest) -> bool:
        """Return whether every disk of a VMI is being deleted, so that there is nothing for its guest to save."""
        namespace = vmi["metadata"]["namespace"]
        for name in volume_claims(vmi["spec"]):
            volume = self._cache.get(kinds.DATA_VOLUME, (namespace, name))
            if volume is not None and not volume["metadata"].get("deletionTimestamp"):
                return False
        return True
