from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integration.kube.world import CLAIMS, CONFIG_MAPS, SERVICES, a_config_map, a_service
from virtualserver.kube.apply import Applier
from virtualserver.kube.errors import Conflict

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

HASH = "test.example.org/applied"


def an_applier(client: Client) -> Applier:
    return Applier(client, field_manager="test-controller", hash_annotation=HASH)


async def settled(applier: Applier, resource: Resource, manifest: Manifest, live: Manifest | None = None) -> Manifest:
    """Apply, and assert that a second pass with what came back writes nothing."""
    written = await applier.apply(resource, manifest, live=live)
    assert written is not None
    assert await applier.apply(resource, manifest, live=written) is None
    return written


async def test_an_object_is_created_once_and_not_written_again(client: Client, namespace: str) -> None:
    written = await settled(an_applier(client), SERVICES, a_service(namespace))
    now = await client.get(SERVICES, "a", namespace=namespace)
    assert now == written
    assert len(now["metadata"]["annotations"][HASH]) == 32
    assert await an_applier(client).apply(SERVICES, a_service(namespace), live=now) is None, "nor by a new process"


async def test_what_the_intent_no_longer_names_is_removed(client: Client, namespace: str) -> None:
    applier = an_applier(client)
    live = await settled(applier, SERVICES, a_service(namespace, ports=(22, 80)))
    live = await settled(applier, SERVICES, a_service(namespace, ports=(80,)), live)
    assert [port["port"] for port in live["spec"]["ports"]] == [80]
    live = await settled(applier, CONFIG_MAPS, a_config_map(namespace, data={"a": "1", "b": "2"}))
    live = await settled(applier, CONFIG_MAPS, a_config_map(namespace, data={"b": "2"}), live)
    assert live["data"] == {"b": "2"}


async def test_what_others_undid_is_put_right_and_what_they_added_stays(client: Client, namespace: str) -> None:
    applier = an_applier(client)
    await settled(applier, CONFIG_MAPS, a_config_map(namespace, data={"ours": "1"}))
    patch = {"data": {"theirs": "2"}}
    live = await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="somebody")
    assert await applier.apply(CONFIG_MAPS, a_config_map(namespace, data={"ours": "1"}), live=live) is None
    patch = {"data": {"ours": "changed"}}
    live = await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="somebody")
    live = await settled(applier, CONFIG_MAPS, a_config_map(namespace, data={"ours": "1"}), live)
    assert live["data"] == {"ours": "1", "theirs": "2"}


@pytest.mark.parametrize("resource", [CONFIG_MAPS, SERVICES])
async def test_an_object_that_somebody_else_made_is_never_adopted(
    client: Client, namespace: str, resource: Resource
) -> None:
    build = a_config_map if resource is CONFIG_MAPS else a_service
    theirs = await client.create(resource, build(namespace), field_manager="somebody")
    with pytest.raises(Conflict):
        await an_applier(client).apply(resource, build(namespace), live=None)
    assert await client.get(resource, "a", namespace=namespace) == theirs


async def test_an_object_that_was_made_anew_by_somebody_else_is_not_touched(client: Client, namespace: str) -> None:
    applier = an_applier(client)
    ours = await settled(applier, CONFIG_MAPS, a_config_map(namespace))
    await client.delete(CONFIG_MAPS, "a", namespace=namespace)
    with pytest.raises(Conflict):
        await applier.apply(CONFIG_MAPS, a_config_map(namespace, data={"new": "1"}), live=ours)
    theirs = await client.create(CONFIG_MAPS, a_config_map(namespace, data={"their": "1"}), field_manager="somebody")
    with pytest.raises(Conflict):
        await applier.apply(CONFIG_MAPS, a_config_map(namespace, data={"new": "1"}), live=ours)
    assert await client.get(CONFIG_MAPS, "a", namespace=namespace) == theirs


