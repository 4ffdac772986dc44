from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.virtualservers import a_manifest
from integration.kube.gate import through_a_gate
from integration.kube.world import CONFIG_MAPS, SERVICES, a_config_map, a_service
from virtualserver.kube.client import Client
from virtualserver.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from virtualserver.kube.kubeconfig import Credentials
from virtualserver.kube.objects import Resource, key_of
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from harness.control_plane import ControlPlane


async def test_an_object_is_created_read_changed_and_deleted(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, a_config_map(namespace, data={"a": "1", "b": "2"}), field_manager="test")
    assert await client.get(CONFIG_MAPS, "a", namespace=namespace) == made
    patch = {"data": {"a": None, "c": "3"}}
    patched = await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="test")
    assert patched["data"] == {"b": "2", "c": "3"}
    await client.delete(CONFIG_MAPS, "a", namespace=namespace)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "a", namespace=namespace)
    await client.delete(CONFIG_MAPS, "a", namespace=namespace)


async def test_an_object_that_the_server_has_many_warnings_of_is_made_and_returned(
    client: Client, namespace: str
) -> None:
    """The server warns in headers; a client that bounds their number takes a success for no answer."""
    manifest = a_manifest(namespace=namespace, **{f"k{number}": "" for number in range(200)})
    assert (await client.create(VIRTUAL_SERVER, manifest, field_manager="test"))["metadata"]["uid"]


