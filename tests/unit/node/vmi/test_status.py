"""What the status of a VMI says."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.fabric.desired.state import GuestLink, Resolver
from virtualserver.machines.ends import Ended, EndReason, Running
from virtualserver.node.vmi import status
from virtualserver.node.vmi.probes import Health
from virtualserver.node.waits import Wait

NOW = 1_800_000_000.0
VMI: dict[str, Any] = {"metadata": {"name": "web"}, "spec": {}}


def a_link(mac: str, address: str) -> GuestLink:
    return GuestLink(
        device="tap1",
        mac=mac,
        addresses=(ipaddress.ip_address(address),),
        hostname="web",
        resolver=Resolver((), ()),
        user=7,
    )


def test_interfaces_have_the_names_of_the_nics() -> None:
    links = {"lan": a_link("02:00:00:00:00:01", "10.42.0.2"), "a": a_link("02:00:00:00:00:02", "192.0.2.7")}
    said = status.running(VMI, links, node="host", now=NOW)
    assert said["interfaces"] == [
        {"name": "lan", "mac": "02:00:00:00:00:01", "ipAddress": "10.42.0.2", "ipAddresses": ["10.42.0.2"]},
        {"name": "a", "mac": "02:00:00:00:00:02", "ipAddress": "192.0.2.7", "ipAddresses": ["192.0.2.7"]},
    ]
    assert (said["phase"], said["nodeName"]) == ("Running", "host")


def test_a_wait_stands_in_synchronized() -> None:
    said = status.waiting(VMI, Wait("InsufficientMemory", "no room"), now=NOW)
    assert said["phase"] == "Pending"
    ready, waits = said["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "GuestNotRunning")
    assert (waits["type"], waits["reason"], waits["message"]) == ("Synchronized", "InsufficientMemory", "no room")


@pytest.mark.parametrize(
    ("reason", "phase"),
    [(EndReason.GUEST_SHUTDOWN, "Succeeded"), (EndReason.CRASH, "Failed"), (EndReason.QUIT, "Failed")],
)
def test_an_end_has_its_phase_and_its_words(reason: EndReason, phase: str) -> None:
    said = status.after_end(VMI, Ended(reason, "it ended"), now=NOW)
    assert (said["phase"], said["reason"], said["conditions"][0]["message"]) == (phase, str(reason), "it ended")


@pytest.mark.parametrize(
    ("health", "state", "answer", "reason", "message"),
    [
        (Health.READY, Running(), "", "GuestRunning", ""),
        (Health.READY, Running("no room"), "", "GuestStandsStill", "no room"),
        (Health.NOT_READY, Running("no room", is_paused=True), "", "Paused", "the guest is paused"),
        (Health.NOT_READY, Running(), "", "ReadinessProbeFailing", "the readiness probe has not been answered yet"),
        (
            Health.NOT_READY,
            Running(),
            "port 80: connection refused",
            "ReadinessProbeFailing",
            "the readiness probe does not succeed: port 80: connection refused",
        ),
    ],
)
def test_ready_says_why_not(health: Health, state: Running, answer: str, reason: str, message: str) -> None:
    said = status.ready(health, state, answer)
    assert (said["reason"], said["message"]) == (reason, message)


def test_a_guest_without_its_tap_is_not_ready_whatever_its_probes_say() -> None:
    """Fault 31: a tap that somebody deleted, and that cannot be given back."""
    said = status.ready(Health.READY, Running(), "", cut_off="Operation not permitted")
    assert (said["status"], said["reason"]) == ("False", "GuestCutOff")
    assert said["message"].endswith("no network until it is restarted: Operation not permitted")


def test_what_a_cluster_nic_waits_for_has_its_conditions() -> None:
    taken, in_place = status.link_conditions(has_taken=True, waits_for="its ports are being put in place")
    assert (taken["type"], taken["status"], taken["reason"]) == (names.ADDRESS_TAKEN, "True", "Leased")
    assert (in_place["type"], in_place["reason"]) == (names.DATA_PLANE_READY, "NotInPlace")


def test_fault_9_a_guest_that_met_its_bound_is_told_so() -> None:
    told = status.bounded()
    assert (told["type"], told["status"], told["reason"]) == (names.FLOWS_BOUNDED, "True", "TooManyFlows")


@pytest.mark.parametrize(
    ("phase", "told"), [("Running", "Succeeded"), ("Pending", None), ("Failed", None), ("Succeeded", None)]
)
def test_an_instance_that_others_keep_after_its_end_shows_no_address(phase: str, told: str | None) -> None:
    """Fault 3: its former address may be another tenant's by now."""
    vmi = {**VMI, "status": {"phase": phase, "interfaces": [{"name": "default", "ipAddresses": ["10.42.0.2"]}]}}
    said = status.released(vmi, now=NOW)
    assert said["interfaces"] is None
    assert said.get("phase") == told
    assert said["conditions"][0]["reason"] == "GuestNotRunning"


def test_a_guest_that_does_not_run_shows_no_address() -> None:
    ended = Ended(reason=EndReason.GUEST_SHUTDOWN, message="")
    assert status.after_end(VMI, ended, now=NOW)["interfaces"] is None
    assert status.before_restart(VMI, now=NOW)["interfaces"] is None
