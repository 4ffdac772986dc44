"""Whose Events are written where there are more than can be; that they are is shown by the integration tests."""

from __future__ import annotations

import asyncio
import time
import types
from typing import TYPE_CHECKING, Any, cast

from virtualserver.kube import events
from virtualserver.kube.events import Event, Recorder

if TYPE_CHECKING:
    import pytest

    from virtualserver.kube.client import Client


class Server:
    """A server that takes every Event."""

    def __init__(self) -> None:
        self.created: list[str] = []

    async def create(self, _: object, event: dict[str, Any], **_options: object) -> None:
        """Keep whose it is."""
        self.created.append(event["metadata"]["namespace"])
        await asyncio.sleep(0)


def an_object(namespace: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "web", "uid": namespace}}


async def test_attack_who_has_events_without_end_holds_up_and_drops_nobody_elses() -> None:
    server = Server()
    recorder = Recorder(cast("Client", server), component="test")
    for number in range(1_500):
        recorder.emit(an_object("crowd"), Event("Warning", "Fault", f"number {number}"))
    recorder.emit(an_object("other"), Event("Warning", "Fault", "one"))
    assert recorder.waiting == 1_001
    task = asyncio.create_task(recorder.run())
    while recorder.waiting:
        await asyncio.sleep(0)
    task.cancel()
    assert server.created[:2] == ["crowd", "other"]


async def test_attack_a_fault_that_is_another_one_each_time_fills_no_database(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten changes a second were ten Events a second of 1.5 KB, each kept for an hour, in a database of 512 MB."""
    server, now = Server(), 0.0
    # The module's own: the event loop has the other one.
    monkeypatch.setattr(events, "time", types.SimpleNamespace(time=time.time, monotonic=lambda: now))
    recorder = Recorder(cast("Client", server), component="test")
    task = asyncio.create_task(recorder.run())
    for second in range(600):
        now = float(second)
        for number in range(10):
            recorder.emit(an_object("crowd"), Event("Warning", "Fault", f"number {second}.{number}"))
        while recorder.waiting:
            await asyncio.sleep(0)
    assert len(server.created) == 3_000 + 599
    recorder.emit(an_object("other"), Event("Warning", "Fault", "one"))
    while recorder.waiting:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    task.cancel()
    assert server.created[-1] == "other"
    assert "or than a namespace may have" in caplog.text
