"""Whether the machine runs: a start or stop by a user is never undone.

The operator writes the machine's run strategy at creation, and when what the VirtualServer says of it has changed since
it last wrote it (remembered in annotations): its run strategy, or that it is to start after all. In between it belongs
to whoever starts and stops. KubeVirt's start turns ``Halted`` into ``Always``; once that start has been carried out,
the server's own value takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import names
from virtualserver.api.virtualserver import RunStrategy, VirtualServer
from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["run_strategy"]


def run_strategy(server: VirtualServer, machine: Manifest | None, instance: Manifest | None) -> str:
    """Return the run strategy that the machine shall have now.

    The caller writes it under an optimistic lock, so that a stop in the same moment is not overwritten.

    Args:
        server: As decoded.
        machine: Its VirtualMachine as it exists, None where it does not.
        instance: Its VirtualMachineInstance as it exists, None where it does not.
    """
    own = server.spec.run_strategy
    if machine is None:
        return _first(server)
    current = str(machine["spec"].get("runStrategy") or own.value)
    remembered = fields.annotations_of(machine)
    if remembered.get(names.RUN_STRATEGY, own.value) != own.value:
        return own.value
    asks_to_start = server.spec.initialize_running and remembered.get(names.INITIALIZE_RUNNING) == "false"
    if asks_to_start and current == RunStrategy.HALTED:
        return _first(server)
    if current == RunStrategy.ALWAYS and own is not RunStrategy.HALTED and _was_started(machine, instance):
        return own.value
    return current


def _first(server: VirtualServer) -> str:
    """Return the strategy at creation. ``Manual`` gets its one start as ``Always``, which `run_strategy` takes back."""
    own = server.spec.run_strategy
    if not server.spec.initialize_running:
        return RunStrategy.HALTED.value
    return RunStrategy.ALWAYS.value if own is RunStrategy.MANUAL else own.value


def _was_started(machine: Manifest, instance: Manifest | None) -> bool:
    """Return whether the start has been carried out: before that, ``Manual`` would take the start back."""
    return bool(machine.get("status", {}).get("created")) or instance is not None
