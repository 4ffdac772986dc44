"""What to do next about one VMI and its machine: pure."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

from virtualserver.kube import fields
from virtualserver.kube.times import seconds_of, timestamp
from virtualserver.machines.ends import Ended, EndReason, MachineState
from virtualserver.node.objects import is_final
from virtualserver.node.vmi import specification

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = [
    "DISCARDED_GRACE_SECONDS",
    "DISMISSED_SECONDS",
    "PRESS_SECONDS",
    "NextStep",
    "deadline",
    "final_phase",
    "next_step",
    "phase_change",
]

PRESS_SECONDS: Final = 10.0
"""The power button is pressed this often: a guest that still boots does not hear the first time."""

DISCARDED_GRACE_SECONDS: Final = 5.0
"""What a guest has to end when its disk goes with it, so that there is nothing left for it to save."""


DISMISSED_SECONDS: Final = 60.0
"""An end within this time after the node took over may still be due to a `vs down` that was interrupted."""


class NextStep(enum.Enum):
    """The next step."""

    LAUNCH = "launch"
    REPORT = "report"
    AGAIN = "again"
    PRESS = "press"
    QUIT = "quit"
    FINISH = "finish"
    CLEAN = "clean"
    RELEASE = "release"


def deadline(vmi: Manifest, *, disk_goes: bool) -> float:
    """Return when a VMI that is being deleted is ended by force, in seconds since the epoch.

    Args:
        vmi: The VMI.
        disk_goes: True where its disk is being deleted too.
    """
    grace = specification.grace_seconds(vmi)
    if disk_goes:
        grace = min(grace, DISCARDED_GRACE_SECONDS)
    return seconds_of(vmi["metadata"]["deletionTimestamp"]) + grace


def next_step(vmi: Manifest, state: MachineState | None, *, now: float, disk_goes: bool = False) -> NextStep:
    """Return what to do.

    Args:
        vmi: The VMI.
        state: What its machine does, None where there is none.
        now: Seconds since the epoch.
        disk_goes: As for `deadline`.
    """
    is_running = state is not None and not isinstance(state, Ended)
    if vmi["metadata"].get("deletionTimestamp"):
        if not is_running:
            return NextStep.RELEASE
        return NextStep.PRESS if now < deadline(vmi, disk_goes=disk_goes) else NextStep.QUIT
    if is_final(vmi):
        return NextStep.QUIT if is_running else NextStep.CLEAN
    if state is None:
        return NextStep.LAUNCH
    if isinstance(state, Ended):
        return NextStep.AGAIN if state.reason == EndReason.DISMISSED else NextStep.FINISH
    return NextStep.REPORT


def final_phase(ended: Ended) -> str:
    """Return the phase of a VMI whose machine ended by itself."""
    return "Succeeded" if ended.reason == EndReason.GUEST_SHUTDOWN else "Failed"


def phase_change(vmi: Manifest, phase: str, *, now: float) -> dict[str, Any]:
    """Return the status fields that a change of phase sets; nothing where the phase stays."""
    status = fields.status_of(vmi)
    if status.get("phase") == phase:
        return {}
    # One entry per phase: a guest that runs again after the host did shows when it did so last.
    times = [dict(one) for one in fields.items(status, "phaseTransitionTimestamps") if one["phase"] != phase]
    times.append({"phase": phase, "phaseTransitionTimestamp": timestamp(now)})
    return {"phase": phase, "phaseTransitionTimestamps": times}
