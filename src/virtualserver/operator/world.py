"""What exists, as far as servers need it, and which servers a change concerns.

Objects of a server's names are found by name, whoever they belong to, so that a name that is taken, or freed, is seen.
Secrets are followed only where they are ours: others are read one by one when a server refers to them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from virtualserver.api import names
from virtualserver.api.mac import derive
from virtualserver.kube import kinds
from virtualserver.kube.objects import key_of, owner_uid
from virtualserver.kube.reflector import Reflector
from virtualserver.kube.store import Change, Store
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.plan import mac
from virtualserver.plan.objects import services
from virtualserver.plan.values import Failure, Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest, Resource

__all__ = ["World", "mac_of"]

_MOST_IMAGES: Final = 5
"""Images that a message names."""

_FOLLOWED: Final = (
    VIRTUAL_SERVER,
    kinds.VIRTUAL_MACHINE,
    kinds.VIRTUAL_MACHINE_INSTANCE,
    kinds.DATA_VOLUME,
    kinds.SERVICE,
    kinds.SECRET,
    kinds.PERSISTENT_VOLUME_CLAIM,
)


class World:
    """The stores of every kind, and what follows from a change in them.

    Args:
        concerns: Called with the key of each server that a change concerns.
    """

    def __init__(self, concerns: Callable[[Key], None]) -> None:
        self._concerns = concerns
        self._stores = {resource: Store() for resource in _FOLLOWED}
        self._stores[VIRTUAL_SERVER] = Store(indexes={"mac": _mac_values, "source": _source_values})
        # Resource versions that our own writes returned: their events tell us nothing new.
        self._own: dict[tuple[str, Key], str] = {}

    def reflectors(self, client: Client) -> dict[Reflector, Callable[[Change], None]]:
        """Return what keeps the stores up to date; each is to be run."""
        return {
            Reflector(
                client,
                resource,
                store,
                label_selector=names.UID if resource is kinds.SECRET else "",
            ): functools.partial(self.changed, resource)
            for resource, store in self._stores.items()
        }

    def get(self, resource: Resource, key: Key) -> Manifest | None:
        """Return one object, None where there is none."""
        return self._stores[resource].get(*key)

    def keys(self) -> list[Key]:
        """Return the keys of all servers."""
        return [key_of(manifest) for manifest in self._stores[VIRTUAL_SERVER].all()]

    def remember(self, resource: Resource, manifest: Manifest) -> None:
        """Take in what a write of ours returned."""
        self._own[resource.plural, key_of(manifest)] = manifest["metadata"]["resourceVersion"]
        self._stores[resource].remember(manifest)

    def observe(
        self, server: VirtualServer, *, secrets: Mapping[str, Manifest], failures: tuple[Failure, ...] = ()
    ) -> Observed:
        """Return what exists for a server.

        Args:
            server: As decoded.
            secrets: Secrets by name that were read for it: those it refers to, and one that stands in its way.
            failures: Writes that the API server has just refused.
        """
        key = (server.namespace, server.name)
        configuration = (server.namespace, f"{server.name}-cloud-init")
        source = server.spec.storage.root.source.pvc
        found = {
            name: service
            for name in services.possible_names(server.name)
            if (service := self.get(kinds.SERVICE, (server.namespace, name)))
        }
        return Observed(
            virtual_machine=self.get(kinds.VIRTUAL_MACHINE, key),
            virtual_machine_instance=self.get(kinds.VIRTUAL_MACHINE_INSTANCE, key),
            data_volume=self.get(kinds.DATA_VOLUME, key),
            claim=self.get(kinds.PERSISTENT_VOLUME_CLAIM, key),
            secret=self.get(kinds.SECRET, configuration) or secrets.get(configuration[1]),
            services=found,
            referenced_secrets=secrets,
            source=self.get(kinds.PERSISTENT_VOLUME_CLAIM, (source.namespace, source.name)) if source else None,
            images=self._images(),
            mac_holder=self._mac_holder(server),
            failures=failures,
        )

    def changed(self, resource: Resource, change: Change) -> None:
        """Say which servers a change concerns."""
        manifest = change.new or change.old
        assert manifest is not None  # noqa: S101 - a change has at least one of the two
        key = key_of(manifest)
        if change.new is None:
            self._own.pop((resource.plural, key), None)
        elif self._own.get((resource.plural, key)) == manifest["metadata"]["resourceVersion"]:
            return
        for concerned in dict.fromkeys(self._concerned(resource, change, manifest)):
            self._concerns(concerned)

    def _concerned(self, resource: Resource, change: Change, manifest: Manifest) -> Iterator[Key]:
        namespace, name = key_of(manifest)
        servers = self._stores[VIRTUAL_SERVER]
        if resource is VIRTUAL_SERVER:
            yield namespace, name
        else:
            for candidate in _server_names(resource, name):
                if servers.get(namespace, candidate):
                    yield namespace, candidate
        if resource in (VIRTUAL_SERVER, kinds.VIRTUAL_MACHINE):
            yield from self._rivals(change)
        if resource is kinds.PERSISTENT_VOLUME_CLAIM:
            yield from self._waiting_for_image(change, f"{namespace}/{name}")

    def _rivals(self, change: Change) -> Iterator[Key]:
        """Yield the servers that have a MAC address in common with the server or machine that changed."""
        servers = self._stores[VIRTUAL_SERVER]
        for manifest in (change.old, change.new):
            address = mac_of(manifest) if manifest and manifest["kind"] == names.KIND else _machine_mac(manifest)
            rivals = servers.by_index("mac", address) if address else ()
            if len(rivals) > 1 or (change.new is None and rivals):
                yield from (key_of(rival) for rival in rivals)

    def _waiting_for_image(self, change: Change, source: str) -> Iterator[Key]:
        servers = self._stores[VIRTUAL_SERVER]
        yield from (key_of(server) for server in servers.by_index("source", source))
        if (change.old is None or change.new is None) and _is_image(change.new or change.old):
            # Whoever waits for another image is told of the images that there are.
            for server in servers.all():
                for wanted in _source_values(server):
                    if not self._stores[kinds.PERSISTENT_VOLUME_CLAIM].get(*wanted.split("/", 1)):
                        yield key_of(server)

    def _images(self) -> tuple[str, ...]:
        claims = self._stores[kinds.PERSISTENT_VOLUME_CLAIM].all()
        return tuple(sorted("/".join(key_of(claim)) for claim in claims if _is_image(claim))[:_MOST_IMAGES])

    def _mac_holder(self, server: VirtualServer) -> tuple[str, str] | None:
        """Return which other server this server's MAC address belongs to, None where it is its own."""
        if server.spec.network.disable_k8s_networking:
            return None
        rivals = self._stores[VIRTUAL_SERVER].by_index("mac", mac.address(server))
        if len(rivals) < 2:
            return None
        winner = mac.holder(self._claim(rival) for rival in rivals)
        if winner is None or winner.uid == server.uid:
            return None
        return winner.namespace, winner.name

    def _claim(self, manifest: Manifest) -> mac.MACClaim:
        namespace, name = key_of(manifest)
        metadata = manifest["metadata"]
        machine = self.get(kinds.VIRTUAL_MACHINE, (namespace, name))
        holds = (
            machine is not None and owner_uid(machine) == metadata["uid"] and _machine_mac(machine) == mac_of(manifest)
        )
        return mac.MACClaim(namespace, name, metadata["uid"], metadata.get("creationTimestamp", ""), holds)


