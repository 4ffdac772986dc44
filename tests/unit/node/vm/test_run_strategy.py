"""The four run strategies, as KubeVirt has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.node.vm.run_strategy import Decision, decide, seconds_of, timestamp

NOW = 1_800_000_000.0
START = {"action": "Start"}
STOP = {"action": "Stop", "uid": "vmi-1"}


def a_vm(strategy: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one", "uid": "vm-1"}, "spec": {"runStrategy": strategy}, "status": status}


def a_vmi(phase: str, *, ran_for: float | None = None, ended_ago: float = 0, deleted: bool = False) -> dict[str, Any]:
    times: list[dict[str, str]] = []
    ended = NOW - ended_ago
    if ran_for is not None:
        times.append({"phase": "Running", "phaseTransitionTimestamp": timestamp(ended - ran_for)})
    if phase in ("Failed", "Succeeded"):
        times.append({"phase": phase, "phaseTransitionTimestamp": timestamp(ended)})
    metadata = {"name": "one", "uid": "vmi-1", **({"deletionTimestamp": timestamp(NOW)} if deleted else {})}
    return {"metadata": metadata, "status": {"phase": phase, "phaseTransitionTimestamps": times}}


def action(vm: dict[str, Any], vmi: dict[str, Any] | None) -> str:
    return decide(vm, vmi, now=NOW).action


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("Always", "start"), ("RerunOnFailure", "start"), ("Once", "start"), ("Manual", "nothing"), ("Halted", "nothing")],
)
def test_a_new_machine_starts_by_its_strategy(strategy: str, expected: str) -> None:
    assert action(a_vm(strategy), None) == expected


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("Always", "stop"), ("RerunOnFailure", "stop"), ("Once", "nothing"), ("Manual", "nothing"), ("Halted", "stop")],
)
def test_a_guest_that_powered_itself_off(strategy: str, expected: str) -> None:
    assert action(a_vm(strategy, runStrategy=strategy), a_vmi("Succeeded", ran_for=100)) == expected


@pytest.mark.parametrize(
    ("strategy", "expected"), [("Always", "start"), ("RerunOnFailure", "nothing"), ("Manual", "nothing")]
)
def test_once_the_ended_instance_is_gone(strategy: str, expected: str) -> None:
    assert action(a_vm(strategy, runStrategy=strategy), None) == expected


def test_a_machine_that_runs_once_stays_as_it_ended() -> None:
    """It never started: the CRD took the strategy, and nobody carried it out."""
    for phase in ("Succeeded", "Failed"):
        assert action(a_vm("Once", runStrategy="Once"), a_vmi(phase, ran_for=100)) == "nothing"


def test_a_failed_instance_is_replaced_under_rerun_on_failure_and_the_wish_is_recorded() -> None:
    decision = decide(a_vm("RerunOnFailure", runStrategy="RerunOnFailure"), a_vmi("Failed", ran_for=100), now=NOW)
    assert decision.action == "stop"
    assert decision.requests == (STOP, START)
    later = a_vm("RerunOnFailure", runStrategy="RerunOnFailure", stateChangeRequests=[STOP, START])
    assert action(later, None) == "start"


def test_a_stop_under_rerun_on_failure_stands() -> None:
    vm = a_vm("RerunOnFailure", runStrategy="RerunOnFailure", stateChangeRequests=[STOP])
    assert action(vm, a_vmi("Running")) == "stop"
    after = decide(vm, None, now=NOW)
    assert (after.action, after.requests) == ("nothing", ())


def test_a_stop_of_an_earlier_instance_is_dropped() -> None:
    vm = a_vm("Manual", runStrategy="Manual", stateChangeRequests=[{"action": "Stop", "uid": "vmi-0"}])
    decision = decide(vm, a_vmi("Running"), now=NOW)
    assert (decision.action, decision.requests) == ("nothing", ())


def test_a_start_is_done_once_the_instance_exists() -> None:
    vm = a_vm("Manual", runStrategy="Manual", stateChangeRequests=[START])
    assert action(vm, None) == "start"
    assert decide(vm, a_vmi("Pending"), now=NOW).requests == ()


def test_a_restart_stops_and_starts_under_every_strategy_that_runs() -> None:
    for strategy in ("Always", "RerunOnFailure", "Manual"):
        vm = a_vm(strategy, runStrategy=strategy, stateChangeRequests=[STOP, START])
        assert action(vm, a_vmi("Running")) == "stop"
        assert action(vm, a_vmi("Running", deleted=True)) == "nothing"
        assert action(vm, None) == "start"


def test_halted_with_a_start_becomes_always() -> None:
    assert action(a_vm("Halted", stateChangeRequests=[START]), None) == "always"


def test_a_change_from_halted_to_rerun_on_failure_starts() -> None:
    assert action(a_vm("RerunOnFailure", runStrategy="Halted"), None) == "start"


def test_the_old_field_running_counts() -> None:
    vm = {"metadata": {"name": "one"}, "spec": {"running": True}}
    assert action(vm, None) == "start"


def test_a_machine_that_is_being_deleted_does_not_start() -> None:
    vm = a_vm("Always")
    vm["metadata"]["deletionTimestamp"] = timestamp(NOW)
    assert action(vm, None) == "nothing"


def test_starts_that_fail_wait_longer_each_time() -> None:
    waits: list[float] = []
    failure: Any = None
    for count in range(1, 8):
        vm = a_vm("Always", runStrategy="Always", startFailure=failure)
        vmi = a_vmi("Failed", ran_for=1)
        vmi["metadata"]["uid"] = f"vmi-{count}"
        failure = decide(vm, vmi, now=NOW).failure
        assert failure["consecutiveFailCount"] == count
        waits.append(seconds_of(failure["retryAfterTimestamp"]) - NOW)
    assert waits == [10, 40, 90, 160, 250, 300, 300]


def test_one_failure_is_counted_once() -> None:
    first = decide(a_vm("Always"), a_vmi("Failed", ran_for=1), now=NOW).failure
    again = decide(a_vm("Always", startFailure=first), a_vmi("Failed", ran_for=1), now=NOW + 5).failure
    assert again == first


def test_a_wait_after_a_failure_says_how_long_and_keeps_the_wish() -> None:
    failure = {"consecutiveFailCount": 1, "lastFailedVMIUID": "vmi-1", "retryAfterTimestamp": timestamp(NOW + 7)}
    vm = a_vm("RerunOnFailure", runStrategy="RerunOnFailure", stateChangeRequests=[START], startFailure=failure)
    decision = decide(vm, None, now=NOW)
    assert (decision.action, decision.wait_seconds) == ("nothing", 7)
    assert decision.requests == (START,)
    assert decide(vm, None, now=NOW + 8).action == "start"


def test_a_machine_that_ran_a_while_starts_again_at_once() -> None:
    failure = {"consecutiveFailCount": 3, "lastFailedVMIUID": "vmi-0", "retryAfterTimestamp": timestamp(NOW + 90)}
    vm = a_vm("Always", runStrategy="Always", startFailure=failure)
    assert decide(vm, a_vmi("Failed", ran_for=61), now=NOW).failure is None


@given(
    strategy=st.sampled_from(["Always", "RerunOnFailure", "Once", "Manual", "Halted"]),
    last=st.sampled_from([None, "Always", "RerunOnFailure", "Once", "Manual", "Halted"]),
    phase=st.sampled_from([None, "Pending", "Running", "Succeeded", "Failed"]),
    requests=st.lists(st.sampled_from([START, STOP]), max_size=2),
    deleted=st.booleans(),
)
def test_decisions_settle(
    strategy: str, last: str | None, phase: str | None, requests: list[dict[str, str]], deleted: bool
) -> None:
    """However it begins, a few passes later nothing is left to do: no loop of starts and stops."""
    vm = a_vm(strategy, runStrategy=last, stateChangeRequests=requests)
    vmi = a_vmi(phase, deleted=deleted) if phase else None
    now = NOW
    for _ in range(12):
        decision: Decision = decide(vm, vmi, now=now)
        vm["status"] = {
            "runStrategy": decision.run_strategy,
            "stateChangeRequests": list(decision.requests),
            "startFailure": decision.failure,
        }
        if decision.action == "always":
            vm["spec"]["runStrategy"] = "Always"
        elif decision.action == "stop" or (vmi and vmi["metadata"].get("deletionTimestamp")):
            vmi = None
        elif decision.action == "start":
            assert vmi is None
            vmi = a_vmi("Running")
            vmi["metadata"]["uid"] = "vmi-2"
        now += 301
    assert decide(vm, vmi, now=now).action == "nothing"
    assert decide(vm, vmi, now=now).requests == ()
