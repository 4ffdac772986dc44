"""What exists for one server: from the cache, and the Secrets that it refers to from the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import age_of, key_of
from virtualserver.operator.kinds import BY_KIND, VIRTUAL_SERVER
from virtualserver.operator.manifests import is_abandoned, is_image, machine_mac, selects, server_mac
from virtualserver.operator.watches import BY_ADDRESS, BY_MAC, BY_SERVICE
from virtualserver.plan import mac
from virtualserver.plan.children import MADE_FROM, Children
from virtualserver.plan.floating import FloatingService, places
from virtualserver.plan.objects import secret
from virtualserver.plan.objects.table import KINDS
from virtualserver.plan.ownership import claim_name, living_owner, pinned_names
from virtualserver.plan.references import references
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.api.mac import MacKey
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Key, Manifest
    from virtualserver.plan.situation import FailedWrite

__all__ = ["children_of", "read_secrets", "surroundings_of"]

_MOST_IMAGES: Final = 5
"""Images that a message names."""


def children_of(cache: Cache, server: VirtualServer, *, secrets: Mapping[str, Manifest]) -> Children:
    """Return what exists of the names that a server needs, whoever it belongs to.

    Args:
        cache: Follows `watches.watches`.
        server: As decoded.
        secrets: What `read_secrets` read for it: one of them may have the name of the server's own.
    """
    claims = cache.by_index(kinds.ENDPOINT_SLICE, "owner", server.uid)
    found = [cache.get(kind.resource, (server.namespace, name)) for kind in KINDS for name in kind.names(server.name)]
    made = [cache.get(BY_KIND[kind], (server.namespace, server.name)) for kind in MADE_FROM]
    floating = (_claim_to(cache, server.namespace, name) for name in _floating_services(cache, server))
    return Children.of([secrets.get(f"{server.name}{secret.SUFFIX}"), *found, *made, *claims, *floating])


def surroundings_of(
    cache: Cache,
    server: VirtualServer,
    mac_key: MacKey,
    *,
    secrets: Mapping[str, Manifest],
    failures: tuple[FailedWrite, ...] = (),
) -> Surroundings:
    """Return what matters to a server beside the objects of its names.

    Args:
        cache: Follows `watches.watches`.
        server: As decoded.
        mac_key: From which its MAC address follows where the manifest names none.
        secrets: What `read_secrets` read for it.
        failures: Writes that the API server has just refused.
    """
    source = server.spec.storage.root.source.pvc
    claim = cache.get(kinds.PERSISTENT_VOLUME_CLAIM, (source.namespace, source.name)) if source else None
    present = _present_mac(cache, server.namespace, server.name, server.uid)
    return Surroundings(
        secrets=secrets,
        source=None if claim is None or is_abandoned(claim) else claim,
        images=_images(cache),
        derived_mac=mac_key.of_server(server.namespace, server.name, uid=server.uid, present=present),
        vpc_macs={
            vpc.name: mac_key.of_vpc(server.namespace, server.name, vpc.name) for vpc in server.spec.network.vpcs
        },
        mac_holder=_mac_holder(cache, server, mac_key),
        failures=failures,
        floating={name: _floating(cache, server, name) for name in _floating_services(cache, server)},
        holders=_holders(cache, server),
    )


async def read_secrets(client: Client, server: VirtualServer, *, with_own: bool) -> dict[str, Manifest]:
    """Read Secrets that the cache does not follow, and return those that exist, by name.

    Args:
        client: An entered client.
        server: Whose manifest refers to them.
        with_own: Also read the Secret of the name that the server needs itself, which somebody else made.
    """
    wanted = {reference.name for reference in references(server)}
    if with_own:
        wanted.add(f"{server.name}{secret.SUFFIX}")
    found: dict[str, Manifest] = {}
    for name in sorted(wanted):
        try:
            found[name] = await client.get(kinds.SECRET, name, namespace=server.namespace)
        except NotFound:
            continue
    return found


def _floating_services(cache: Cache, server: VirtualServer) -> tuple[str, ...]:
    """Return the names of the Services whose addresses a manifest names, by their names or literally."""
    named = [item.service_name for item in server.spec.network.floating if item.service_name]
    own = pinned_names(server.name) if len(named) < len(server.spec.network.floating) else ()
    return tuple(dict.fromkeys((*named, *_holders(cache, server).values(), *own)))


def _holders(cache: Cache, server: VirtualServer) -> dict[str, str]:
    """Return by literal address that a manifest names: the oldest Service of the namespace that has it."""
    found: dict[str, str] = {}
    for item in server.spec.network.floating:
        services = cache.by_index(kinds.SERVICE, BY_ADDRESS, f"{server.namespace}/{item.address}")
        if services:
            found[str(item.address)] = min(services, key=age_of)["metadata"]["name"]
    return found


def _floating(cache: Cache, server: VirtualServer, name: str) -> FloatingService:
    """Return what there is of a Service whose address a manifest names."""
    service, claim = cache.get(kinds.SERVICE, (server.namespace, name)), _claim_to(cache, server.namespace, name)
    slices = cache.by_index(kinds.ENDPOINT_SLICE, BY_SERVICE, f"{server.namespace}/{name}")
    return FloatingService(
        service=service,
        claim=claim,
        holder=_holder(cache, service) if service else _server_name(cache, claim),
        server=_server_name(cache, service),
        selected=tuple(_selected(cache, service)) if service else (),
        foreign=tuple(one["metadata"]["name"] for one in slices if _has_ready_endpoints(one)),
    )


def _claim_to(cache: Cache, namespace: str, service: str) -> Manifest | None:
    return cache.get(kinds.ENDPOINT_SLICE, (namespace, claim_name(service)))


def _holder(cache: Cache, service: Manifest) -> str | None:
    """Return the name of the living server that has a Service's address, None where it floats to none.

    It has it by the oldest claim that counts, to the Service or to one that shares the address; the node judges alike.
    """
    namespace, addresses = service["metadata"]["namespace"], fields.load_balancer_addresses(service)
    named = {key_of(service): service}
    for address in addresses:
        named.update((key_of(one), one) for one in cache.by_index(kinds.SERVICE, BY_ADDRESS, f"{namespace}/{address}"))
    claims = ((_claim_to(cache, namespace, name), one) for (_, name), one in named.items())
    counting = [(age_of(claim), _claimant(cache, one, claim)) for claim, one in claims if claim is not None]
    return next((name for _, name in sorted(counting, key=lambda found: found[0]) if name), None)


def _claimant(cache: Cache, service: Manifest, claim: Manifest) -> str | None:
    """Return the name of the living server that a claim counts for: it names the Service, or an address of it."""
    name = _server_name(cache, claim)
    server = cache.get(VIRTUAL_SERVER, (claim["metadata"]["namespace"], name)) if name else None
    if server is None:
        return name
    return name if places(server, service, fields.load_balancer_addresses(service)) else None


def _server_name(cache: Cache, manifest: Manifest | None) -> str | None:
    """Return the name of the living VirtualServer that an object was made for, None where there is none."""
    owner = living_owner(manifest, cache.get) if manifest is not None else None
    return owner["metadata"]["name"] if owner is not None and owner["kind"] == VIRTUAL_SERVER.kind else None


def _selected(cache: Cache, service: Manifest) -> Iterator[str]:
    """Yield the machines that a Service's selector matches, by kind and name."""
    if not fields.mapping(service, "spec", "selector"):
        return
    for kind in (kinds.VIRTUAL_MACHINE, kinds.VIRTUAL_MACHINE_INSTANCE):
        for machine in cache.in_namespace(kind, service["metadata"]["namespace"]):
            if selects(service, machine):
                yield f"{kind.kind} {machine['metadata']['name']}"


