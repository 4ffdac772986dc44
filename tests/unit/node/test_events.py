"""Events tell of changes, once, and are silent about the ordinary course of things."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.fabric.desired.contest import Contest
from virtualserver.fabric.desired.repair import Adjustment, Repair
from virtualserver.kube import kinds
from virtualserver.kube.events import Event
from virtualserver.node.events import (
    CUT_OFF,
    NETWORK_REFUSED,
    RULES_REFUSED,
    STANDS_STILL,
    event_of_data_plane,
    event_of_occupied,
    events_of,
)

INSTANCE, MACHINE, SERVICE = kinds.VIRTUAL_MACHINE_INSTANCE, kinds.VIRTUAL_MACHINE, kinds.SERVICE


def with_status(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "status": status}


def condition(type: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": type, "status": status, "reason": reason, "message": message}


def running(**more: Any) -> dict[str, Any]:
    return with_status(phase="Running", interfaces=[{"name": "default", "ipAddresses": ["10.0.0.5"]}], **more)


def waiting(reason: str, message: str) -> dict[str, Any]:
    return with_status(phase="Pending", conditions=[condition("Synchronized", "False", reason, message)])


def ended(phase: str) -> dict[str, Any]:
    return with_status(phase=phase, conditions=[condition("Ready", "False", "GuestNotRunning", "what it said")])


@pytest.mark.parametrize(
    ("resource", "before", "after", "told"),
    [
        (INSTANCE, with_status(), running(), ("Normal", "Started", "the guest was started, with the address 10.0.0.5")),
        (INSTANCE, running(), ended("Succeeded"), ("Normal", "Stopped", "the guest ended by itself: what it said")),
        (INSTANCE, running(), ended("Failed"), ("Warning", "Failed", "the guest failed: what it said")),
        (
            INSTANCE,
            with_status(),
            waiting("InsufficientMemory", "needs 9Gi"),
            ("Warning", "InsufficientMemory", "the guest cannot be started: needs 9Gi"),
        ),
        (
            INSTANCE,
            running(),
            running(conditions=[condition("Ready", "False", STANDS_STILL, "no room")]),
            ("Warning", "GuestStandsStill", "no room"),
        ),
        (
            INSTANCE,
            running(),
            running(conditions=[condition("Ready", "False", CUT_OFF, "somebody deleted the guest's tap")]),
            ("Warning", "GuestCutOff", "somebody deleted the guest's tap"),
        ),
        (
            INSTANCE,
            running(),
            running(conditions=[condition("Synchronized", "False", NETWORK_REFUSED, "no card has this address")]),
            ("Warning", "NetworkRefused", "the guest runs: no card has this address"),
        ),
        (
            SERVICE,
            with_status(),
            with_status(conditions=[condition(names.PORTS_PUBLISHED, "False", RULES_REFUSED, "it is too large")]),
            ("Warning", "RulesRefused", "it is too large"),
        ),
        (
            MACHINE,
            with_status(printableStatus="Stopping"),
            with_status(printableStatus="Stopped"),
            ("Normal", "Stopped", "the guest was stopped"),
        ),
        (
            SERVICE,
            with_status(),
            with_status(loadBalancer={"ingress": [{"ip": "198.51.100.7"}]}),
            ("Normal", "AddressAssigned", "the address 198.51.100.7 was assigned"),
        ),
        (
            SERVICE,
            with_status(),
            with_status(conditions=[condition(names.ADDRESS_ASSIGNED, "False", "PoolExhausted", "none is free")]),
            ("Warning", "PoolExhausted", "none is free"),
        ),
        *(
            (
                kind,
                with_status(conditions=[condition(names.FULLY_APPLIED, "False", "PartlyApplied", "one")]),
                with_status(conditions=[condition(names.FULLY_APPLIED, "False", "PartlyApplied", "one, two")]),
                ("Warning", "PartlyApplied", "one, two"),
            )
            for kind in (MACHINE, SERVICE, kinds.DATA_VOLUME)
        ),
        (
            SERVICE,
            with_status(),
            with_status(conditions=[condition(names.PORTS_PUBLISHED, "False", "EndpointsRefused", "a name is taken")]),
            ("Warning", "EndpointsRefused", "a name is taken"),
        ),
    ],
)
def test_a_change_is_told_once(
    resource: Any, before: dict[str, Any], after: dict[str, Any], told: tuple[Any, str, str]
) -> None:
    assert events_of(resource, before, after) == [Event(*told)]
    assert events_of(resource, after, after) == []


def a_disk(reason: str, message: str = "", *, status: str = "False") -> dict[str, Any]:
    return with_status(conditions=[condition("Ready", status, reason, message)])


@pytest.mark.parametrize(
    "reason", ["ClaimRefused", "DiskGone", "InsufficientStorage", "SourceInUse", "SourceMissing", "SourceNotSupported"]
)
def test_what_a_disk_waits_for_is_told_of_its_data_volume_once(reason: str) -> None:
    """Only the DataVolume's own status said it, and its machine not even that."""
    volume, told = kinds.DATA_VOLUME, [Event("Warning", reason, "exceeded quota: room")]
    refused = a_disk(reason, "exceeded quota: room")
    for before in (with_status(), a_disk("CloneInProgress"), a_disk("Succeeded", status="True")):
        assert events_of(volume, before, refused) == told
    assert events_of(volume, refused, a_disk(reason, "exceeded quota: room, by less")) == []


