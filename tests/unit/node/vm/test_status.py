"""The status of a VirtualMachine in KubeVirt's words."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.node.vm.run_strategy import decide, timestamp
from virtualserver.node.vm.status import status_of
from virtualserver.node.waits import Wait

NOW = 1_800_000_000.0
BOUND = {"status": {"phase": "Succeeded"}}


def a_vm(strategy: str = "RerunOnFailure", *, deleted: bool = False, **status: Any) -> dict[str, Any]:
    metadata = {"name": "one", "uid": "vm-1", "generation": 3, **({"deletionTimestamp": "x"} if deleted else {})}
    return {"metadata": metadata, "spec": {"runStrategy": strategy}, "status": {"runStrategy": strategy, **status}}


def a_vmi(phase: str, *conditions: dict[str, str], deleted: bool = False) -> dict[str, Any]:
    metadata = {"uid": "vmi-1", **({"deletionTimestamp": timestamp(NOW)} if deleted else {})}
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions}}


def status(
    vm: dict[str, Any], vmi: dict[str, Any] | None, *, volume: Any = BOUND, needs_restart: bool = False
) -> dict[str, Any]:
    decision = decide(vm, vmi, now=NOW)
    return status_of(vm, vmi, decision, data_volumes=[("one", volume)], needs_restart=needs_restart, now=NOW)


def a_wait(reason: str) -> dict[str, str]:
    return {"type": "Synchronized", "status": "False", "reason": reason, "message": "why"}


@pytest.mark.parametrize(
    ("vm", "vmi", "volume", "expected"),
    [
        (a_vm(deleted=True), a_vmi("Running"), BOUND, "Terminating"),
        (a_vm(), a_vmi("Running", deleted=True), BOUND, "Stopping"),
        (a_vm("Halted"), a_vmi("Running"), BOUND, "Stopping"),
        (a_vm(), a_vmi("Running"), BOUND, "Running"),
        (a_vm(), None, BOUND, "Stopped"),
        (a_vm("Always"), None, BOUND, "Starting"),
        (a_vm("Manual"), a_vmi("Succeeded"), BOUND, "Stopped"),
        (a_vm(), a_vmi("Pending"), BOUND, "Starting"),
        (a_vm(), a_vmi("Pending"), None, "ErrorDataVolumeNotFound"),
        (a_vm(), a_vmi("Pending"), {"status": {"phase": "Pending"}}, "Provisioning"),
        (a_vm(), a_vmi("Pending"), {"status": {"phase": "Failed"}}, "DataVolumeError"),
        (a_vm(), a_vmi("Pending", a_wait("InsufficientMemory")), BOUND, "ErrorUnschedulable"),
        (a_vm(), a_vmi("Pending", a_wait("ErrorPvcNotFound")), BOUND, "ErrorPvcNotFound"),
        (a_vm(), a_vmi("Failed"), BOUND, "CrashLoopBackOff"),
        (a_vm("Manual"), a_vmi("Failed"), BOUND, "Stopped"),
    ],
)
def test_one_word_says_how_it_is(vm: Any, vmi: Any, volume: Any, expected: str) -> None:
    assert status(vm, vmi, volume=volume)["printableStatus"] == expected


TAKEN = "InstanceNameTaken: VirtualMachineInstance one"


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (
            {},
            "InstanceNameTaken: VirtualMachineInstance one was not made for this machine: kubectl delete vmi one -n ns",
        ),
        (
            {"deletionTimestamp": "x", "finalizers": [names.NODE_FINALIZER]},
            "FormerGuestStops: the guest of the former machine one still shuts down: this one starts when it has ended",
        ),
        (
            {"deletionTimestamp": "x", "finalizers": ["example.test/keep", names.NODE_FINALIZER]},
            f"{TAKEN} is of an earlier machine and is being deleted, which these finalizers hold up: example.test/keep",
        ),
    ],
)
def test_an_instance_of_its_name_that_is_another_machines_is_told_while_it_shall_start(
    metadata: dict[str, Any], told: str
) -> None:
    foreign = {"metadata": {"name": "one", "namespace": "ns", **metadata}}

    def conditions(vm: dict[str, Any]) -> dict[str, Any]:
        decision = decide(vm, None, now=NOW)
        found = status_of(vm, None, decision, data_volumes=[], foreign=foreign, needs_restart=False, now=NOW)
        return {one["type"]: one for one in found["conditions"]}

    failure = conditions(a_vm("Always"))["Failure"]
    assert f"{failure['reason']}: {failure['message']}" == told
    assert "Failure" not in conditions(a_vm("Halted"))


def test_ready_is_the_instances_own() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "GuestRunning", "message": ""}
    found = status(a_vm(), a_vmi("Running", ready))
    assert found["ready"] is True
    assert found["created"] is True
    assert found["conditions"][0]["reason"] == "GuestRunning"
    found = status(a_vm(), None)
    assert found["ready"] is False
    assert found["created"] is False
    assert found["conditions"][0]["reason"] == "VMINotExists"


def test_a_wait_is_told_with_its_reason_and_goes_with_it() -> None:
    vmi = a_vmi("Pending", a_wait("InsufficientMemory"))
    found = status(a_vm(), vmi)
    failure = {one["type"]: one for one in found["conditions"]}["Failure"]
    assert (failure["status"], failure["reason"], failure["message"]) == ("True", "InsufficientMemory", "why")
    after = status(a_vm(conditions=found["conditions"]), a_vmi("Running"))
    assert "Failure" not in {one["type"] for one in after["conditions"]}


def test_a_changed_template_needs_a_restart() -> None:
    found = status(a_vm(), a_vmi("Running"), needs_restart=True)
    assert {one["type"] for one in found["conditions"]} == {"Ready", "RestartRequired"}


def test_conditions_of_others_stay() -> None:
    other = {"type": "Mine", "status": "True", "lastTransitionTime": "t"}
    assert status(a_vm(conditions=[other]), None)["conditions"][-1] == other


def test_the_same_state_is_the_same_status() -> None:
    first = status(a_vm(), a_vmi("Running"))
    decision = decide(a_vm(**first), a_vmi("Running"), now=NOW + 50)
    again = status_of(a_vm(**first), a_vmi("Running"), decision, data_volumes=[], needs_restart=False, now=NOW + 50)
    assert again == first


def test_what_the_api_server_says_of_a_vmi_that_it_refused_stands_in_the_status() -> None:
    vm = a_vm("Always")
    refusal = Wait("InstanceRefused", "exceeded quota: few")
    told = status_of(
        vm,
        None,
        decide(vm, None, now=NOW),
        data_volumes=[("one", BOUND)],
        needs_restart=False,
        refused=refusal,
        now=NOW,
    )
    (failure,) = [one for one in told["conditions"] if one["type"] == "Failure"]
    assert (failure["status"], failure["reason"], failure["message"]) == ("True", refusal.reason, refusal.message)
    assert told["printableStatus"] == "Starting"