def _has_ready_endpoints(one: Manifest) -> bool:
    conditions = (fields.mapping(endpoint, "conditions") for endpoint in fields.items(one, "endpoints"))
    # What is not said counts as ready. Source: the EndpointSlice API.
    return any(condition.get("ready") is not False for condition in conditions)


def _images(cache: Cache) -> tuple[str, ...]:
    """Return NAMESPACE/NAME of the first images."""
    claims = cache.all(kinds.PERSISTENT_VOLUME_CLAIM)
    keys = [key_of(claim) for claim in claims if is_image(claim)]
    # What else says that it is one is its owner's business, and none of whoever reads the message.
    return tuple(sorted("/".join(key) for key in keys if key[0] == names.IMAGE_NAMESPACE)[:_MOST_IMAGES])


def _mac_holder(cache: Cache, server: VirtualServer, mac_key: MacKey) -> Key | None:
    """Return which other server this server's MAC address belongs to, None where it is its own.

    One that is being deleted is not in the way: the node waits for its guest to end.
    """
    itself = cache.get(VIRTUAL_SERVER, (server.namespace, server.name))
    address = _claimed(cache, itself, mac_key) if itself else None
    rivals = cache.by_index(VIRTUAL_SERVER, BY_MAC, address) if address else ()
    claims = [
        _claim(cache, rival, address)
        for rival in rivals
        if _claimed(cache, rival, mac_key) == address and not rival["metadata"].get("deletionTimestamp")
    ]
    if len(claims) < 2:
        return None
    winner = mac.holder(claims)
    if winner is None or winner.uid == server.uid:
        return None
    return winner.namespace, winner.name


def _claim(cache: Cache, server: Manifest, address: str | None) -> mac.MACClaim:
    """Return a server's claim to its MAC address."""
    (namespace, name), metadata = key_of(server), server["metadata"]
    holds = _present_mac(cache, namespace, name, metadata["uid"]) == address
    return mac.MACClaim(namespace, name, metadata["uid"], metadata.get("creationTimestamp", ""), holds)


def _claimed(cache: Cache, server: Manifest, mac_key: MacKey) -> str | None:
    """Return the MAC address that a server claims, None where it has no cluster NIC."""
    return server_mac(server, _present_mac(cache, *key_of(server), server["metadata"]["uid"]), mac_key)


def _present_mac(cache: Cache, namespace: str, name: str, uid: str) -> str | None:
    """Return the MAC address that a server's own machine has now, None where there is none."""
    machine = cache.get(kinds.VIRTUAL_MACHINE, (namespace, name))
    owner = living_owner(machine, cache.get) if machine is not None else None
    is_its_own = owner is not None and owner["metadata"]["uid"] == uid
    return machine_mac(machine) if machine is not None and is_its_own else None
