"""The Services of a server: what each network mode becomes.

Source: the seed (Attaching IPs, TCP and UDP ports) and the table of combinations in the project's contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.plan import ownership
from virtualserver.plan.values import Manifest, Observed, Removal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.api.virtualserver import Network, VirtualServer
    from virtualserver.plan.sites.site import Site

__all__ = [
    "EXTERNAL_DNS_HOSTNAME",
    "address_service_name",
    "addresses",
    "has_useless_public",
    "possible_names",
    "removals",
    "services",
]

EXTERNAL_DNS_HOSTNAME: Final = "external-dns.alpha.kubernetes.io/hostname"
"""The one annotation of a VirtualServer that its load balancer Services get. Any other could claim what is not the
owner's (an address, another pool): an allow-list, never a deny-list."""


def possible_names(name: str) -> tuple[str, str, str]:
    """Return the names of all Services that a server of this name may ever have: TCP, UDP, headless."""
    return f"{name}-tcp", f"{name}-udp", name


def services(server: VirtualServer, site: Site) -> list[Manifest]:
    """Return the Services that the server's network asks for: TCP, UDP, headless, each if wanted."""
    network = server.spec.network
    if network.disable_k8s_networking:
        return []
    if network.direct_attach:
        return [_attached(server, site)]
    result = [
        _published(server, site, protocol, ports)
        for protocol, ports in (("TCP", network.tcp.ports), ("UDP", network.udp.ports))
        if ports
    ]
    if not result and (network.headless or not network.public):
        return [_headless(server)]
    return result


def address_service_name(server: VirtualServer, site: Site) -> str | None:
    """Return the name of the Service that holds the server's load balancer address, None where it has none."""
    balancers = [item for item in services(server, site) if item["spec"].get("type") == "LoadBalancer"]
    return balancers[0]["metadata"]["name"] if balancers else None


def has_useless_public(network: Network) -> bool:
    """Return whether ``public: true`` has no effect, because nothing is exposed."""
    exposed = network.direct_attach or network.tcp.ports or network.udp.ports or network.disable_k8s_networking
    return network.public and not exposed


def addresses(service: Manifest | None, *, pool: str | None = None) -> tuple[str, ...]:
    """Return the load balancer addresses that a Service was granted.

    Args:
        service: As it exists, None where it does not.
        pool: The pool that it asks for now: an address that is said to be from another does not count. None: any does.
    """
    if service is None:
        return ()
    annotations: Mapping[str, str] = service["metadata"].get("annotations") or {}
    if pool and annotations.get(names.METALLB_ALLOCATED_FROM, pool) != pool:
        return ()
    ingress: Sequence[Mapping[str, str]] = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return tuple(item["ip"] for item in ingress if item.get("ip"))


def removals(server: VirtualServer, observed: Observed, desired: Sequence[Manifest]) -> tuple[Removal, ...]:
    """Return the Services of ours that are no longer wanted.

    One that holds the shared address stays until the Service that takes its place has an address: the address moves
    because two Services of one sharing key hold it for a moment; it would be freed otherwise.
    """
    wanted = {item["metadata"]["name"] for item in desired}
    successors = [item["metadata"]["name"] for item in desired if item["spec"].get("type") == "LoadBalancer"]
    waiting = any(not addresses(observed.services.get(name)) for name in successors)
    result: list[Removal] = []
    for name in possible_names(server.name):
        service = observed.services.get(name)
        if service is None or name in wanted or not ownership.is_ours(server, service):
            continue
        if service["metadata"].get("deletionTimestamp") or (waiting and addresses(service)):
            continue
        result.append(Removal("Service", server.namespace, name, service["metadata"]["uid"]))
    return tuple(result)


def _published(server: VirtualServer, site: Site, protocol: str, ports: Sequence[int]) -> Manifest:
    """Ports of one protocol, on the server's load balancer address."""
    lower = protocol.lower()
    return _load_balancer(
        server,
        site,
        f"{server.name}-{lower}",
        {
            "selector": {names.UID: server.uid},
            "ports": [
                {"name": f"{lower}-{port}", "protocol": protocol, "port": port, "targetPort": port} for port in ports
            ],
        },
    )


def _attached(server: VirtualServer, site: Site) -> Manifest:
    """The Service that only holds the address: without a selector nothing is forwarded, the NIC has the address.

    It has the name of the TCP Service, so that a change between ports and direct attach keeps object and address.
    """
    ports = [{"name": "attach", "protocol": "TCP", "port": 1, "targetPort": 1}]
    return _load_balancer(server, site, f"{server.name}-tcp", {"ports": ports})


def _load_balancer(server: VirtualServer, site: Site, name: str, fields: Mapping[str, Any]) -> Manifest:
    network = server.spec.network
    annotations = {
        names.METALLB_ADDRESS_POOL: site.pool(public=network.public, region=server.spec.region).name,
        # A key that no other server has: with a shared word another tenant could sit on this address.
        names.METALLB_ALLOW_SHARED_IP: server.uid,
    }
    hostname = server.metadata.annotations.get(EXTERNAL_DNS_HOSTNAME)
    if hostname:
        annotations[EXTERNAL_DNS_HOSTNAME] = hostname
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(server, name, annotations=annotations),
        # externalTrafficPolicy stays Cluster: the client's own address is kept here anyway, and Local would take one of
        # the 2,768 health check node ports for each Service.
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, **fields},
    }


def _headless(server: VirtualServer) -> Manifest:
    """No address: cluster DNS answers the server's name with the guest's own address."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(server, server.name),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.UID: server.uid},
        },
    }
