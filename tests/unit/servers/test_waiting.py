"""When a server counts as started, refused or stopped."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.servers import waiting
from virtualserver.servers.waiting import Seen

OLD, NEW = "2026-02-01T00:00:00Z", "2026-02-01T00:00:20Z"


def a_server(status: str, reason: str, *, since: str = NEW) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": reason, "message": "words", "lastTransitionTime": since}
    return {"status": {"conditions": [ready]}}


def an_instance(uid: str = "2", *, phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "creationTimestamp": "2026-02-01T00:00:10Z"}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("server", "instance", "expected"),
    [
        ({}, None, Seen.UNDER_WAY),
        (a_server("Unknown", "Starting"), an_instance(), Seen.UNDER_WAY),
        (a_server("True", "VirtualServerReady"), an_instance(), Seen.RUNNING),
        (a_server("False", "RestartRequired"), an_instance(), Seen.RUNNING),
        (a_server("True", "VirtualServerReady"), an_instance("1"), Seen.UNDER_WAY),
        (a_server("True", "VirtualServerReady"), None, Seen.UNDER_WAY),
        (a_server("True", "VirtualServerReady", since=OLD), an_instance(), Seen.SAYS_SO),
        (a_server("False", "VirtualServerStopped"), None, Seen.STOPPED),
        (a_server("False", "PoolExhausted"), None, Seen.UNDER_WAY),
        (a_server("False", "ImageNotFound"), None, Seen.REFUSED),
        (a_server("False", "Failed"), an_instance(), Seen.REFUSED),
    ],
)
def test_what_a_look_shows(server: dict[str, Any], instance: dict[str, Any] | None, expected: Seen) -> None:
    assert waiting.seen(server, instance, other_than="1") is expected


def test_only_what_is_certain_ends_a_wait_at_once() -> None:
    assert {what for what in Seen if waiting.tries_seconds(what) == 0} == {Seen.RUNNING}
    assert waiting.tries_seconds(Seen.UNDER_WAY) is None


@pytest.mark.parametrize(
    ("printable", "instance", "expected"),
    [
        ("Stopped", None, True),
        ("Stopped", an_instance(phase="Succeeded"), True),
        ("Stopped", an_instance(), False),
        ("Stopping", None, False),
        ("", None, False),
    ],
)
def test_a_stop_is_over_when_nothing_of_the_run_goes_on(
    printable: str, instance: dict[str, Any] | None, expected: bool
) -> None:
    assert waiting.has_stopped({"status": {"printableStatus": printable}}, instance) is expected