@pytest.mark.parametrize("reason", ["CloneInProgress", "SourceNotReady", "Succeeded"])
def test_a_disk_that_is_on_its_way_or_there_tells_nothing(reason: str) -> None:
    after = a_disk(reason, status="True" if reason == "Succeeded" else "False")
    for before in (with_status(), a_disk("SourceMissing", "there is none")):
        assert events_of(kinds.DATA_VOLUME, before, after) == []


def test_what_has_an_effect_again_is_told_by_the_status_alone() -> None:
    before = with_status(conditions=[condition(names.FULLY_APPLIED, "False", "PartlyApplied", "one")])
    assert events_of(SERVICE, before, with_status()) == []


def test_figures_that_change_are_no_news() -> None:
    before, after = waiting("InsufficientMemory", "3Gi are free"), waiting("InsufficientMemory", "4Gi are free")
    assert events_of(INSTANCE, before, after) == []


@pytest.mark.parametrize("reason", ["FormerGuestStops", "WaitingForAddress", "WaitingForVolumes", "WaitingForSecret"])
def test_what_passes_by_itself_is_not_told(reason: str) -> None:
    assert events_of(INSTANCE, with_status(), waiting(reason, "")) == []


def test_a_guest_that_ended_by_itself_is_not_told_to_have_been_stopped_too() -> None:
    before, after = with_status(printableStatus="Running"), with_status(printableStatus="Stopped")
    assert events_of(MACHINE, before, after) == []


def test_a_repair_of_the_data_plane_is_a_warning_that_says_what_and_where() -> None:
    event = event_of_data_plane(Repair("route to 203.0.113.0/24", "host"))
    assert event[:2] == ("Warning", "DataPlaneRepaired")
    assert event.message.startswith("host: route to 203.0.113.0/24: ")
    contested = event_of_data_plane(Contest("nftables rules of the host", "host"))
    assert contested[:2] == ("Warning", "DataPlaneContested")
    assert contested.message.startswith("host: nftables rules of the host: something takes it away")
    assert event_of_data_plane(Adjustment("by wifi0 now")) == Event("Normal", "DataPlaneAdjusted", "by wifi0 now")


def test_addresses_that_others_on_the_uplink_have_are_told_and_when_they_are_free_again() -> None:
    one, two = ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address("203.0.113.2")
    event = event_of_occupied("eth1", {one: "02:00:00:00:00:99", two: ""})
    assert (event.type, event.reason) == ("Warning", "AddressOccupied")
    assert "link eth1: 203.0.113.1 belongs to 02:00:00:00:00:99" in event.message
    assert "nobody has 203.0.113.2 any more" in event.message
    assert event_of_occupied("eth1", {two: ""}).type == "Normal"
