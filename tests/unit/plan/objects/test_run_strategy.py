from __future__ import annotations

import pytest

from harness.virtualservers import a_machine, a_server
from virtualserver.api import names
from virtualserver.plan.objects.run_strategy import run_strategy


@pytest.mark.parametrize(
    ("own", "initialize", "expected"),
    [
        ("Always", True, "Always"),
        ("RerunOnFailure", True, "RerunOnFailure"),
        ("Halted", True, "Halted"),
        ("Manual", True, "Always"),
        ("Always", False, "Halted"),
        ("Manual", False, "Halted"),
    ],
)
def test_a_machine_is_created_with(own: str, initialize: bool, expected: str) -> None:
    assert run_strategy(a_server(runStrategy=own, initializeRunning=initialize), None, None) == expected


@pytest.mark.parametrize(
    ("own", "remembered", "live", "created", "expected"),
    [
        pytest.param("Always", "Always", "Halted", False, "Halted", id="a stop stands"),
        pytest.param("RerunOnFailure", "RerunOnFailure", "Always", False, "Always", id="a start is not under way yet"),
        pytest.param("RerunOnFailure", "RerunOnFailure", "Always", True, "RerunOnFailure", id="a start is under way"),
        pytest.param("Manual", "Manual", "Always", False, "Always", id="the one start of Manual is still to come"),
        pytest.param("Manual", "Manual", "Always", True, "Manual", id="the one start of Manual was given"),
        pytest.param("Halted", "Halted", "Always", True, "Always", id="a start against Halted stands"),
        pytest.param("Always", "Halted", "Halted", False, "Always", id="the manifest changed"),
        pytest.param("Halted", "Always", "Always", True, "Halted", id="the manifest changed to Halted"),
    ],
)
def test_a_machine_that_exists_has(own: str, remembered: str, live: str, created: bool, expected: str) -> None:
    machine = a_machine("Running", strategy=live, remembered=remembered, created=created)
    assert run_strategy(a_server(runStrategy=own), machine, None) == expected


@pytest.mark.parametrize(
    ("own", "before", "live", "expected"),
    [
        pytest.param("RerunOnFailure", "false", "Halted", "RerunOnFailure", id="it is started"),
        pytest.param("Manual", "false", "Halted", "Always", id="Manual gets its one start"),
        pytest.param("Halted", "false", "Halted", "Halted", id="Halted stays stopped"),
        pytest.param("RerunOnFailure", "false", "Always", "Always", id="somebody has started it already"),
        pytest.param("RerunOnFailure", None, "Halted", "Halted", id="it asked before, and a stop stands"),
    ],
)
def test_fault_51_a_server_that_asks_later_to_start_is_started(
    own: str, before: str | None, live: str, expected: str
) -> None:
    machine = a_machine("Stopped", strategy=live, remembered=own)
    if before is not None:
        machine["metadata"]["annotations"][names.INITIALIZE_RUNNING] = before
    assert run_strategy(a_server(runStrategy=own, initializeRunning=True), machine, None) == expected
