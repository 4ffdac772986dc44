"""All parts together: a controller that makes a Service for each ConfigMap, and what it writes by the audit log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from typing import TYPE_CHECKING

from harness.waiting import until
from integration.kube.world import CONFIG_MAPS, SERVICES, a_config_map, a_service
from virtualserver.kube.apply import Applier
from virtualserver.kube.client import Client
from virtualserver.kube.controller import Controller
from virtualserver.kube.objects import Key, key_of
from virtualserver.kube.queue import Queue
from virtualserver.kube.reflector import Change, Reflector
from virtualserver.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from harness.control_plane import ControlPlane

LABEL = "kube-test"


class Program:
    """A whole, small operator."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.applier = Applier(client, field_manager="test-controller", hash_annotation="test.example.org/applied")
        self.parents, self.children = Store(), Store()
        self.passes = 0
        self.queue: Queue[Key] = Queue()
        self.controller: Controller[Key] = Controller(name="test", reconcile=self.reconcile, queue=self.queue)
        self.reflectors = [
            Reflector(
                client,
                CONFIG_MAPS,
                self.parents,
                namespace=namespace,
                label_selector=f"{LABEL}=parent",
            ),
            Reflector(
                client,
                SERVICES,
                self.children,
                namespace=namespace,
            ),
        ]

    def receive(self, change: Change) -> None:
        self.queue.add(change.key)

    async def reconcile(self, key: Key) -> None:
        self.passes += 1
        parent = self.parents.get(*key)
        if parent is None:
            return
        manifest = a_service(key[0], key[1], ports=tuple(int(port) for port in parent["data"].values()))
        uid = parent["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": key[1], "uid": uid, "controller": True}
        manifest["metadata"]["ownerReferences"] = [owner]
        written = await self.applier.apply(SERVICES, manifest, live=self.children.get(*key))
        if written:
            self.children.remember(written)
        assert [key_of(child) for child in self.children.by_index("owner", uid)] == [key]


@contextlib.asynccontextmanager
async def running(control_plane: ControlPlane, namespace: str, agent: str) -> AsyncGenerator[Program]:
    async with Client.from_kubeconfig(control_plane.kubeconfig, user_agent=agent) as client:
        program = Program(client, namespace)
        tasks = [asyncio.create_task(reflector.run(program.receive)) for reflector in program.reflectors]
        try:
            for reflector in program.reflectors:
                await asyncio.wait_for(reflector.synced.wait(), 60)
            tasks.append(asyncio.create_task(program.controller.run()))
            yield program
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def writes_of(control_plane: ControlPlane, agent: str) -> list[str]:
    """Return the writes that the API server's audit log has of one program: verb and name."""
    log = control_plane.state / "logs" / "audit" / "audit.log"
    entries = [json.loads(line) for line in log.read_text().splitlines() if agent in line]
    writes = [entry for entry in entries if entry["verb"] not in ("get", "list", "watch")]
    return [f"{e['verb']} {e['objectRef']['name']}" for e in writes if e["stage"] == "ResponseComplete"]


async def test_each_child_is_written_once_and_a_second_process_writes_nothing(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    names = [f"p{number}" for number in range(20)]
    labels = {LABEL: "parent"}
    for name in names:
        parent = a_config_map(namespace, name, data={"a": "22", "b": "80"}, labels=labels)
        await client.create(CONFIG_MAPS, parent, field_manager="test")
    first, second = (f"kube-test-{secrets.token_hex(4)}" for _ in range(2))
    async with running(control_plane, namespace, first) as program:
        await until(lambda: len(program.children) == 20 and program.passes >= 40, "all children are made and seen")
    assert sorted(writes_of(control_plane, first)) == sorted(f"patch {name}" for name in names)
    async with running(control_plane, namespace, second) as program:
        await until(lambda: program.passes >= 20, "all are looked at")
        for name in names:
            program.queue.add((namespace, name), background=True)
        await until(lambda: program.passes >= 40, "twice")
    assert writes_of(control_plane, second) == []


async def test_a_child_that_is_deleted_is_made_again_and_an_owners_deletion_takes_it(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    labels = {LABEL: "parent"}
    parent = a_config_map(namespace, "p", data={"a": "22"}, labels=labels)
    await client.create(CONFIG_MAPS, parent, field_manager="test")
    async with running(control_plane, namespace, "kube-test") as program:
        await until(lambda: program.children.get(namespace, "p"), "the child is made")
        first = program.children.get(namespace, "p")
        assert first
        await client.delete(SERVICES, "p", namespace=namespace, uid=first["metadata"]["uid"])

        def is_another() -> bool:
            child = program.children.get(namespace, "p")
            return child is not None and child["metadata"]["uid"] != first["metadata"]["uid"]

        await until(is_another, "it is made again")
        await client.delete(CONFIG_MAPS, "p", namespace=namespace)
        await until(lambda: len(program.children) == 0, "the garbage collector took it")