def mac_of(manifest: Manifest) -> str | None:
    """Return the MAC address that a VirtualServer's manifest claims, None where it has no cluster NIC."""
    network = _at(manifest, "spec", "network")
    if network.get("disableK8sNetworking"):
        return None
    given = network.get("macAddress")
    namespace, name = key_of(manifest)
    return str(given).replace("-", ":").lower() if given else derive(f"{namespace}/{name}")


def _machine_mac(manifest: Manifest | None) -> str | None:
    if manifest is None:
        return None
    devices = _at(manifest, "spec", "template", "spec", "domain", "devices")
    interfaces: list[Mapping[str, Any]] = devices.get("interfaces") or []
    return next((str(item["macAddress"]) for item in interfaces if item.get("macAddress")), None)


def _mac_values(manifest: Manifest) -> Iterable[str]:
    address = mac_of(manifest)
    return (address,) if address else ()


def _source_values(manifest: Manifest) -> Iterable[str]:
    claim = _at(manifest, "spec", "storage", "root", "source", "pvc")
    return (f"{claim['namespace']}/{claim['name']}",) if claim.get("namespace") and claim.get("name") else ()


def _is_image(manifest: Manifest | None) -> bool:
    annotations = _at(manifest or {}, "metadata", "annotations")
    return names.IMAGE in annotations and names.ALIAS_OF not in annotations


def _at(manifest: Manifest, *path: str) -> Mapping[str, Any]:
    """Return a mapping inside an object, an empty one where it is absent or something else."""
    found: Any = manifest
    for step in path:
        found = cast("Mapping[str, Any]", found).get(step)
        if not isinstance(found, Mapping):
            return {}
    return cast("Mapping[str, Any]", found)


def _server_names(resource: Resource, name: str) -> tuple[str, ...]:
    """Return the names of the servers that may need an object of this name."""
    if resource is kinds.SERVICE:
        return name, name.removesuffix("-tcp"), name.removesuffix("-udp")
    return (name.removesuffix("-cloud-init"),) if resource is kinds.SECRET else (name,)
