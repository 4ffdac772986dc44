"""The next step of a VMI."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.machines.machine import Ended, EndReason, MachineState, Running
from virtualserver.node.vm.run_strategy import timestamp
from virtualserver.node.vmi.lifecycle import NextStep, deadline, final_phase, next_step, phase_change

NOW = 1_800_000_000.0
CRASHED = Ended(EndReason.CRASH, "killed")
DISMISSED = Ended(EndReason.DISMISSED, "the instance was stopped")


def a_vmi(phase: str = "Running", *, deleted_ago: float | None = None, grace: int = 60) -> dict[str, Any]:
    metadata = {} if deleted_ago is None else {"deletionTimestamp": timestamp(NOW - deleted_ago)}
    return {"metadata": metadata, "spec": {"terminationGracePeriodSeconds": grace}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("vmi", "state", "step"),
    [
        (a_vmi(""), None, NextStep.LAUNCH),
        (a_vmi("Pending"), None, NextStep.LAUNCH),
        (a_vmi("Running"), None, NextStep.LAUNCH),
        (a_vmi(""), Running(), NextStep.REPORT),
        (a_vmi("Running"), Running(), NextStep.REPORT),
        (a_vmi("Running"), CRASHED, NextStep.FINISH),
        (a_vmi("Running"), DISMISSED, NextStep.AGAIN),
        (a_vmi("Scheduled"), DISMISSED, NextStep.AGAIN),
        (a_vmi("Running", deleted_ago=1), DISMISSED, NextStep.RELEASE),
        (a_vmi("Failed"), DISMISSED, NextStep.CLEAN),
        (a_vmi("Failed"), CRASHED, NextStep.CLEAN),
        (a_vmi("Succeeded"), None, NextStep.CLEAN),
        (a_vmi("Failed"), Running(), NextStep.QUIT),
        (a_vmi("Running", deleted_ago=1), Running(), NextStep.PRESS),
        (a_vmi("Running", deleted_ago=61), Running(), NextStep.QUIT),
        (a_vmi("Running", deleted_ago=0, grace=0), Running(), NextStep.QUIT),
        (a_vmi("Running", deleted_ago=1), CRASHED, NextStep.RELEASE),
        (a_vmi("", deleted_ago=1), None, NextStep.RELEASE),
    ],
)
def test_the_next_step(vmi: dict[str, Any], state: MachineState | None, step: NextStep) -> None:
    assert next_step(vmi, state, now=NOW) is step


def test_a_guest_whose_disk_goes_too_is_not_waited_for_long() -> None:
    vmi = a_vmi(deleted_ago=6)
    assert next_step(vmi, Running(), now=NOW, disk_goes=True) is NextStep.QUIT
    assert deadline(a_vmi(deleted_ago=0, grace=2), disk_goes=True) == NOW + 2


@pytest.mark.parametrize(
    ("reason", "phase"),
    [(EndReason.GUEST_SHUTDOWN, "Succeeded"), (EndReason.CRASH, "Failed"), (EndReason.QUIT, "Failed")],
)
def test_only_the_guests_own_end_is_a_success(reason: EndReason, phase: str) -> None:
    assert final_phase(Ended(reason, "")) == phase


def test_a_phase_that_stays_writes_nothing() -> None:
    assert phase_change(a_vmi("Running"), "Running", now=NOW) == {}


def test_each_phase_is_there_once_with_its_last_time() -> None:
    vmi = a_vmi("Scheduled")
    vmi["status"]["phaseTransitionTimestamps"] = [
        {"phase": "Running", "phaseTransitionTimestamp": timestamp(NOW - 100)},
        {"phase": "Scheduled", "phaseTransitionTimestamp": timestamp(NOW - 1)},
    ]
    times = phase_change(vmi, "Running", now=NOW)["phaseTransitionTimestamps"]
    assert [one["phase"] for one in times] == ["Scheduled", "Running"]
    assert times[1]["phaseTransitionTimestamp"] == timestamp(NOW)
