"""What is asked of a guest that runs: pause, unpause, softreboot and reset, in KubeVirt's words."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.node.served import answers, bodies
from virtualserver.node.vmi import specification

if TYPE_CHECKING:
    from virtualserver.machines.machine import Machine
    from virtualserver.node.served.guests import Guests

__all__ = ["VERBS", "Power"]

_logger = logging.getLogger(__name__)

VERBS: Final = ("pause", "unpause", "softreboot", "reset")


class Power:
    """Asks machines."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests

    async def ask(self, request: web.Request) -> web.Response:
        """Have a machine do what the last word of the path says."""
        verb, name = request.path.rpartition("/")[2], request.match_info["name"]
        body = await bodies.read(request)
        machine = self._guests.machine(request)
        if refused := _refused(verb, machine):
            raise answers.refusal(web.HTTPConflict, "Conflict", _conflict(name, refused), name=name)
        if not bodies.is_dry_run(body):
            grace = specification.grace_seconds(self._guests.vmi(request))
            if not await _do(verb, machine, grace):
                message = f"{name}: QEMU did not take {verb}"
                raise answers.refusal(web.HTTPInternalServerError, "InternalError", message, name=name)
            user = request.headers.get("X-Remote-User", "unknown")
            _logger.info("%s: %s by %s", machine.spec.name, verb, user)
        return answers.status(202, "", "", name=name)


def _refused(verb: str, machine: Machine) -> str:
    """Return why a machine cannot be asked for something now, empty where it can."""
    if verb == "unpause":
        return "" if machine.is_paused else "VMI is not paused"
    if machine.is_paused and verb == "pause":
        return "VMI is already paused"
    return "VMI is paused" if machine.is_paused and verb == "softreboot" else ""


def _conflict(name: str, why: str) -> str:
    return f'Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "{name}": {why}'


async def _do(verb: str, machine: Machine, grace_seconds: float) -> bool:
    if verb == "pause":
        return await machine.pause()
    if verb == "unpause":
        return await machine.unpause()
    if verb == "softreboot":
        return await machine.soft_reboot(grace_seconds)
    return await machine.reset()
