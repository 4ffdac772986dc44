from __future__ import annotations

from typing import Any

from harness import virtualservers
from virtualserver.api.virtualserver import decode
from virtualserver.kube import kinds
from virtualserver.kube.store import Change
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.operator.world import World, mac_of


class Known:
    """A world with the objects that are put into it, and the servers that were said to be concerned."""

    def __init__(self) -> None:
        self.concerned: list[tuple[str, str]] = []
        self.world = World(self.concerned.append)
        self._version = 0

    def put(self, resource: Any, manifest: dict[str, Any]) -> list[tuple[str, str]]:
        """Take in an object as a watch would, and return who is concerned."""
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        manifest["metadata"].setdefault("uid", f"uid-{self._version}")
        change = self.world._stores[resource].put(manifest)  # pyright: ignore[reportPrivateUsage]
        assert change
        return self._told(resource, change)

    def drop(self, resource: Any, manifest: dict[str, Any]) -> list[tuple[str, str]]:
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        change = self.world._stores[resource].drop(manifest)  # pyright: ignore[reportPrivateUsage]
        assert change
        return self._told(resource, change)

    def _told(self, resource: Any, change: Change) -> list[tuple[str, str]]:
        self.concerned.clear()
        self.world.changed(resource, change)
        return list(self.concerned)


def a_server(name: str, *, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    manifest = virtualservers.a_manifest(name, **spec)
    manifest["metadata"] |= {"uid": f"uid-of-{name}", "creationTimestamp": created}
    return manifest


def an_object(kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": {}}


def test_objects_of_a_servers_names_concern_it_whoever_they_belong_to() -> None:
    known = Known()
    known.put(VIRTUAL_SERVER, a_server("web"))
    web = [("default", "web")]
    assert known.put(kinds.SERVICE, an_object("Service", "web-tcp")) == web
    assert known.put(kinds.SERVICE, an_object("Service", "web")) == web
    assert known.put(kinds.SECRET, an_object("Secret", "web-cloud-init")) == web
    assert known.put(kinds.VIRTUAL_MACHINE, an_object("VirtualMachine", "web")) == web
    assert known.put(kinds.SERVICE, an_object("Service", "other")) == []
    assert known.put(kinds.SERVICE, an_object("Service", "web-tcp", "elsewhere")) == []


def test_an_event_of_our_own_write_concerns_nobody() -> None:
    known = Known()
    known.put(VIRTUAL_SERVER, a_server("web"))
    written = an_object("Service", "web-tcp")
    written["metadata"] |= {"resourceVersion": "7", "uid": "u"}
    known.world.remember(kinds.SERVICE, written)
    known.concerned.clear()
    known.world.changed(kinds.SERVICE, Change(None, written))
    assert known.concerned == []


def test_an_images_arrival_concerns_who_waits_for_it_and_who_waits_for_another() -> None:
    known = Known()
    known.put(VIRTUAL_SERVER, a_server("web"))
    assert known.put(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("debian-12")) == [("default", "web")]
    assert known.put(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("other")) == []
    known.drop(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("debian-12"))
    assert known.put(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("third")) == [("default", "web")]


def test_a_mac_address_belongs_to_the_older_server_until_it_is_gone() -> None:
    known = Known()
    network = {"macAddress": "a2:1f:ee:09:06:5d"}
    older = a_server("older", network=network)
    younger = a_server("younger", created="2026-02-01T00:00:00Z", network={"macAddress": "A2-1F-EE-09-06-5D"})
    known.put(VIRTUAL_SERVER, older)
    known.put(VIRTUAL_SERVER, younger)
    assert known.world.observe(decode(younger), secrets={}).mac_holder == ("default", "older")
    assert known.world.observe(decode(older), secrets={}).mac_holder is None
    assert ("default", "younger") in known.drop(VIRTUAL_SERVER, older)
    assert known.world.observe(decode(younger), secrets={}).mac_holder is None


def test_a_server_without_a_cluster_nic_claims_no_mac_address() -> None:
    assert mac_of(a_server("web", network={"disableK8sNetworking": True})) is None
