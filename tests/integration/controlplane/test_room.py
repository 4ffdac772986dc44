"""A user who fills etcd with objects ends nobody's writes: what a real API server takes while its room gets short.

The supervisor of this control plane has an etcd of the real size; each `Room` of these tests takes it for a small one.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from harness.api_server import connected
from harness.waiting import eventually
from virtualserver.api import names
from virtualserver.controlplane.database import Database
from virtualserver.controlplane.room import Room
from virtualserver.kube.conditions import condition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.control_plane import ControlPlane
    from harness.tenant import Tenant
    from virtualserver.controlplane.rest import Rest

MIB = 1 << 20
OURS = "/api/v1/namespaces/virtualserver-system"
NODES = "/api/v1/nodes"


@pytest.fixture
def database(control_plane: ControlPlane) -> Iterator[Database]:
    """What is etcd's, as if it were full by half with 6 MiB more than what is live in it now."""
    installation = control_plane.installation
    url = f"https://127.0.0.1:{installation.record().ports['etcd']}"
    authority, client = installation.pki / "etcd-ca.crt", installation.pki / "clients/etcd"
    with contextlib.closing(Database(url, authority=authority, client=client, limit=0)) as real:
        live = real.make_room(real.look(), anyway=True)
        assert live
    with contextlib.closing(Database(url, authority=authority, client=client, limit=2 * (live + 6 * MIB))) as small:
        yield small


@pytest.fixture
def admin(control_plane: ControlPlane) -> Iterator[Rest]:
    """A connection as the administrator, who leaves nothing said."""
    with connected(control_plane) as rest:
        yield rest
        said = {"metadata": {"annotations": {names.DATABASE: None}}}
        rest.call("PATCH", OURS, said, content_type="application/merge-patch+json")


