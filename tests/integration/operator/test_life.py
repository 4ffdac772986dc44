"""Start, stop, restart, changes of the run strategy, names that are taken, Secrets that come later, deletion."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.virtualservers import a_manifest
from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.errors import Forbidden
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from pathlib import Path

    from harness.operator_cluster import Cluster
    from virtualserver.kube.objects import Resource

pytestmark = pytest.mark.usefixtures("operator")

PRIVATE = {"public": False}


async def strategy(cluster: Cluster, wanted: str) -> None:
    """Wait until the machine has a run strategy."""

    async def has_it() -> bool:
        return (await cluster.object(kinds.VIRTUAL_MACHINE, "web"))["spec"]["runStrategy"] == wanted

    await cluster.until(has_it)


async def test_without_initialize_running_a_server_ends_stopped_and_takes_commands(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE)
    machine = await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    assert machine["spec"]["runStrategy"] == "Halted"
    await cluster.machine_is_stopped()
    await cluster.reason("VirtualServerStopped")
    assert (await cluster.condition(type_="VirtualMachineReady"))["status"] == "True"
    assert (await cluster.condition(type_="VirtualServerStarted"))["status"] == "False"
    # Fault 51: asked for later, it had no effect and no word.
    await cluster.change(VIRTUAL_SERVER, "web", spec={"initializeRunning": True})
    await strategy(cluster, "RerunOnFailure")
    await cluster.change(kinds.VIRTUAL_MACHINE, "web", spec={"runStrategy": "Halted"})
    await cluster.settled()
    await strategy(cluster, "Halted")


async def test_a_stop_by_the_user_stands(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE, initializeRunning=True, runStrategy="Always")
    await cluster.machine_runs()
    await cluster.reason("VirtualServerReady")
    await cluster.change(kinds.VIRTUAL_MACHINE, "web", spec={"runStrategy": "Halted"})
    await cluster.machine_is_stopped()
    # Something else of the server changes: it is reconciled, and the machine written, but not started.
    await cluster.change(VIRTUAL_SERVER, "web", spec={"resources": {"memory": "1Gi"}})

    async def written() -> bool:
        machine = await cluster.object(kinds.VIRTUAL_MACHINE, "web")
        return machine["spec"]["template"]["spec"]["domain"]["memory"]["guest"] == "1Gi"

    await cluster.until(written)
    await cluster.settled()
    assert (await cluster.object(kinds.VIRTUAL_MACHINE, "web"))["spec"]["runStrategy"] == "Halted"


async def test_a_start_by_the_user_stands_and_gets_the_manifests_strategy(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE)
    await cluster.machine_is_stopped()
    await cluster.change(kinds.VIRTUAL_MACHINE, "web", spec={"runStrategy": "Always"})
    await cluster.settled()
    assert (await cluster.object(kinds.VIRTUAL_MACHINE, "web"))["spec"]["runStrategy"] == "Always", "not started yet"
    await cluster.machine_runs()
    await strategy(cluster, "RerunOnFailure")
    await cluster.reason("VirtualServerReady")


async def test_manual_with_initialize_running_gets_one_start(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE, initializeRunning=True, runStrategy="Manual")
    await strategy(cluster, "Always")
    await cluster.machine_runs()
    await strategy(cluster, "Manual")


async def test_a_changed_run_strategy_is_written_once(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE)
    await strategy(cluster, "Halted")
    await cluster.change(VIRTUAL_SERVER, "web", spec={"runStrategy": "Manual"})
    await strategy(cluster, "Manual")
    await cluster.change(kinds.VIRTUAL_MACHINE, "web", spec={"runStrategy": "Halted"})
    await cluster.settled()
    await strategy(cluster, "Halted")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (kinds.VIRTUAL_MACHINE, "VirtualMachineNameTaken"),
        (kinds.SERVICE, "ServiceNameTaken"),
        (kinds.SECRET, "SecretNameTaken"),
        (kinds.DATA_VOLUME, "DataVolumeNameTaken"),
    ],
)
async def test_an_object_of_a_needed_name_is_not_touched_until_it_is_gone(
    cluster: Cluster, kind: Any, reason: str
) -> None:
    name = "web-cloud-init" if kind is kinds.SECRET else "web"
    specs: dict[str, Any] = {
        "VirtualMachine": {"spec": {"runStrategy": "Halted", "template": {}}},
        "Service": {"spec": {"ports": [{"port": 80}]}},
        "DataVolume": {"spec": {"source": {"blank": {}}}},
        "Secret": {"stringData": {"userdata": "theirs"}},
    }
    metadata = {"name": name, "namespace": cluster.namespace}
    manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **specs[kind.kind]}
    theirs = await cluster.client.create(kind, manifest, field_manager="somebody")
    await cluster.create(network=PRIVATE, initializeRunning=True)
    told = await cluster.reason(reason)
    assert f"{kind.kind} {name}" in told["message"]
    await cluster.settled()
    now = await cluster.object(kind, name)
    assert now["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"], "it was touched"
    if kind is not kinds.VIRTUAL_MACHINE:
        assert await cluster.get(kinds.VIRTUAL_MACHINE, "web") is None, "no machine may run without what it needs"
    await cluster.client.delete(kind, name, namespace=cluster.namespace)

    async def ours() -> bool:
        found = await cluster.get(kind, name)
        return found is not None and names.UID in found["metadata"].get("labels", {})

    await cluster.until(ours)
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")


async def test_a_server_waits_for_its_secrets_and_goes_on_when_they_come(cluster: Cluster) -> None:
    users = [{"username": "bob", "passwordSecretRef": {"name": "bob"}}]
    await cluster.create(network=PRIVATE, users=users, initializeRunning=True)
    told = await cluster.reason("WaitingForSecret")
    assert "spec.users[0].passwordSecretRef" in told["message"] and "bob" in told["message"]
    assert await cluster.get(kinds.VIRTUAL_MACHINE, "web") is None
    await cluster.secret("bob", password="geheim")
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    server = await cluster.client.get(VIRTUAL_SERVER, "web", namespace=cluster.namespace)
    assert "geheim" not in str(server) + str(await cluster.events()) + str(await cluster.children())


async def test_fault_23_a_secret_that_changes_before_the_start_is_followed_at_once(cluster: Cluster) -> None:
    await cluster.secret("setup", userdata="hostname: before")
    await cluster.create(network=PRIVATE, cloudInitSecretRef={"name": "setup"})
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    await cluster.settled()
    changed = {"stringData": {"userdata": "hostname: after"}}
    began = time.monotonic()
    await cluster.client.patch(kinds.SECRET, "setup", changed, namespace=cluster.namespace, field_manager="user")

    async def told() -> bool:
        secret = await cluster.object(kinds.SECRET, "web-cloud-init")
        return b"hostname: after" in base64.b64decode(secret["data"]["userdata"])

    await cluster.until(told)
    assert time.monotonic() - began < 5
    await cluster.client.delete(kinds.SECRET, "setup", namespace=cluster.namespace)
    await cluster.reason("WaitingForSecret")
    assert time.monotonic() - began < 10


async def test_a_second_server_with_the_same_mac_address_is_refused_until_the_first_is_gone(cluster: Cluster) -> None:
    network = {"public": False, "macAddress": "a2:1f:ee:09:06:5d"}
    await cluster.create("first", network=network)
    await cluster.object(kinds.VIRTUAL_MACHINE, "first")
    await cluster.create("second", network={"public": False, "macAddress": "A2-1F-EE-09-06-5D"})
    told = await cluster.reason("MACAddressTaken", "second")
    assert "VirtualServer first" in told["message"]
    assert await cluster.get(kinds.VIRTUAL_MACHINE, "second") is None
    await cluster.client.delete(VIRTUAL_SERVER, "first", namespace=cluster.namespace)
    await cluster.object(kinds.VIRTUAL_MACHINE, "second")


async def test_a_missing_image_is_named_with_its_remedy_and_its_arrival_is_seen(cluster: Cluster) -> None:
    name = f"old-{cluster.namespace}"
    root = {"size": "4Gi", "storageClassName": "local", "source": {"pvc": {"namespace": "vd-images", "name": name}}}
    await cluster.create(network=PRIVATE, storage={"root": root})
    told = await cluster.reason("ImageNotFound")
    assert f"vs image alias vd-images/{name} " in told["message"]
    await cluster.image(name)
    try:
        await cluster.machine_is_stopped()
        await cluster.reason("VirtualServerStopped")
    finally:
        await cluster.client.delete(kinds.PERSISTENT_VOLUME_CLAIM, name, namespace=names.IMAGE_NAMESPACE)


async def test_what_is_not_supported_yet_makes_nothing(cluster: Cluster) -> None:
    resources = {"cpu": {"count": 1}, "memory": "512Mi", "gpu": {"type": "A40", "count": 1}}
    await cluster.create(network=PRIVATE, resources=resources, initializeRunning=True)
    told = await cluster.reason("NotSupportedYet")
    assert "spec.resources.gpu" in told["message"]
    await cluster.settled()
    assert await cluster.children() == {}
    await cluster.change(VIRTUAL_SERVER, "web", spec={"resources": {"gpu": None}})
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")


async def test_an_exhausted_pool_is_told_in_the_nodes_words(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}}, initializeRunning=True)
    await cluster.machine_runs()
    told = {
        "type": names.ADDRESS_ASSIGNED,
        "status": "False",
        "reason": "PoolExhausted",
        "message": "pool public is full",
    }
    await cluster.node_writes(
        kinds.SERVICE, "web-tcp", conditions=[{**told, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    )
    assert "pool public is full" in (await cluster.reason("PoolExhausted"))["message"]
    await cluster.address("web-tcp", "203.0.113.9")
    await cluster.reason("VirtualServerReady")


async def test_deleting_a_server_leaves_nothing(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}, "udp": {"ports": [53]}})
    await cluster.create("other", network=PRIVATE)
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    await cluster.object(kinds.VIRTUAL_MACHINE, "other")
    await cluster.client.delete(VIRTUAL_SERVER, "web", namespace=cluster.namespace)
    await cluster.gone(VIRTUAL_SERVER, "web")
    others = {"VirtualMachine other", "DataVolume other", "Service other", "Secret other-cloud-init"}

    async def only_others() -> bool:
        return set(await cluster.children()) == others

    await cluster.until(only_others)


async def test_fault_47_a_kept_disk_is_the_next_servers_and_kept_until_its_mark_is_taken_off(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE)
    assert (await cluster.object(kinds.DATA_VOLUME, "web"))["metadata"]["ownerReferences"]
    await cluster.change(VIRTUAL_SERVER, "web", metadata={"annotations": {names.KEEP_DISK: "true"}})

    async def disk() -> dict[str, Any]:
        return dict((await cluster.object(kinds.DATA_VOLUME, "web"))["metadata"])

    async def is_marked() -> bool:
        return names.KEPT_FOR in (await disk()).get("annotations", {})

    await cluster.until(is_marked)
    first = await disk()
    for size in ("4Gi", "8Gi"):
        await cluster.client.delete(VIRTUAL_SERVER, "web", namespace=cluster.namespace)
        await cluster.gone(kinds.VIRTUAL_MACHINE, "web")
        root = {**a_manifest()["spec"]["storage"]["root"], "size": size}
        uid = (await cluster.create(network=PRIVATE, storage={"root": root}))["metadata"]["uid"]

        async def is_taken_up(uid: str = uid) -> bool:
            return (await disk())["labels"][names.UID] == uid

        await cluster.until(is_taken_up)
        await cluster.object(kinds.VIRTUAL_MACHINE, "web")
        now = await disk()
        assert now["uid"] == first["uid"] and now["annotations"][names.KEPT_FOR] == first["annotations"][names.KEPT_FOR]
        assert not now.get("ownerReferences"), "the mark keeps it for the server after this one too"
    volume = await cluster.object(kinds.DATA_VOLUME, "web")
    assert volume["spec"]["storage"]["resources"]["requests"]["storage"] == "8Gi"
    await cluster.change(kinds.DATA_VOLUME, "web", metadata={"annotations": {names.KEPT_FOR: None}})

    async def is_owned() -> bool:
        return bool((await disk()).get("ownerReferences"))

    await cluster.until(is_owned)
    assert not await is_marked()


async def test_the_default_for_keeping_disks_is_followed_while_the_operator_runs(
    cluster: Cluster, site_file: Path
) -> None:
    await cluster.create(network=PRIVATE)
    assert (await cluster.object(kinds.DATA_VOLUME, "web"))["metadata"]["ownerReferences"]
    before = site_file.read_text()

    async def is_kept() -> bool:
        return not (await cluster.object(kinds.DATA_VOLUME, "web"))["metadata"].get("ownerReferences")

    async def is_not_kept() -> bool:
        return not await is_kept()

    site_file.write_text("defaults: {keepDisk: true}\n")
    await cluster.until(is_kept)
    await cluster.change(VIRTUAL_SERVER, "web", metadata={"annotations": {names.KEEP_DISK: "false"}})
    await cluster.until(is_not_kept)
    await cluster.change(VIRTUAL_SERVER, "web", metadata={"annotations": {names.KEEP_DISK: None}})
    await cluster.until(is_kept)
    site_file.write_text(before)
    await cluster.until(is_not_kept)


async def test_a_server_made_again_at_once_gets_objects_of_its_own(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE)
    first = await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    await cluster.client.delete(VIRTUAL_SERVER, "web", namespace=cluster.namespace)
    again = await cluster.create(network=PRIVATE)

    async def its_own() -> bool:
        machine = await cluster.get(kinds.VIRTUAL_MACHINE, "web")
        return machine is not None and machine["metadata"]["labels"][names.UID] == again["metadata"]["uid"]

    await cluster.until(its_own)
    assert (await cluster.object(kinds.VIRTUAL_MACHINE, "web"))["metadata"]["uid"] != first["metadata"]["uid"]


async def test_events_say_what_was_done_and_once_what_is_waited_for(cluster: Cluster) -> None:
    await cluster.create(network=PRIVATE, users=[{"username": "bob", "passwordSecretRef": {"name": "bob"}}])
    await cluster.reason("WaitingForSecret")
    await cluster.settled()
    await cluster.secret("bob", password="geheim")
    await cluster.machine_is_stopped()
    await cluster.reason("VirtualServerStopped")

    async def told() -> bool:
        return "VirtualServerStopped" in [reason for reason, _ in await cluster.events()]

    await cluster.until(told)
    events = await cluster.events()
    assert [reason for reason, _ in events].count("WaitingForSecret") == 1
    assert any(reason == "Created" and "VirtualMachine web" in message for reason, message in events)


@pytest.mark.parametrize(
    ("counted", "refused", "network"),
    [
        ("count/virtualmachines.kubevirt.io", kinds.VIRTUAL_MACHINE, PRIVATE),
        ("services.loadbalancers", kinds.SERVICE, {"public": False, "tcp": {"ports": [22]}}),
    ],
    ids=["machines", "Services"],
)
async def test_a_quota_that_refuses_an_object_is_told_and_its_lifting_is_used(
    cluster: Cluster, counted: str, refused: Resource, network: dict[str, Any]
) -> None:
    def hard(count: str) -> dict[str, Any]:
        return {"spec": {"hard": {counted: count}}}

    metadata = {"name": "few", "namespace": cluster.namespace}
    manifest = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, **hard("0")}
    await cluster.client.create(kinds.RESOURCE_QUOTA, manifest, field_manager="admin")

    async def is_counted() -> bool:
        quota = await cluster.client.get(kinds.RESOURCE_QUOTA, "few", namespace=cluster.namespace)
        return quota.get("status", {}).get("used") == {counted: "0"}

    await cluster.until(is_counted)
    if refused is kinds.SERVICE:
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        own = {"apiVersion": "v1", "kind": "Service", "metadata": {**metadata, "name": "own"}, "spec": spec}
        with pytest.raises(Forbidden, match="exceeded quota: few"):
            await cluster.client.create(kinds.SERVICE, own, field_manager="user")
    await cluster.create(network=network)
    message = (await cluster.reason("Error"))["message"]
    assert f"{refused.kind} web" in message
    assert f"exceeded quota: few, requested: {counted}=1, used: {counted}=0, limited: {counted}=0" in message
    await cluster.client.patch(
        kinds.RESOURCE_QUOTA, "few", hard("1"), namespace=cluster.namespace, field_manager="admin"
    )
    await cluster.object(refused, "web" if refused is kinds.VIRTUAL_MACHINE else "web-tcp")


async def test_annotations_are_passed_on_as_the_site_says_live_and_ours_win(cluster: Cluster, site_file: Path) -> None:
    asked = {
        "external-dns.alpha.kubernetes.io/hostname": "web.example.com",
        "metallb.io/address-pool": "private",
        "metallb.io/loadBalancerIPs": "203.0.113.1",
        "example.com/note": "mine",
    }
    await cluster.create(annotations=asked, network={"tcp": {"ports": [22]}})

    async def passed() -> dict[str, str]:
        service = await cluster.object(kinds.SERVICE, "web-tcp")
        return {key: value for key, value in service["metadata"]["annotations"].items() if key in asked}

    async def passed_are(wanted: dict[str, str]) -> None:
        async def are() -> bool:
            return await passed() == wanted

        await cluster.until(are, passed)

    hostname = {"external-dns.alpha.kubernetes.io/hostname": "web.example.com"}
    pool = {"metallb.io/address-pool": "public"}
    await passed_are(hostname | pool)
    before = site_file.read_text()
    site_file.write_text("annotations: {services: [example.com/*]}\n")
    await passed_are({"example.com/note": "mine"} | pool)
    site_file.write_text(before)
    await passed_are(hostname | pool)
    removed = {"metadata": {"annotations": dict.fromkeys(hostname)}}
    await cluster.change(VIRTUAL_SERVER, "web", **removed)
    await passed_are(pool)
