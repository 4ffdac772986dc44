"""What one page tells of a server, from its objects."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.api.reasons import Reason
from virtualserver.api.remedies import remedy
from virtualserver.servers.page import Concern, DiskState, Happening, Objects, Port, page

UID = "virtualservers.coreweave.com/uid"


def a_condition(type_: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "then"}


def a_server(*conditions: dict[str, str], **network: Any) -> dict[str, Any]:
    root = {"size": "4Gi", "source": {"pvc": {"namespace": "vd-images", "name": "debian"}}}
    return {
        "metadata": {"name": "web", "namespace": "team-a", "uid": "u"},
        "spec": {"users": [{"username": "ada"}], "storage": {"root": root}, "runStrategy": "Always"},
        "status": {"conditions": list(conditions), "network": network},
    }


def a_service(name: str, address: str, *ports: tuple[int, str], uid: str = "u", selects: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team-a", "labels": {UID: uid}},
        "spec": {
            "selector": {UID: uid} if selects else {},
            "ports": [{"port": port, "protocol": protocol} for port, protocol in ports],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }


READY = a_condition("Ready", "True", "VirtualServerReady", "running, address 203.0.113.7")


def test_what_is_published_named_and_held() -> None:
    services = [
        a_service("web-tcp", "203.0.113.7", (22, "TCP"), (80, "TCP")),
        a_service("web-f0", "203.0.113.9", (1, "TCP"), selects=False),
        a_service("lent", "203.0.113.8", (1, "TCP"), uid="", selects=False),
    ]
    server = a_server(READY, externalIP="203.0.113.7", internalIP="10.42.0.5", floatingIPs={"lent": "203.0.113.8"})
    found = page(Objects(server, services=services))
    assert found.ports == (
        Port("web-tcp", "203.0.113.7", "TCP", 22),
        Port("web-tcp", "203.0.113.7", "TCP", 80),
    )
    assert found.names == ("web-tcp.team-a.svc.cluster.local", "web-f0.team-a.svc.cluster.local")
    assert found.addresses == {"external": "203.0.113.7", "internal": "10.42.0.5", "floating": "203.0.113.8"}
    assert (found.users, found.concerns, found.restart_needed) == (("ada",), (), ())


def test_the_guest_runs_while_its_instance_says_so() -> None:
    instance = {"metadata": {"creationTimestamp": "at"}, "status": {"phase": "Running"}}
    assert page(Objects(a_server(READY), instance=instance)).runs_since == "at"
    assert not page(Objects(a_server(READY), instance=instance | {"status": {"phase": "Succeeded"}})).runs


def test_what_ready_has_no_room_for_is_read_in_fully_applied() -> None:
    """Fault 30: the table has the first thing that matters, the page all of it."""
    whole = "running, address 203.0.113.7 (restart needed: spec.a, spec.b); all else"
    ready = READY | {"message": "running, address 203.0.113.7 (restart needed: spec.a …"}
    found = page(Objects(a_server(ready, a_condition("FullyApplied", "True", "FullyApplied", whole))))
    assert (found.message, found.restart_needed) == (whole, ("spec.a", "spec.b"))
    refused = a_condition("Ready", "False", "InvalidSpec", "spec.a: x …")
    server = a_server(refused, a_condition("FullyApplied", "False", "InvalidSpec", "spec.a: x: mend it"))
    assert [one.message for one in page(Objects(server)).concerns] == ["spec.a: x: mend it"]


def test_the_disk_says_how_far_it_is() -> None:
    why = a_condition("Ready", "False", "SourceMissing", "vd-images/debian is not there")
    disk = {"status": {"phase": "Pending", "conditions": [why]}}
    claim = {"status": {"capacity": {"storage": "2Gi"}}}
    assert page(Objects(a_server(READY), disk=disk, claim=claim)).disk == DiskState(
        "web", "4Gi", "2Gi", "vd-images/debian", "Pending: vd-images/debian is not there"
    )


def test_what_waits_for_a_restart_is_named_by_the_manifests_fields() -> None:
    """Fault 53: it stood nowhere where one looks, and in words that are not the manifest's."""
    ready = READY | {"message": "running, address 203.0.113.7 (restart needed: spec.resources.memory, spec.firmware)"}
    applied = a_condition("FullyApplied", "False", "RestartRequired", "spec.resources.memory: at the next start")
    found = page(Objects(a_server(ready, applied)), where=" -n team-a")
    assert found.restart_needed == ("spec.resources.memory", "spec.firmware")
    assert [concern.remedy for concern in found.concerns] == ["vs restart web -n team-a"]


def test_what_is_not_as_wished_is_said_once_with_what_to_do() -> None:
    stopped = "the machine is stopped; to start it: vs start web"
    conditions = (
        a_condition("Ready", "False", "VirtualServerStopped", stopped),
        a_condition("VirtualServerStarted", "False", "VirtualServerStopped", "the machine is stopped"),
        a_condition("ServicesReady", "True", "ServicesReady", "web-tcp"),
        a_condition("FullyApplied", "False", "FirstStartOnly", "spec.users"),
    )
    first, second = page(Objects(a_server(*conditions))).concerns
    assert first == Concern("Ready", "False", "VirtualServerStopped", stopped, "")
    assert second.remedy.startswith("make the change in the guest too: vs ssh web")
    assert "vs delete web" in second.remedy and "--keep-disk, and apply" in second.remedy


def test_a_message_that_has_a_command_needs_no_other() -> None:
    assert remedy(Reason.IMAGE_NOT_FOUND, "it does not exist: vs image alias a/b c", name="web", where="") == ""
    assert remedy(Reason.VIRTUAL_SERVER_STOPPED, "stopped", name="web", where="") == "vs start web"


def test_the_last_events_are_shown_the_oldest_first() -> None:
    def an_event(number: int) -> dict[str, Any]:
        return {
            "metadata": {"creationTimestamp": "never"},
            "involvedObject": {"kind": "VirtualServer", "name": "web"},
            "lastTimestamp": f"2026-01-01T00:00:{number:02}Z",
            "reason": f"r{number}",
            "count": number,
        }

    events = page(Objects(a_server(READY), events=[an_event(number) for number in range(20, 0, -1)])).events
    assert [event.reason for event in events] == [f"r{number}" for number in range(13, 21)]
    assert events[-1] == Happening("2026-01-01T00:00:20Z", 20, "Normal", "r20", "VirtualServer/web", "")


@pytest.mark.parametrize("server", [{"metadata": {"name": "web", "namespace": "a", "uid": "u"}}])
def test_a_server_that_nobody_has_looked_at_has_a_page(server: dict[str, Any]) -> None:
    assert page(Objects(server)).reason == "Initializing"
