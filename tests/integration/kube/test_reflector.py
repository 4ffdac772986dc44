"""The reflector against a real kube-apiserver, and a network that breaks; faults on demand are in test_faults.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from harness import control_plane as plane
from harness.waiting import until
from integration.kube.gate import through_a_gate
from integration.kube.world import CONFIG_MAPS, LONG_SECONDS, a_config_map
from virtualserver import controlplane
from virtualserver.kube.client import Client
from virtualserver.kube.reflector import Change, Reflector
from virtualserver.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from harness.control_plane import ControlPlane
    from virtualserver.kube.objects import Manifest


def with_deep_fields(manifest: dict[str, Any], levels: int) -> str:
    """Return an object as JSON whose ``managedFields`` have that many levels; no encoder of Python's writes it."""
    fields = '{"f:a":' * levels + "{}" + "}" * levels
    entry = '{"manager":"me","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":' + fields + "}"
    manifest["metadata"]["managedFields"] = []
    return json.dumps(manifest).replace('"managedFields": []', f'"managedFields": [{entry}]')


class Mirror:
    """A running reflector, its store, and what it reported."""

    def __init__(self, client: Client, namespace: str, label_selector: str = "") -> None:
        self.store = Store()
        self.changes: list[tuple[str, str]] = []
        self.latest: Manifest | None = None
        self.reflector = Reflector(
            client,
            CONFIG_MAPS,
            self.store,
            namespace=namespace,
            label_selector=label_selector,
            field_selector="metadata.name!=kube-root-ca.crt",
        )

    def note(self, change: Change) -> None:
        word = "made" if change.old is None else "deleted" if change.new is None else "changed"
        self.changes.append((word, change.key[1]))
        self.latest = change.new

    def names(self) -> list[str]:
        return sorted(manifest["metadata"]["name"] for manifest in self.store.all())


@contextlib.asynccontextmanager
async def running(mirror: Mirror) -> AsyncGenerator[Mirror]:
    task = asyncio.create_task(mirror.reflector.run(mirror.note))
    try:
        await asyncio.wait_for(mirror.reflector.synced.wait(), LONG_SECONDS)
        yield mirror
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_store_follows_what_is_made_changed_and_deleted(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, a_config_map(namespace, "before"), field_manager="test")
    async with running(Mirror(client, namespace)) as mirror:
        assert mirror.changes == [("made", "before")]
        made = await client.create(CONFIG_MAPS, a_config_map(namespace, "a"), field_manager="test")
        await until(lambda: mirror.store.get(namespace, "a") == made, "the new object is there")
        patch = {"data": {"key": "new"}}
        patched = await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="test")
        await until(lambda: mirror.store.get(namespace, "a") == patched, "the change is there")
        await client.delete(CONFIG_MAPS, "a", namespace=namespace)
        await until(lambda: mirror.names() == ["before"], "the object is gone")
        assert mirror.changes[1:] == [("made", "a"), ("changed", "a"), ("deleted", "a")]


async def test_what_is_said_of_many_objects_leaves_others_their_turns(client: Client, namespace: str) -> None:
    """A receiver that goes through thousands of a tenant's objects for each of thousands took a loop for 20 s."""
    for number in range(5):
        await client.create(CONFIG_MAPS, a_config_map(namespace, f"a{number}"), field_manager="test")
    turns: list[int] = []

    class Slow(Mirror):
        def note(self, change: Change) -> None:
            super().note(change)
            asyncio.get_running_loop().call_soon(turns.append, len(self.changes))

    async with running(Slow(client, namespace)):
        assert turns[:4] == [1, 2, 3, 4]


async def test_an_object_that_leaves_the_selection_is_reported_as_deleted(client: Client, namespace: str) -> None:
    labels = {"pick": "me"}
    await client.create(CONFIG_MAPS, a_config_map(namespace, "a", labels=labels), field_manager="test")
    async with running(Mirror(client, namespace, "pick=me")) as mirror:
        assert mirror.names() == ["a"]
        patch = {"metadata": {"labels": None}}
        await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="test")
        await until(lambda: mirror.names() == [], "it left")
        assert mirror.changes == [("made", "a"), ("deleted", "a")]