def _open_sockets() -> set[str]:
    found: set[str] = set()
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(one.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def test_a_client_that_is_closed_while_it_connects_leaves_no_connection(control_plane: ControlPlane) -> None:
    for step in range(60):
        before = _open_sockets()
        async with Client.from_kubeconfig(control_plane.kubeconfig, user_agent="t") as client:
            tasks = [asyncio.create_task(client.request("GET", "/readyz")) for _ in range(5)]
            await asyncio.sleep(step * 0.0003)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert _open_sockets() == before


async def test_of_a_secret_that_is_only_followed_the_content_is_never_sent(client: Client, namespace: str) -> None:
    secrets = Resource("", "v1", "secrets", "Secret")
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    await client.create(secrets, {**manifest, "stringData": {"a": "geheim"}}, field_manager="test")
    metadata = Resource("", "v1", "secrets", "PartialObjectMetadata")
    listing = await client.snapshot(metadata, namespace=namespace)
    found = next(one for one in listing.items if one["metadata"]["name"] == "s")
    assert key_of(found) == (namespace, "s") and "data" not in found
    events = client.watch(
        metadata, resource_version=listing.resource_version, namespace=namespace, timeout_seconds=20, read_seconds=20
    )
    await client.patch(secrets, "s", {"stringData": {"a": "b"}}, namespace=namespace, field_manager="test")
    async with contextlib.aclosing(events):
        event = await anext(events)
    assert event.type == "MODIFIED" and key_of(event.object) == (namespace, "s") and "data" not in event.object


async def test_listed_objects_say_what_they_are_and_come_without_managed_fields(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    await client.create(CONFIG_MAPS, a_config_map(namespace, labels={"pick": "me"}), field_manager="test")
    await client.create(CONFIG_MAPS, a_config_map(namespace, "b"), field_manager="test")
    (found,) = await client.list(CONFIG_MAPS, namespace=namespace, label_selector="pick=me")
    assert (found["apiVersion"], found["kind"], found["metadata"]["name"]) == ("v1", "ConfigMap", "a")
    assert "managedFields" not in found["metadata"]
    by_field = await client.list(CONFIG_MAPS, namespace=namespace, field_selector="metadata.name=b")
    assert [key_of(manifest) for manifest in by_field] == [(namespace, "b")]
    async with Client.from_kubeconfig(control_plane.kubeconfig, user_agent="t", managed_fields=True) as asked:
        (whole,) = await asked.list(CONFIG_MAPS, namespace=namespace, label_selector="pick=me")
        assert whole["metadata"]["managedFields"][0]["manager"] == "test"


async def test_a_listing_of_many_pages_is_whole(client: Client, namespace: str) -> None:
    names = [f"m{number}" for number in range(7)]
    await asyncio.gather(
        *(client.create(CONFIG_MAPS, a_config_map(namespace, name), field_manager="t") for name in names)
    )
    listing = await client.snapshot(CONFIG_MAPS, namespace=namespace, page=3)
    found = [manifest["metadata"]["name"] for manifest in listing.items]
    assert sorted(name for name in found if name != "kube-root-ca.crt") == names
    assert int(listing.resource_version) >= max(int(m["metadata"]["resourceVersion"]) for m in listing.items)


async def test_an_invalid_object_is_refused_with_all_its_faults(client: Client, namespace: str) -> None:
    service = a_service(namespace, ports=(70000, 80000))
    with pytest.raises(Invalid) as raised:
        await client.create(SERVICES, service, field_manager="test")
    fields = {field for field, _ in raised.value.causes}
    assert {"spec.ports[0].port", "spec.ports[1].port"} <= fields
    assert "must be between 1 and 65535" in raised.value.causes[0][1]


async def test_a_name_that_is_taken_or_a_kind_that_is_unknown_is_said(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    with pytest.raises(NotFound):
        await client.list(Resource("example.org", "v1", "unknowns", "Unknown"))
    with pytest.raises(ApiError, match="400"):
        await client.create(CONFIG_MAPS, {**a_config_map(namespace, "b"), "data": [1]}, field_manager="test")


async def test_a_stale_version_and_another_objects_uid_are_conflicts(client: Client, namespace: str) -> None:
    first = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    await client.patch(CONFIG_MAPS, "a", {"data": {"x": "y"}}, namespace=namespace, field_manager="other")
    stale = first["metadata"]["resourceVersion"]
    other = "00000000-0000-0000-0000-000000000000"
    guards: list[dict[str, Any]] = [{"resourceVersion": stale}, {"uid": other}]
    for guard in guards:
        with pytest.raises(Conflict):
            await client.apply(CONFIG_MAPS, a_config_map(namespace, **guard), field_manager="test")
        patch = {"metadata": guard, "data": {"z": "z"}}
        with pytest.raises(Conflict):
            await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="test")
    with pytest.raises(Conflict):
        await client.apply(CONFIG_MAPS, a_config_map(namespace, "gone", uid=other), field_manager="test")
    now = await client.get(CONFIG_MAPS, "a", namespace=namespace)
    assert now["data"] == {"key": "value", "x": "y"}


async def test_deleting_by_uid_leaves_another_object_of_the_name_alone(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, a_config_map(namespace), field_manager="test")
    await client.delete(CONFIG_MAPS, "a", namespace=namespace, uid="00000000-0000-0000-0000-000000000000")
    assert await client.get(CONFIG_MAPS, "a", namespace=namespace) == made
    await client.delete(CONFIG_MAPS, "a", namespace=namespace, uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "a", namespace=namespace)


async def test_a_token_says_who_we_are_and_what_it_may_not_do_is_forbidden(
    client: Client, namespace: str, control_plane: ControlPlane, tmp_path: Path
) -> None:
    control_plane.kubectl("create", "serviceaccount", "weak", "-n", namespace)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/weak/token"
    request: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await client.request("POST", path, body=request))["status"]["token"]
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    (tmp_path / "token").write_text(token)
    config["users"][0]["user"] = {"tokenFile": "token"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    async with Client.from_kubeconfig(tmp_path / "kubeconfig", user_agent="test") as weak:
        with pytest.raises(Forbidden, match=f"system:serviceaccount:{namespace}:weak"):
            await weak.list(CONFIG_MAPS, namespace=namespace)


async def test_a_request_that_is_given_up_takes_its_connection_with_it(control_plane: ControlPlane) -> None:
    async with through_a_gate(control_plane.kubeconfig) as (far, gate):
        await far.request("GET", "/readyz")
        gate.hold_answers()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(far.request("GET", "/readyz"), 0.2)
        assert gate.connections == 1
        async with asyncio.timeout(10):
            while not gate.left:
                await asyncio.sleep(0.05)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with Client(Credentials("http://127.0.0.1:1"), user_agent="test") as nobody:
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 does not answer"):
            await nobody.get(CONFIG_MAPS, "a", namespace="default")


async def test_a_client_that_is_not_entered_says_so(control_plane: ControlPlane) -> None:
    outside = Client.from_kubeconfig(control_plane.kubeconfig, user_agent="test")
    with pytest.raises(RuntimeError, match="async with"):
        await outside.list(CONFIG_MAPS)
    assert outside.namespace == "default"