def a_map(name: str, size: int, letter: str = "x", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": {"large": letter * size}}


def a_room(control_plane: ControlPlane, database: Database) -> Room:
    """A room as a supervisor has it that has just been started."""
    return Room(control_plane.installation, control_plane.url, database)


def now_said(admin: Rest) -> str:
    return admin.call("GET", OURS)["metadata"].get("annotations", {}).get(names.DATABASE, "")


def of_namespace(tenant: Tenant) -> list[tuple[str, dict[str, Any]]]:
    """Return something small of each kind that one may fill a database with."""
    core, named = f"/api/v1/namespaces/{tenant.namespace}", {"metadata": {"name": "small"}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    root = {"size": "1Gi", "storageClassName": "none", "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}}}
    server = {"os": {"type": "linux"}, "resources": {}, "storage": {"root": root}}
    return [
        (f"{core}/configmaps", named),
        (f"{core}/secrets", named),
        (f"{core}/serviceaccounts", named),
        (f"{core}/services", {**named, "spec": {"ports": [{"port": 80}]}}),
        (f"{core}/persistentvolumeclaims", {**named, "spec": claim}),
        (f"/apis/coordination.k8s.io/v1/namespaces/{tenant.namespace}/leases", {**named, "spec": {}}),
        (
            f"/apis/{names.API_VERSION}/namespaces/{tenant.namespace}/virtualservers",
            {"apiVersion": names.API_VERSION, "kind": names.KIND, **named, "spec": server},
        ),
    ]


def test_attack_a_user_who_fills_the_database_is_refused_and_the_control_plane_goes_on(
    control_plane: ControlPlane, database: Database, admin: Rest, tenants: Callable[[], Tenant]
) -> None:
    """Fault 43's kind: a reserve that only the control plane may use, here of etcd's database."""
    thief = tenants()
    maps = f"/api/v1/namespaces/{thief.namespace}/configmaps"
    node = f"node-{secrets.token_hex(3)}"
    admin.call("POST", NODES, {"metadata": {"name": node}})
    room = a_room(control_plane, database)
    room.keep(is_served=True)
    assert (now_said(admin), room.told) == ("", "")
    for number in range(8):
        assert thief.status("POST", maps, a_map(f"large-{number}", MIB - 4096)) == 201
    room.keep(is_served=True)

    assert now_said(admin).startswith("full: ")
    assert f"most hold the namespaces {thief.namespace} 8." in room.told
    told = condition_of(admin.call("GET", f"{NODES}/{node}"), names.DATABASE_FULL)
    assert told
    assert (told["status"], told["message"]) == ("True", room.told)
    events = admin.call("GET", f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={node}")["items"]
    assert [(event["reason"], event["type"]) for event in events] == [("DatabaseFull", "Warning")]

    for path, small in of_namespace(thief):
        eventually(lambda path=path, small=small: thief.status("POST", f"{path}?dryRun=All", small) == 403, what=path)
        status, answer = thief.call("POST", path, small)
        assert status == 403, path
        assert (
            f"the database of the whole installation is {now_said(admin)}: users may make nothing new"
            in (answer["message"])
        )
        assert "Delete what is not needed" in answer["message"]

    # What makes nothing larger goes on, and what stores nothing.
    assert thief.status("PATCH", f"{maps}/large-0", {"data": {"large": "y" * (MIB - 4096)}}) == 200
    assert thief.status("PATCH", f"{maps}/large-0", {"data": {"more": "x" * 2048}}) == 403
    assert thief.status("PATCH", f"{maps}/large-0", {"data": {"large": "small"}}) == 200
    assert thief.status("PATCH", f"{maps}/large-0", {"data": {"large": "x" * 4096}}) == 403
    account = f"/api/v1/namespaces/{thief.namespace}/serviceaccounts/default/token"
    eventually(lambda: thief.status("POST", account, {}) == 201, what="tokens are made")
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets"}}}
    assert thief.status("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review) == 201

    # For the control plane nothing has changed: a namespace gets what controllers make for it.
    other = f"after-{secrets.token_hex(3)}"
    control_plane.kubectl("create", "namespace", other)
    eventually(
        lambda: "kube-root-ca.crt" in control_plane.kubectl("get", "configmap,sa", "-n", other, "-o", "name"),
        what="controllers write",
    )
    control_plane.kubectl("delete", "namespace", other, "--wait=false")

    # A supervisor that is started again writes nothing, and says the same.
    before = admin.call("GET", OURS)["metadata"]["resourceVersion"]
    again = a_room(control_plane, database)
    again.keep(is_served=True)
    assert admin.call("GET", OURS)["metadata"]["resourceVersion"] == before
    assert again.told

    for number in range(1, 8):
        assert thief.status("DELETE", f"{maps}/large-{number}") == 200
    eventually(lambda: is_open(control_plane, database, admin), what="there is room again")
    eventually(lambda: thief.status("POST", maps, a_map("small", 10)) == 201, what="users make things again")
    told = condition_of(admin.call("GET", f"{NODES}/{node}"), names.DATABASE_FULL)
    assert told
    assert told["status"] == "False"

    # One that died after it opened the database, and before it said so, leaves nobody alarmed.
    alarm = {"status": {"conditions": [{**told, "status": "True"}]}}
    admin.call("PATCH", f"{NODES}/{node}/status", alarm, content_type="application/strategic-merge-patch+json")
    a_room(control_plane, database).keep(is_served=True)
    told = condition_of(admin.call("GET", f"{NODES}/{node}"), names.DATABASE_FULL)
    assert told
    assert told["status"] == "False"
    admin.call("DELETE", f"{NODES}/{node}")


def is_open(control_plane: ControlPlane, database: Database, admin: Rest) -> bool:
    a_room(control_plane, database).keep(is_served=True)  # one that was just started measures at once
    return not now_said(admin)


def test_nearer_to_the_end_objects_of_users_only_become_smaller(
    control_plane: ControlPlane, database: Database, admin: Rest, tenants: Callable[[], Tenant]
) -> None:
    thief = tenants()
    maps = f"/api/v1/namespaces/{thief.namespace}/configmaps"
    assert thief.status("POST", maps, a_map("held", 100, finalizers=["example.com/mine"])) == 201
    part = database.limit // 4 // 8
    for number in range(8):
        assert thief.status("POST", maps, a_map(f"large-{number}", min(part, MIB - 4096))) == 201
    said = {"metadata": {"annotations": {names.DATABASE: "closed: by this test"}}}
    admin.call("PATCH", OURS, said, content_type="application/merge-patch+json")
    held = f"{maps}/held"
    eventually(lambda: thief.status("PATCH", f"{held}?dryRun=All", {"data": {"large": "y" * 100}}) == 403)
    _, answer = thief.call("PATCH", held, {"data": {"large": "y" * 100}})
    assert "closed: by this test: users may only make objects smaller" in answer["message"]
    assert thief.status("PATCH", held, {"data": {"large": "y" * 99}}) == 200
    assert thief.status("DELETE", held) == 200
    assert thief.status("PATCH", held, {"metadata": {"finalizers": None}}) == 200
    assert thief.status("GET", held) == 404


def test_who_writes_much_beside_an_object_lets_it_grow_too(admin: Rest, tenants: Callable[[], Tenant]) -> None:
    """Each name of a field manager is noted in the object, without an end."""
    thief = tenants()
    maps = f"/api/v1/namespaces/{thief.namespace}/configmaps"
    assert thief.status("POST", maps, a_map("held", 100)) == 201
    said = {"metadata": {"annotations": {names.DATABASE: "full: by this test"}}}
    admin.call("PATCH", OURS, said, content_type="application/merge-patch+json")
    eventually(lambda: thief.status("POST", f"{maps}?dryRun=All", a_map("new", 1)) == 403)

    def noted(number: int) -> int:
        applied = {"apiVersion": "v1", "kind": "ConfigMap", **a_map("held", 100)}
        query = f"fieldManager=manager-{number}-{'x' * 100}&force=true"
        return thief.call("PATCH", f"{maps}/held?{query}", applied, kind="application/apply-patch+yaml")[0]

    answers = [noted(number) for number in range(60)]
    assert answers[0] == 200
    assert answers[-1] == 403
