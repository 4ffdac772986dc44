from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from unit.operator.known import Known
from unit.operator.known import a_server as a_manifest
from virtualserver.api import virtualserver
from virtualserver.kube.events import Event, Recorder
from virtualserver.operator import report

if TYPE_CHECKING:
    from virtualserver.kube.apply import Applier
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

BEFORE = "2026-02-01T00:00:00Z"


def a_status(
    status: str = "False", reason: str = "WaitingForSecret", message: str = "wait", time: str | None = None
) -> Any:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"conditions": [condition | ({"lastTransitionTime": time} if time else {})]}


def a_server(*arguments: Any, **options: Any) -> Any:
    return {"status": a_status(*arguments, **options)}


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    timed = report.with_times(a_status(message="other"), a_server(time=BEFORE), now=1.8e9)
    assert timed["conditions"][0]["lastTransitionTime"] == BEFORE


def test_conditions_of_others_stay_after_ours() -> None:
    server = a_server(time=BEFORE)
    server["status"]["conditions"].insert(0, {"type": "Theirs", "status": "True"})
    timed = report.with_times(a_status(), server, now=1.8e9)
    assert [condition["type"] for condition in timed["conditions"]] == ["Ready", "Theirs"]


def told(status: Any, live: Any) -> list[Event]:
    """Return the Events of a change of a status with which nothing else is the matter."""
    applied = {"type": "FullyApplied", "status": "True", "reason": "FullyApplied"}
    return list(report.events_of({"conditions": [*status["conditions"], applied]}, live))


def test_what_is_waited_for_is_told_once() -> None:
    assert told(a_status(), {}) == [("Warning", "WaitingForSecret", "wait")]
    assert told(a_status(), a_server()) == []
    assert told(a_status(message="for another"), a_server()) != []


def test_the_ordinary_course_is_not_told() -> None:
    assert told(a_status("Unknown", "Starting"), a_server()) == []


def test_a_server_that_is_stopped_is_told_so_once_whatever_is_still_made_for_it() -> None:
    stopped = ("False", "VirtualServerStopped")
    assert told(a_status(*stopped, "it is stopped; its disk is made"), a_server(*stopped, "it is stopped")) == []
    assert told(a_status(*stopped, "it is stopped"), a_server()) != []


@pytest.mark.parametrize(
    ("new", "is_awaited"),
    [
        ({}, False),
        ({"network": {"internalIP": "10.0.0.9"}}, True),
        ({"network": {"floatingIPs": {"web": "203.0.113.9"}}}, True),
        ({"network": {"externalIP": ""}}, False),
        ({"settled": "key Ready"}, True),
        (a_status(message="for another"), False),
        (a_status("Unknown", "Starting"), False),
        (a_status("True", "VirtualServerReady"), True),
        (a_status("False", "IPAddressPoolExhausted"), True),
    ],
)
def test_addresses_answers_and_news_of_ready_are_awaited(new: dict[str, Any], is_awaited: bool) -> None:
    assert report.is_awaited(a_status() | new, a_server()) is is_awaited


def test_the_first_ordinary_word_of_a_new_server_is_not_awaited_but_a_refusal_is() -> None:
    assert not report.is_awaited(a_status("Unknown", "Initializing"), {})
    assert not report.is_awaited(a_status("False", "WaitingForAddress"), a_server("Unknown", "Initializing"))
    assert report.is_awaited(a_status("False", "InvalidSpec"), a_server("Unknown", "Initializing"))


def test_becoming_ready_is_good_news() -> None:
    (event,) = told(a_status("True", "VirtualServerReady"), a_server())
    assert event.type == "Normal"


def test_what_waits_for_a_restart_is_told_once() -> None:
    """Fault 53: a change that takes effect at the next start had no Event."""

    def a_change(message: str, *, status: str = "True") -> Any:
        waits = {"type": "FullyApplied", "status": "False", "reason": "RestartRequired", "message": message}
        return {"conditions": [*a_status(status, "VirtualServerReady")["conditions"], waits]}

    before = a_server("True", "VirtualServerReady")
    event = ("Warning", "RestartRequired", "spec.resources.memory: vs restart web")
    assert list(report.events_of(a_change(event[2]), before)) == [event]
    assert list(report.events_of(a_change(event[2]), {"status": a_change(event[2])})) == []
    stopped = a_change(event[2], status="False")
    assert list(report.events_of(stopped, {"status": a_change("", status="False")})) == []


class Told(Recorder):
    """Keeps the Events that were to be written."""

    def __init__(self) -> None:
        super().__init__(cast("Client", None), component="operator")
        self.messages: list[str] = []

    def emit(self, about: Manifest, event: Event) -> None:
        self.messages.append(f"{about['metadata']['uid']}: {event.message}")


def a_reporter(told: Told) -> report.Reporter:
    """Return one that writes no status."""
    return report.Reporter(Known().cache, cast("Applier", None), told)


def test_one_event_tells_of_all_that_several_passes_made_of_that_very_server() -> None:
    told = Told()
    reporter = a_reporter(told)
    web = virtualserver.decode(a_manifest("web"))
    former = msgspec.structs.replace(web, metadata=msgspec.structs.replace(web.metadata, uid="former"))
    reporter.done(former, {"Created": ["Service web-tcp"]}, goes_on=True)
    reporter.done(web, {"Created": ["Service web-tcp"]}, goes_on=True)
    reporter.done(web, {"Created": ["Secret web-cloud-init", "DataVolume web"]}, goes_on=True)
    assert told.messages == []
    reporter.done(web, {"Created": ["VirtualMachine web"], "Deleted": ["Service web"]}, goes_on=False)
    reporter.done(web, {}, goes_on=False)
    created = "Created DataVolume web, Secret web-cloud-init, Service web-tcp, VirtualMachine web"
    assert told.messages == [f"uid-of-web: {created}", "uid-of-web: Deleted Service web"]


def test_a_server_that_is_gone_leaves_nothing_to_tell() -> None:
    told = Told()
    reporter = a_reporter(told)
    web = virtualserver.decode(a_manifest("web"))
    reporter.done(web, {"Created": ["Service web-tcp"]}, goes_on=True)
    reporter.forget(("default", "web"))
    reporter.done(web, {}, goes_on=False)
    assert told.messages == []
