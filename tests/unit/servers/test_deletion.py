"""What goes with a server and what stays, and that nothing goes before somebody said yes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from click.testing import CliRunner

from harness.virtualservers import UID, a_disk, a_manifest, a_service
from virtualserver.api import names
from virtualserver.cli import main
from virtualserver.kube.errors import NotFound
from virtualserver.plan.ownership import VIRTUAL_SERVER
from virtualserver.servers import deletion
from virtualserver.servers.access import ApiAccess
from virtualserver.servers.errors import UnfinishedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource


def the_server() -> dict[str, Any]:
    server = a_manifest()
    server["metadata"]["uid"] = UID
    server["status"] = {"network": {"floatingIPs": {"fip": "203.0.113.9", "web-f0": "203.0.113.8"}}}
    return server


CLAIM = {"status": {"capacity": {"storage": "6Gi"}}}
SERVICES = [
    a_service("web-tcp", address="203.0.113.7"),
    a_service("web-udp", address="203.0.113.7"),
    a_service("web-f0", address="203.0.113.8"),
    {"metadata": {"name": "fip"}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}},
]


def a_kept_disk() -> dict[str, Any]:
    disk = a_disk(owner=False)
    disk["metadata"]["annotations"] = {names.KEPT_FOR: f"default/web/{UID}"}
    return disk


def test_a_disk_goes_with_the_server_that_owns_it_and_addresses_with_its_services() -> None:
    fate = deletion.fate_of(the_server(), a_disk(), cast("Manifest", CLAIM), SERVICES)
    assert (fate.disk, fate.keeps_disk) == ("6Gi", False)
    assert fate.addresses == ("203.0.113.7", "203.0.113.8")
    assert fate.services == ("fip",)


def test_a_disk_that_is_kept_or_another_servers_stays() -> None:
    assert deletion.fate_of(the_server(), a_kept_disk(), None, []).keeps_disk
    assert deletion.fate_of(the_server(), a_kept_disk(), None, []).disk == "4Gi"
    assert deletion.fate_of(the_server(), None, None, []).disk == ""


class Cluster:
    """An API server with one server, whose operator sets disks aside, or does not."""

    def __init__(self, *, operator: bool = True) -> None:
        self.disk = a_disk()
        self.instance: dict[str, Any] | None = None
        self.done: list[str] = []
        self._operator = operator

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Manifest:
        if resource == VIRTUAL_SERVER and name == "web":
            return the_server()
        if resource.kind == "DataVolume":
            return self.disk
        if resource.kind == "VirtualMachineInstance" and self.instance is not None:
            return self.instance
        raise NotFound("there is none", status=404)

    async def list(self, resource: Resource, *, namespace: str) -> list[Manifest]:
        return []

    async def patch(self, resource: Resource, name: str, patch: Any, *, namespace: str, field_manager: str) -> None:
        assert patch["metadata"] == {"uid": UID, "annotations": {names.KEEP_DISK: "true"}}
        self.done.append(f"patch {name}")
        if self._operator:
            self.disk = a_kept_disk()

    async def delete(self, resource: Resource, name: str, *, namespace: str, uid: str) -> None:
        assert (resource, uid) == (VIRTUAL_SERVER, UID)
        self.done.append(f"delete {name}")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return use(Cluster(), monkeypatch)


def use(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Have every command reach this one."""

    @contextlib.asynccontextmanager
    async def client(_access: ApiAccess) -> AsyncGenerator[Client]:
        yield cast("Client", cluster)

    def find(**_: object) -> ApiAccess:
        return an_access()

    monkeypatch.setattr(ApiAccess, "client", client)
    monkeypatch.setattr(ApiAccess, "find", find)
    return cluster


def an_access() -> ApiAccess:
    class Credentials:
        namespace = "default"

    return ApiAccess(Path("kubeconfig"), cast("Any", Credentials()), "default")


def quiet(text: str, share: float | None) -> None:
    """Is told what is waited for."""


def run(*arguments: str, answer: str = "") -> Any:
    return CliRunner().invoke(main.vs, ["delete", "web", *arguments], input=answer)


def test_fault_48_a_deletion_names_what_goes_and_asks(cluster: Cluster) -> None:
    done = run(answer="n\n")
    assert done.exit_code == 1 and cluster.done == []
    assert "goes   its disk (4Gi), with all that is on it" in done.stderr
    assert "To keep the disk: vs delete --keep-disk web" in done.stderr
    done = run(answer="y\n")
    assert cluster.done == ["delete web"]
    assert done.stdout == "web is deleted, and its disk with it.\n"


def test_where_nobody_can_answer_nothing_is_deleted_without_yes(cluster: Cluster) -> None:
    done = run()
    assert done.exit_code == 1 and "vs delete --yes web" in done.stderr and cluster.done == []
    assert run("--yes").exit_code == 0
    assert cluster.done == ["delete web"]


def test_fault_48_a_disk_is_set_aside_before_its_server_is_deleted(cluster: Cluster) -> None:
    done = run("--keep-disk", answer="y\n")
    assert "stays  its disk (4Gi), for the next server of this name" in done.stderr
    assert cluster.done == ["patch web", "delete web"]
    assert "its disk (4Gi) is there for the next server web" in done.stdout
    cluster.done.clear()
    assert run("--keep-disk", "--yes").exit_code == 0
    assert cluster.done == ["delete web"], "it was set aside already"


async def test_a_server_whose_disk_nobody_sets_aside_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "_KEEP_SECONDS", 0.1)
    cluster = use(Cluster(operator=False), monkeypatch)
    fate = await deletion.look(an_access(), "web")
    with pytest.raises(UnfinishedError, match="nothing was deleted"):
        await deletion.delete(an_access(), fate, keep_disk=True, seconds=None, update=quiet)
    assert cluster.done == ["patch web"]


async def test_a_deletion_is_over_when_the_guest_has_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine goes before its instance: whoever applied the manifest again met a guest that still shut down."""
    cluster = use(Cluster(), monkeypatch)
    cluster.instance = {"metadata": {"name": "web", "labels": {names.UID: UID}}}
    told: list[str] = []

    def update(text: str, share: float | None) -> None:
        told.append(text)
        cluster.instance = {"metadata": {"name": "web", "labels": {names.UID: "another"}}}

    fate = await deletion.look(an_access(), "web")
    await deletion.delete(an_access(), fate, keep_disk=False, seconds=10, update=update)
    assert told == ["the guest shuts down"]