async def test_own_writes_are_seen_at_once_and_reported_once(client: Client, namespace: str) -> None:
    async with running(Mirror(client, namespace)) as mirror:
        written = await client.create(CONFIG_MAPS, a_config_map(namespace, "a"), field_manager="test")
        for number in range(1, 20):
            manifest = a_config_map(namespace, "a", data={"number": str(number)})
            written = await client.apply(CONFIG_MAPS, manifest, field_manager="test")
            mirror.store.remember(written)
            seen = mirror.store.get(namespace, "a")
            assert seen and seen["data"]["number"] == str(number)
        await until(lambda: mirror.latest == written, "the last write is reported")
        assert len(mirror.changes) <= 20
        await client.delete(CONFIG_MAPS, "a", namespace=namespace)
        await until(lambda: mirror.names() == [], "the deletion is seen")
        mirror.store.remember(written)
        assert mirror.names() == []


async def test_after_a_broken_connection_the_watch_goes_on_where_it_was(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    await client.create(CONFIG_MAPS, a_config_map(namespace, "gone"), field_manager="test")
    async with through_a_gate(control_plane.kubeconfig) as (far, gate), running(Mirror(far, namespace)) as mirror:
        gate.shut()
        await client.delete(CONFIG_MAPS, "gone", namespace=namespace)
        await client.create(CONFIG_MAPS, a_config_map(namespace, "new"), field_manager="test")
        gate.open()
        await until(lambda: mirror.names() == ["new"], "what happened meanwhile is seen")
        assert mirror.reflector.listings == 1, "without reading everything again"
        assert mirror.changes == [("made", "gone"), ("deleted", "gone"), ("made", "new")]


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[ControlPlane]:
    """A control plane whose API server the tests below may kill."""
    with plane.an_installation("kubetest") as instance:
        yield plane.start(instance)


def kill_the_api_server(own: ControlPlane) -> None:
    """Kill it; its supervisor starts it again."""
    components = {component.name: component for component in controlplane.status(own.installation).components}
    pid = components["kube-apiserver"].pid
    assert pid
    os.kill(pid, signal.SIGKILL)


async def answers(client: Client) -> None:
    """Wait until the API server serves again."""
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            with contextlib.suppress(Exception):
                await client.request("GET", "/readyz")
                return
            await asyncio.sleep(0.1)


async def test_deletions_that_the_server_forgot_about_are_seen_after_its_restart(
    own_control_plane: ControlPlane,
) -> None:
    async with Client.from_kubeconfig(own_control_plane.kubeconfig, user_agent="kube-test") as client:
        for name in ("a", "b", "c"):
            await client.create(CONFIG_MAPS, a_config_map("default", name), field_manager="test")
        far_away = through_a_gate(own_control_plane.kubeconfig)
        async with far_away as (far, gate), running(Mirror(far, "default")) as mirror:
            gate.shut()
            await client.delete(CONFIG_MAPS, "b", namespace="default")
            changed = {"data": {"key": "new"}}
            await client.patch(CONFIG_MAPS, "c", changed, namespace="default", field_manager="test")
            # A new process knows nothing of versions before its start: it answers 410 to the watch that wants to go on.
            kill_the_api_server(own_control_plane)
            await answers(client)
            mirror.changes.clear()
            gate.open()
            await until(lambda: mirror.names() == ["a", "c"], "the deletion is seen")
            assert mirror.reflector.listings == 2, "else this did not show what it should"
            assert mirror.changes == [("deleted", "b"), ("changed", "c")]


async def test_a_server_that_is_killed_is_followed_again_when_it_is_back(own_control_plane: ControlPlane) -> None:
    at_the_server = Client.from_kubeconfig(own_control_plane.kubeconfig, user_agent="kube-test")
    async with at_the_server as client, running(Mirror(client, "default")) as mirror:
        kill_the_api_server(own_control_plane)
        await answers(client)
        await client.create(CONFIG_MAPS, a_config_map("default", "after"), field_manager="test")
        await until(lambda: "after" in mirror.names(), "what is made after the restart is seen")
        await client.delete(CONFIG_MAPS, "after", namespace="default")
        await until(lambda: "after" not in mirror.names(), "and its deletion")


async def test_an_object_of_thousands_of_levels_keeps_nobody_from_seeing_the_others(
    client: Client, control_plane: ControlPlane, namespace: str
) -> None:
    """Fault 12's kind: a ConfigMap of 100 KB, made with `edit` in one namespace, ended operator and node for all."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def create(name: str) -> None:
        text = with_deep_fields(a_config_map(namespace, name), 9_000)
        control_plane.kubectl("create", "--raw", path, "-f", "-", stdin=text)

    create("listed")
    async with running(Mirror(client, namespace)) as mirror:
        create("watched")
        await client.create(CONFIG_MAPS, a_config_map(namespace, "other"), field_manager="test")
        await until(lambda: mirror.names() == ["listed", "other", "watched"])
        assert "managedFields" not in str(mirror.store.all())