async def test_a_locked_field_is_only_written_if_nothing_changed_since_it_was_read(
    client: Client, namespace: str
) -> None:
    applier = an_applier(client)
    manifest = a_config_map(namespace, data={"ours": "1"})
    live = await applier.apply(CONFIG_MAPS, manifest, live=None, locked={"data": {"shared": "on"}})
    assert live is not None and live["data"] == {"ours": "1", "shared": "on"}
    assert await applier.apply(CONFIG_MAPS, manifest, live=live, locked={"data": {"shared": "on"}}) is None

    patch = {"data": {"shared": "theirs"}}
    newer = await client.patch(CONFIG_MAPS, "a", patch, namespace=namespace, field_manager="somebody")
    with pytest.raises(Conflict):
        await applier.apply(CONFIG_MAPS, manifest, live=live, locked={"data": {"shared": "off"}})
    assert await applier.apply(CONFIG_MAPS, manifest, live=newer, locked={"data": {"shared": "theirs"}}) is None
    written = await applier.apply(CONFIG_MAPS, manifest, live=newer, locked={"data": {"shared": "off"}})
    assert written is not None and written["data"] == {"ours": "1", "shared": "off"}
    assert written["metadata"]["annotations"] == live["metadata"]["annotations"], "it does not count in the hash"


def a_claim(namespace: str, size: str, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": "a", "annotations": annotations},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


async def test_what_the_server_says_in_other_words_is_written_once(client: Client, namespace: str) -> None:
    applier = an_applier(client)
    live = await settled(applier, CLAIMS, a_claim(namespace, "1024Mi"))
    assert live["spec"]["resources"]["requests"]["storage"] == "1Gi", "else this shows nothing"
    patch = {"metadata": {"labels": {"somebody": "else"}}}
    live = await client.patch(CLAIMS, "a", patch, namespace=namespace, field_manager="somebody")
    assert await applier.apply(CLAIMS, a_claim(namespace, "1024Mi"), live=live) is None, "whatever else changes"
    live = await settled(applier, CLAIMS, a_claim(namespace, "1024Mi", more="words"), live)
    patch = {"metadata": {"annotations": {"more": None}}}
    live = await client.patch(CLAIMS, "a", patch, namespace=namespace, field_manager="somebody")
    await settled(applier, CLAIMS, a_claim(namespace, "1024Mi", more="words"), live)


async def test_a_new_process_learns_the_servers_words_by_one_write(client: Client, namespace: str) -> None:
    live = await settled(an_applier(client), CLAIMS, a_claim(namespace, "1024Mi"))
    again = await settled(an_applier(client), CLAIMS, a_claim(namespace, "1024Mi"), live)
    assert again["spec"] == live["spec"]


async def test_a_status_becomes_exactly_what_is_given_and_is_written_only_if_it_differs(
    client: Client, namespace: str
) -> None:
    applier = an_applier(client)
    live = await client.create(SERVICES, a_service(namespace, type="LoadBalancer"), field_manager="test")
    condition = {
        "type": "example.org/Assigned",
        "status": "True",
        "reason": "Given",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    ingress = {"ingress": [{"ip": "203.0.113.10"}, {"ip": "203.0.113.11"}]}
    status: dict[str, Any] = {"loadBalancer": ingress, "conditions": [condition]}
    for wanted in (status, {"loadBalancer": {"ingress": [{"ip": "203.0.113.11"}]}}, {}):
        written = await applier.apply_status(SERVICES, live, wanted)
        assert written is not None
        addresses = [one["ip"] for one in written["status"]["loadBalancer"].get("ingress", [])]
        assert addresses == [one["ip"] for one in wanted.get("loadBalancer", {}).get("ingress", [])]
        assert ("conditions" in written["status"]) == ("conditions" in wanted)
        assert written["spec"] == live["spec"]
        assert await applier.apply_status(SERVICES, written, wanted) is None
        live = written


async def test_the_status_of_another_object_of_the_name_is_not_touched(client: Client, namespace: str) -> None:
    ours = await client.create(SERVICES, a_service(namespace, type="LoadBalancer"), field_manager="test")
    await client.delete(SERVICES, "a", namespace=namespace)
    theirs = await client.create(SERVICES, a_service(namespace, type="LoadBalancer"), field_manager="test")
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
    with pytest.raises(Conflict):
        await an_applier(client).apply_status(SERVICES, ours, status)
    assert await client.get(SERVICES, "a", namespace=namespace) == theirs
