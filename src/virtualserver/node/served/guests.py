"""Which guest a request is about: its machine, and the address of its card in the cluster network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from virtualserver.kube import kinds
from virtualserver.machines.ends import Running
from virtualserver.node.served import answers

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.machine import Machine
    from virtualserver.node.held import Held

__all__ = ["Guests"]


class Guests:
    """The guests of this node, as requests name them."""

    def __init__(self, cache: Cache, held: Held) -> None:
        self._cache = cache
        self._held = held

    def vmi(self, request: web.Request) -> Manifest:
        """Return the VMI that a request names.

        Raises:
            HTTPNotFound: There is none.
        """
        key = request.match_info["namespace"], request.match_info["name"]
        vmi = self._cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, key)
        if vmi is None:
            raise answers.not_found("virtualmachineinstance", key[1])
        return vmi

    def machine(self, request: web.Request) -> Machine:
        """Return the machine of the VMI that a request names.

        Raises:
            HTTPNotFound: There is no such VMI.
            HTTPConflict: Its guest does not run.
        """
        machine = self.last(request)
        if not isinstance(machine.state, Running):
            raise answers.vmi_not_running(request.match_info["namespace"], request.match_info["name"])
        return machine

    def last(self, request: web.Request) -> Machine:
        """Return the machine of the VMI that a request names, which may have ended.

        Raises:
            HTTPNotFound: There is no such VMI.
            HTTPConflict: It has no machine.
        """
        machine = self._held.machine(self.vmi(request)["metadata"]["uid"])
        if machine is None:
            raise answers.vmi_not_running(request.match_info["namespace"], request.match_info["name"])
        return machine

    def address(self, request: web.Request) -> Address:
        """Return the address at which the node reaches the guest that a request names: always the guest's own.

        Raises:
            HTTPNotFound: There is no such VMI.
            HTTPConflict: Its guest does not run, is paused, or has no card in the cluster network.
        """
        name = request.match_info["name"]
        if self.machine(request).is_paused:
            raise answers.refusal(web.HTTPConflict, "Conflict", f"{name}: VMI is paused", name=name)
        link = self._held.cluster_link(self.vmi(request)["metadata"]["uid"])
        if link is None or not link.addresses:
            message = f"{name}: its guest has no card in the cluster network, so that only its own networks reach it"
            raise answers.refusal(web.HTTPConflict, "Conflict", message, name=name)
        return link.addresses[0]
