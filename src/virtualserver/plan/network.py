"""The network of a server: its NICs, load balancers, floating addresses and names, read once from the manifest.

Everything else asks this value, by name: which Services there are, what the machine's interfaces look like, what is
refused, waited for and reported. Nothing else reads ``spec.network`` for what has a name here.

Source: the seed (Attaching IPs, TCP and UDP ports) and the table of combinations in the project's contract.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.plan import ownership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.virtualserver import FloatingIP, VirtualServer
    from virtualserver.plan.sites.site import PoolChoice, Site

__all__ = [
    "CLUSTER_NIC",
    "NIC",
    "LoadBalancer",
    "ServerNetwork",
    "network_of",
]

CLUSTER_NIC: Final = "default"
"""The name of the NIC on the cluster network, in the machine's specification and in its status."""


@dataclasses.dataclass(frozen=True, slots=True)
class NIC:
    """One network card of the server.

    Attributes:
        name: As the machine's specification and status have it; no other NIC of the server has it.
        mac: In lower case with colons.
        attached_to: The load balancer whose address is the card's own. None: the network gives it an address.
        vpc: The VPC that it is on. None: the cluster network.
    """

    name: str
    mac: str
    attached_to: str | None = None
    vpc: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LoadBalancer:
    """One load balancer Service of the server.

    Attributes:
        name: The Service's.
        protocol: ``TCP`` or ``UDP``; of one that is attached, ``TCP``.
        ports: What is published, in the manifest's order. Of one that is attached, none: its NIC has every port.
        pool: Which pool its address is asked from.
    """

    name: str
    protocol: str
    ports: tuple[int, ...]
    pool: PoolChoice

    @property
    def is_attached(self) -> bool:
        """Whether the address is a NIC's own, so that nothing is forwarded."""
        return not self.ports


@dataclasses.dataclass(frozen=True, slots=True)
class ServerNetwork:
    """What a server asks of its network.

    Attributes:
        nics: In the order of their slots.
        load_balancers: In the order in which a status names them. All of them share one address.
        floating: The floating addresses, in the manifest's order.
        headless: The Service that gives the server its name in the cluster's DNS; None: there is none.
        names: Every name that a Service of this server may ever have, asked for or not; those aside that hold
            literal floating addresses.
    """

    nics: tuple[NIC, ...]
    load_balancers: tuple[LoadBalancer, ...]
    floating: tuple[FloatingIP, ...]
    headless: str | None
    names: tuple[str, ...]

    @property
    def cluster_nic(self) -> NIC | None:
        """The NIC on the cluster network, None where the server has none."""
        return next((nic for nic in self.nics if nic.name == CLUSTER_NIC), None)

    @property
    def vpcs(self) -> tuple[str, ...]:
        """The VPCs that the server is on, in the order of its NICs."""
        return tuple(nic.vpc for nic in self.nics if nic.vpc)

    @property
    def services(self) -> tuple[str, ...]:
        """The names of all Services that are asked for now."""
        balancers = tuple(balancer.name for balancer in self.load_balancers)
        return balancers if self.headless is None else (*balancers, self.headless)


def network_of(server: VirtualServer, site: Site, *, derived_mac: str, vpc_macs: Mapping[str, str]) -> ServerNetwork:
    """Return the network that a manifest asks for.

    Args:
        server: As decoded.
        site: Where it runs.
        derived_mac: The MAC address of its cluster NIC where the manifest names none.
        vpc_macs: Those of its NICs on VPCs, by the VPC's name.
    """
    wanted = server.spec.network
    load_balancers = _load_balancers(server, site)
    attached = next((balancer.name for balancer in load_balancers if balancer.is_attached), None)
    mac = None if wanted.disable_k8s_networking else wanted.mac or derived_mac
    # Whoever is reached by no address from outside is reached by name; any other one where its manifest asks for it.
    is_headless = mac is not None and (wanted.headless or not (load_balancers or wanted.public))
    return ServerNetwork(
        nics=(
            *(() if mac is None else (NIC(CLUSTER_NIC, mac, attached),)),
            *(NIC(f"vpc-{place}", vpc_macs[vpc.name], vpc=vpc.name) for place, vpc in enumerate(wanted.vpcs)),
        ),
        load_balancers=load_balancers,
        floating=wanted.floating,
        headless=server.name if is_headless else None,
        names=tuple(
            f"{server.name}{suffix}"
            for suffix in ownership.SUFFIXES["Service"]
            if suffix not in ownership.PINNED_SUFFIXES
        ),
    )


def _load_balancers(server: VirtualServer, site: Site) -> tuple[LoadBalancer, ...]:
    wanted = server.spec.network
    pool = site.pool(public=wanted.public, region=server.spec.region)
    if wanted.disable_k8s_networking:
        return ()
    if wanted.direct_attach:
        # It has the name of the TCP Service, so that a change between ports and direct attach keeps object and address.
        return (LoadBalancer(f"{server.name}-tcp", "TCP", (), pool),)
    published = (("TCP", wanted.tcp.ports), ("UDP", wanted.udp.ports))
    return tuple(
        LoadBalancer(f"{server.name}-{protocol.lower()}", protocol, ports, pool)
        for protocol, ports in published
        if ports
    )
