"""VirtualMachineInstances: each has a link in the data plane and a machine, and its status says how they are.

What KubeVirt's virt-handler and virt-launcher do; the next step is chosen by `lifecycle`, what a machine needs is
collected by `preparation`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.fabric.desired.state import GuestLink
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of, is_true, with_conditions
from virtualserver.kube.controller import Controller
from virtualserver.kube.objects import Key, Manifest, key_of
from virtualserver.machines import memory
from virtualserver.machines.hypervisor import Hypervisor, HypervisorError, MachineSpec
from virtualserver.machines.machine import Ended, Machine, Running
from virtualserver.node.events import STANDS_STILL
from virtualserver.node.vmi import lifecycle, links, specification
from virtualserver.node.vmi.lifecycle import Step
from virtualserver.node.vmi.probes import Health, Probes
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.machines.memory import Footprint
    from virtualserver.node.observed import Observed
    from virtualserver.node.services.controller import Services
    from virtualserver.node.vmi.preparation import Preparation, Prepared
    from virtualserver.node.volumes.controller import Volumes

__all__ = ["Instances"]

_logger = logging.getLogger(__name__)


class Instances:
    """Brings instances to life and to their end.

    Attributes:
        controller: Its queue takes the keys of instances.
        machines: The machines that this node knows, by the UID of their instance.
        links: The links that are in the data plane, by the UID of their instance.
    """

    def __init__(
        self,
        observed: Observed,
        services: Services,
        volumes: Volumes,
        hypervisor: Hypervisor,
        dataplane: DataPlane,
        probes: Probes,
        *,
        node: str,
    ) -> None:
        self._observed = observed
        self._services = services
        self._volumes = volumes
        self._hypervisor = hypervisor
        self._dataplane = dataplane
        self._probes = probes
        self._node = node
        self.preparation: Preparation
        self.machines: dict[str, Machine] = {}
        self.links: dict[str, GuestLink] = services.links
        self.on_release: Callable[[], None] = lambda: None
        self._disks: dict[str, frozenset[str]] = {}
        self._launching: dict[str, MachineSpec] = {}
        self._pressed: dict[str, float] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self.controller: Controller[Key] = Controller(name="instance", reconcile=self.reconcile, grace_seconds=2.0)

    # Taking over what runs ------------------------------------------------------------------------------------------

    def adopt(self, machines: dict[str, Machine]) -> dict[str, GuestLink]:
        """Take machines over that run already, and return the links that they have."""
        for uid, machine in machines.items():
            self._watch(uid, machine)
        for vmi in self._observed.all(kinds.VIRTUAL_MACHINE_INSTANCE):
            uid = vmi["metadata"]["uid"]
            machine = self.machines.get(uid)
            if machine is None or isinstance(machine.state, Ended):
                continue
            if machine.is_dismissed:
                # Its button was pressed, and who did it is dead: what it does about that is not its own will.
                asyncio.get_running_loop().call_later(lifecycle.DISMISSED_SECONDS, machine.retain)
            self._claim_disks(vmi)
            with contextlib.suppress(specification.Unsupported):
                link = self.preparation.link_of(vmi)
                if isinstance(link, GuestLink):
                    self.links[uid] = link
        return dict(self.links)

    def names_of_machines(self) -> list[Key]:
        """Return the keys of the instances that the known machines belong to, whether these still exist or not."""
        return [_key_of_machine(machine) for machine in self.machines.values()]

    def footprints(self) -> Iterable[Footprint]:
        """Return the memory of the machines that run, and of those that are about to."""
        for uid, machine in self.machines.items():
            if not isinstance(machine.state, Ended) and uid not in self._launching:
                yield memory.footprint_of(machine.spec, pid=machine.pid)
        for spec in self._launching.values():
            yield memory.footprint_of(spec, pid=None)

    def values_in_use(self) -> set[str]:
        """Return every address, MAC, tap and user number that a machine or a link still uses."""
        values: set[str] = set()
        for link in self.links.values():
            values |= {link.device, link.mac, str(link.user), *map(str, link.addresses)}
        for machine in self.machines.values():
            values.add(str(machine.spec.user))
        return values

    # The work -------------------------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> float | None:
        """Take the next step for one instance."""
        vmi = self._observed.get(kinds.VIRTUAL_MACHINE_INSTANCE, key)
        await self._end_strangers(key, vmi["metadata"]["uid"] if vmi else None)
        if vmi is None:
            return None
        uid = vmi["metadata"]["uid"]
        machine = self.machines.get(uid)
        now = time.time()
        disk_goes = bool(vmi["metadata"].get("deletionTimestamp")) and self._disk_goes(vmi)
        step = lifecycle.next_step(vmi, machine.state if machine else None, now=now, disk_goes=disk_goes)
        if step is Step.LAUNCH:
            return await self._launch(vmi)
        if step is Step.RELEASE:
            await self._release(vmi)
        elif step in (Step.CLEAN, Step.AGAIN):
            await self._clean(uid, key)
            return 0.0 if step is Step.AGAIN else None
        elif machine is None:
            return None
        elif step is Step.REPORT:
            return await self._report(vmi, machine)
        elif step is Step.PRESS:
            return await self._press(uid, machine, lifecycle.deadline(vmi, disk_goes=disk_goes))
        elif step is Step.QUIT:
            await machine.quit()
            return 0.0
        else:
            await self._finish(vmi, machine)
        return None

    async def _launch(self, vmi: Manifest) -> float | None:
        """Start the machine of an instance, or say what it waits for."""
        uid, key = vmi["metadata"]["uid"], key_of(vmi)
        vmi = await self._forget_last_start(vmi)
        prepared = await self.preparation.prepare(vmi)
        if isinstance(prepared, Wait):
            await self._wait(vmi, prepared)
            return prepared.retry_seconds
        self._launching[uid] = prepared.spec
        try:
            machine = await self._start(uid, prepared)
        except HypervisorError as error:
            _logger.error("%s/%s: %s", *key, error)
            await self._clean(uid, key)
            failed = Wait("LaunchFailed", str(error))
            await self._wait(vmi, failed)
            return failed.retry_seconds
        finally:
            del self._launching[uid]
        _logger.info("%s/%s: machine started, PID %s", *key, machine.pid)
        self._watch(uid, machine)
        return await self._report(vmi, machine)

    async def _start(self, uid: str, prepared: Prepared) -> Machine:
        self._disks[uid] = prepared.disks
        self._volumes.in_use |= prepared.disks
        if prepared.link is not None:
            # Known before it exists, so that its addresses are neither freed nor announced meanwhile.
            self.links[uid] = prepared.link
            await self._dataplane.set_link(uid, prepared.link)
        return await self._hypervisor.launch(prepared.spec, open_tap=self._dataplane.open_tap)

    async def _forget_last_start(self, vmi: Manifest) -> Manifest:
        """Take back what is said about a guest that ran before the host or this program went down."""
        if fields.status_of(vmi).get("phase") != "Running":
            return vmi
        status = lifecycle.phase_change(vmi, "Scheduled", now=time.time())
        conditions = [_not_ready("GuestNotRunning", "the guest is being started again")]
        status["conditions"] = with_conditions(vmi, conditions, now=time.time())
        return await self._observed.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, status) or vmi

    async def _wait(self, vmi: Manifest, wait: Wait) -> None:
        now = time.time()
        conditions = [
            _not_ready("GuestNotRunning", "the guest has not been started yet"),
            {"type": "Synchronized", "status": "False", "reason": wait.reason, "message": wait.message},
        ]
        await self._observed.write_status(
            kinds.VIRTUAL_MACHINE_INSTANCE,
            vmi,
            {
                **lifecycle.phase_change(vmi, "Pending", now=now),
                "conditions": with_conditions(vmi, conditions, now=now),
            },
        )

    async def _report(self, vmi: Manifest, machine: Machine) -> float | None:
        """Write how a running machine is."""
        uid, now = vmi["metadata"]["uid"], time.time()
        health = self._probes.health(vmi, self.links.get(uid))
        if health is Health.DEAD:
            _logger.warning("%s: its liveness probe failed, so it is ended", machine.spec.name)
            self._probes.forget(uid)
            await machine.quit()
            return 0.0
        link = self.links.get(uid)
        status = {
            **lifecycle.phase_change(vmi, "Running", now=now),
            "nodeName": self._node,
            "interfaces": _interfaces(vmi, link),
        }
        # What others wait for is judged by the status as it will be.
        coming = {**vmi, "status": {**fields.status_of(vmi), **status}}
        conditions = [_ready(health, machine, self._probes.answer(uid))]
        if link is not None:
            taken = is_true(vmi, names.ADDRESS_TAKEN) and fields.status_of(vmi).get("phase") == "Running"
            taken = taken or links.has_taken(link, await self._dataplane.leases(), since=machine.started or now)
            conditions.append(
                _condition(names.ADDRESS_TAKEN, taken, "Leased", "the guest has not asked for its address yet")
            )
            in_place = self._services.has_all_of(coming)
            conditions.append(
                _condition(names.DATA_PLANE_READY, in_place, "InPlace", "its ports are being put in place")
            )
        status["conditions"] = with_conditions(vmi, conditions, now=now)
        await self._observed.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, status)
        if "phase" in status or condition_of(vmi, "Ready") != condition_of({"status": status}, "Ready"):
            for service in self._services.affected_by(vmi):
                self._services.controller.queue.add(service)
        return None

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
        state = machine.state
        if not isinstance(state, Ended):
            return
        now = time.time()
        status = lifecycle.phase_change(vmi, lifecycle.final_phase(state), now=now)
        conditions = [_not_ready("GuestNotRunning", state.message)]
        status["conditions"] = with_conditions(vmi, conditions, now=now)
        status["reason"] = str(state.reason)
        _logger.info("%s: machine ended: %s", machine.spec.name, state.message)
        await self._observed.write_status(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, status)
        await self._clean(vmi["metadata"]["uid"], key_of(vmi))

    async def _release(self, vmi: Manifest) -> None:
        """Let an instance go whose machine has ended."""
        await self._clean(vmi["metadata"]["uid"], key_of(vmi))
        finalizers = vmi["metadata"].get("finalizers") or ()
        if names.NODE_FINALIZER in finalizers:
            left = [one for one in finalizers if one != names.NODE_FINALIZER]
            version = vmi["metadata"]["resourceVersion"]
            await self._observed.patch(
                kinds.VIRTUAL_MACHINE_INSTANCE,
                vmi,
                {"metadata": {"finalizers": left or None, "resourceVersion": version}},
            )

    async def _clean(self, uid: str, key: Key) -> None:
        """Remove what an ended machine had on this host."""
        self._probes.forget(uid)
        self._pressed.pop(uid, None)
        watcher = self._watchers.pop(uid, None)
        if watcher is not None:
            watcher.cancel()
        if uid in self.machines:
            await self._hypervisor.discard(uid)
            del self.machines[uid]
        if uid in self.links:
            await self._dataplane.remove_link(uid)
            del self.links[uid]
        self.preparation.seed(uid).unlink(missing_ok=True)
        self._volumes.in_use -= self._disks.pop(uid, frozenset())
        self.on_release()

    async def _end_strangers(self, key: Key, uid: str | None) -> None:
        """End machines of this name whose instance is gone."""
        for other, machine in list(self.machines.items()):
            if other != uid and _key_of_machine(machine) == key:
                _logger.warning("%s: its instance is gone, so the machine is ended", machine.spec.name)
                await machine.quit()
                await self._clean(other, key)

    def _watch(self, uid: str, machine: Machine) -> None:
        self.machines[uid] = machine
        self._watchers[uid] = asyncio.create_task(self._follow(machine), name=f"watch {machine.spec.name}")

    async def _follow(self, machine: Machine) -> None:
        async for _ in machine.changes():
            self.controller.queue.add(_key_of_machine(machine))

    def _claim_disks(self, vmi: Manifest) -> None:
        namespace = vmi["metadata"]["namespace"]
        with contextlib.suppress(specification.Unsupported):
            wish = specification.wish_of(vmi)
            found = (self._volumes.identifier_of((namespace, disk.claim)) for disk in wish.disks)
            identifiers = frozenset(one for one in found if one is not None)
            self._disks[vmi["metadata"]["uid"]] = identifiers
            self._volumes.in_use |= identifiers

    def _disk_goes(self, vmi: Manifest) -> bool:
        """Return whether every disk of an instance is being deleted, so that there is nothing for it to save."""
        namespace = vmi["metadata"]["namespace"]
        for name in specification.volume_claims(vmi["spec"]):
            volume = self._observed.get(kinds.DATA_VOLUME, (namespace, name))
            if volume is not None and not volume["metadata"].get("deletionTimestamp"):
                return False
        return True


def _key_of_machine(machine: Machine) -> Key:
    namespace, _, name = machine.spec.name.partition("/")
    return namespace, name


def _condition(type: str, is_so: bool, reason: str, otherwise: str) -> dict[str, Any]:
    if is_so:
        return {"type": type, "status": "True", "reason": reason, "message": ""}
    return {"type": type, "status": "False", "reason": f"Not{reason}", "message": otherwise}


def _not_ready(reason: str, message: str) -> dict[str, Any]:
    return {"type": "Ready", "status": "False", "reason": reason, "message": message}


def _ready(health: Health, machine: Machine, answer: str) -> dict[str, Any]:
    if isinstance(machine.state, Running) and machine.state.message:
        return _not_ready(STANDS_STILL, machine.state.message)
    if health is Health.READY:
        return {"type": "Ready", "status": "True", "reason": "GuestRunning", "message": ""}
    told = f"does not succeed: {answer}" if answer else "has not been answered yet"
    return _not_ready("ReadinessProbeFailing", f"the readiness probe {told}")


def _interfaces(vmi: Manifest, link: GuestLink | None) -> list[dict[str, Any]]:
    if link is None:
        return []
    networks = vmi["spec"].get("networks") or ({"name": "default"},)
    addresses = [str(address) for address in link.addresses]
    return [{"name": networks[0]["name"], "mac": link.mac, "ipAddress": addresses[0], "ipAddresses": addresses}]
