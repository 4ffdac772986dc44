from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from harness.waiting import until
from integration.kube.gate import through_a_gate
from integration.kube.world import CONFIG_MAPS, a_config_map
from virtualserver.kube.events import EVENTS, Event, Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from harness.control_plane import ControlPlane
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest


@contextlib.asynccontextmanager
async def running(client: Client) -> AsyncGenerator[Recorder]:
    recorder = Recorder(client, component="test-controller")
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def events_of(client: Client, namespace: str, *, count: int, times: int = 1) -> list[Manifest]:
    """Wait for so many Events in a namespace, the last of them counted so often."""
    found: list[Manifest] = []

    def is_there() -> bool:
        return len(found) >= count and found[-1].get("count", 0) >= times

    async with asyncio.timeout(60):
        while not is_there():
            await asyncio.sleep(0.05)
            found = sorted(await client.list(EVENTS, namespace=namespace), key=lambda event: event["reason"])
    return found


async def test_an_event_is_shown_by_kubectl_with_its_object(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    about = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    async with running(client) as recorder:
        recorder.emit(about, Event("Warning", "PoolExhausted", "no address is free in pool public"))
        await events_of(client, namespace, count=1)
    table = control_plane.kubectl("get", "events", "-n", namespace, "--no-headers")
    age, *words = table.split()
    assert age.endswith("s")
    assert " ".join(words) == "Warning PoolExhausted configmap/a no address is free in pool public"
    described = control_plane.kubectl("describe", "configmap", "a", "-n", namespace)
    assert "PoolExhausted" in described and "test-controller" in described


async def test_repeats_are_counted_in_one_event(client: Client, namespace: str, control_plane: ControlPlane) -> None:
    about = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    async with running(client) as recorder:
        recorder.emit(about, Event("Normal", "Waiting", "waits"))
        await events_of(client, namespace, count=1)
        for _ in range(3):
            recorder.emit(about, Event("Normal", "Waiting", "waits"))
        (event,) = await events_of(client, namespace, count=1, times=4)
        assert event["count"] == 4
        recorder.emit(about, Event("Normal", "Waiting", "waits for something else"))
        assert len(await events_of(client, namespace, count=2)) == 2
    assert "(x4 over" in control_plane.kubectl("describe", "configmap", "a", "-n", namespace)


async def test_an_event_that_the_server_forgot_is_written_anew(client: Client, namespace: str) -> None:
    about = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    async with running(client) as recorder:
        recorder.emit(about, Event("Normal", "Again", "once more"))
        (event,) = await events_of(client, namespace, count=1)
        await client.delete(EVENTS, event["metadata"]["name"], namespace=namespace)
        recorder.emit(about, Event("Normal", "Again", "once more"))
        (event,) = await events_of(client, namespace, count=1)
        assert event["count"] == 1


async def test_events_wait_for_a_server_that_is_away(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    about = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    async with through_a_gate(control_plane.kubeconfig) as (far, gate), running(far) as recorder:
        gate.shut()
        recorder.emit(about, Event("Normal", "Late", "but there"))
        await asyncio.sleep(0.1)
        gate.open()
        assert len(await events_of(client, namespace, count=1)) == 1


async def test_what_cannot_be_written_is_dropped_and_nobody_is_held_up(
    client: Client, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    about = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    nowhere: dict[str, Any] = {**about, "metadata": {**about["metadata"], "namespace": "no-such-namespace"}}
    async with running(client) as recorder:
        recorder.emit({}, Event("Normal", "Odd", "about nothing"))
        recorder.emit(nowhere, Event("Normal", "Nowhere", "x" * 5000))
        recorder.emit(about, Event("Normal", "There", "x" * 5000))
        (event,) = await events_of(client, namespace, count=1)
        assert len(event["message"]) == 1024
        await until(lambda: "1 events were dropped" in caplog.text, "the loss is told")


async def test_a_flood_is_cut_rather_than_kept_in_memory(client: Client, namespace: str) -> None:
    about = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    recorder = Recorder(client, component="test-controller")
    for number in range(1_500):
        recorder.emit(about, Event("Normal", "Flood", str(number)))
    assert recorder.waiting == 1_000
