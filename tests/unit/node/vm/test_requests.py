"""What start, stop and restart write, and when they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.node.vm import requests
from virtualserver.node.vm.controller import template_hash, vmi_of
from virtualserver.node.vm.requests import Rejection, StateChange

START = {"action": "Start"}
STOP = {"action": "Stop", "uid": "vmi-1"}


def a_vm(strategy: str, *pending: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "spec": {"runStrategy": strategy}, "status": {"stateChangeRequests": pending}}


def a_vmi(phase: str, *, deleted: bool = False) -> dict[str, Any]:
    metadata = {"uid": "vmi-1", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    return {"metadata": metadata, "status": {"phase": phase}}


def test_a_start_of_a_halted_machine_makes_it_always() -> None:
    assert requests.start(a_vm("Halted"), None) == StateChange(run_strategy="Always")


@pytest.mark.parametrize("strategy", ["RerunOnFailure", "Manual"])
def test_a_start_under_the_other_strategies_is_a_request(strategy: str) -> None:
    assert requests.start(a_vm(strategy), None) == StateChange(requests=[START])
    assert requests.start(a_vm(strategy), a_vmi("Succeeded")) == StateChange(requests=[STOP, START])


@pytest.mark.parametrize("strategy", ["Always", "RerunOnFailure", "Manual"])
def test_a_start_of_a_running_machine_is_refused(strategy: str) -> None:
    assert requests.start(a_vm(strategy), a_vmi("Running")) == Rejection("VM is already running")


@pytest.mark.parametrize("strategy", ["Always", "RerunOnFailure", "Manual"])
@pytest.mark.parametrize("phase", ["", "Pending", "Scheduling", "Scheduled"])
def test_a_start_of_a_machine_that_is_starting_is_accepted(strategy: str, phase: str) -> None:
    assert requests.start(a_vm(strategy), a_vmi(phase)) == StateChange()


def test_a_repeated_start_changes_nothing_more() -> None:
    assert requests.start(a_vm("Manual", START), None) == StateChange()
    assert requests.start(a_vm("Always"), None) == StateChange()


def test_a_start_during_a_stop_comes_after_it() -> None:
    assert requests.start(a_vm("Manual", STOP), a_vmi("Running")) == StateChange(requests=[STOP, START])
    assert requests.start(a_vm("Halted"), a_vmi("Running", deleted=True)) == StateChange(run_strategy="Always")


def test_a_stop_of_an_always_machine_halts_it() -> None:
    assert requests.stop(a_vm("Always"), a_vmi("Running")) == StateChange(run_strategy="Halted")


def test_a_stop_takes_a_restart_of_an_always_machine_back() -> None:
    wish = requests.stop(a_vm("Always", STOP, START), a_vmi("Running"))
    assert wish == StateChange(run_strategy="Halted", requests=[])


@pytest.mark.parametrize("strategy", ["RerunOnFailure", "Manual"])
def test_a_stop_under_the_other_strategies_is_a_request(strategy: str) -> None:
    assert requests.stop(a_vm(strategy), a_vmi("Running")) == StateChange(requests=[STOP])


@pytest.mark.parametrize("strategy", ["RerunOnFailure", "Manual", "Halted"])
@pytest.mark.parametrize("vmi", [None, a_vmi("Succeeded")])
def test_a_stop_of_a_stopped_machine_is_refused(strategy: str, vmi: dict[str, Any] | None) -> None:
    assert requests.stop(a_vm(strategy), vmi) == Rejection("VM is not running")


def test_a_stop_takes_back_a_start_that_is_still_to_come() -> None:
    assert requests.stop(a_vm("RerunOnFailure", START), None) == StateChange(requests=[])


def test_a_shorter_grace_period_reaches_the_instance() -> None:
    assert requests.stop(a_vm("Halted"), a_vmi("Running", deleted=True), grace_seconds=0) == StateChange(
        grace_seconds=0
    )


def test_a_restart_is_a_stop_and_a_start() -> None:
    assert requests.restart(a_vm("Always"), a_vmi("Running")) == StateChange(requests=[STOP, START])


def test_a_restart_needs_a_machine_that_runs() -> None:
    assert requests.restart(a_vm("Always"), None) == Rejection("VM is not running")
    assert requests.restart(a_vm("Halted"), None) == Rejection("Halted does not support manual restart requests")


PAUSED_START = {"action": "Start", "data": {"paused": "true"}}


@pytest.mark.parametrize("strategy", ["Halted", "RerunOnFailure", "Manual"])
def test_a_start_that_is_to_be_paused_is_a_request_that_says_so(strategy: str) -> None:
    assert requests.start(a_vm(strategy), None, paused=True) == StateChange(requests=[PAUSED_START])


def test_the_instance_of_a_paused_start_stands_still_at_first_and_the_next_does_not() -> None:
    vm = a_vm("Always")
    vm["metadata"] |= {"namespace": "ns", "uid": "vm"}
    vm["spec"]["template"] = {"spec": {"domain": {}}}
    assert "startStrategy" not in vmi_of(vm)["spec"]
    vm["status"]["stateChangeRequests"] = [PAUSED_START]
    assert vmi_of(vm)["spec"]["startStrategy"] == "Paused"


def test_a_machine_whose_template_says_nothing_is_no_fault_of_ours() -> None:
    """KubeVirt's schema takes it: the API server refuses its VMI, and the machine says so in its words."""
    metadata = {"name": "one", "namespace": "ns", "uid": "vm-1"}
    vm: dict[str, Any] = {"metadata": metadata, "spec": {"template": {}}}
    assert vmi_of(vm)["spec"] == {} and template_hash(vm)
