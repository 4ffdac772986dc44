"""What the data plane of one installation should be: values only, no I/O.

The node keeps this state per owner (one `Link` for each NIC of a guest, one `ServiceRules` for a Service), so that
one owner's change is one small change in the kernel.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CARRIED",
    "CLUSTER_NIC",
    "GATEWAYS",
    "GATEWAY_PORTS",
    "Address",
    "DataPlaneState",
    "DhcpLease",
    "FloatingAddress",
    "GuestLink",
    "Interface",
    "Link",
    "LinkKey",
    "Network",
    "Protocol",
    "PublishedPort",
    "Ranges",
    "Resolver",
    "ServiceRules",
    "VpcLink",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
"""An address of either family."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
"""A network of either family."""

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
"""An address of a link, and the network that it is in."""

CARRIED: Final = (4,)
"""The IP versions that this data plane carries; addresses of another are refused."""

GATEWAYS: Final[tuple[Address, ...]] = (ipaddress.IPv4Address("169.254.1.1"),)
"""Every guest's gateway, DHCP server and cluster DNS, one of each family that this data plane carries: each tap has it,
and it is never routed (RFC 3927)."""

GATEWAY_PORTS: Final = 49152
"""From here on up, source ports of questions that the gateway asks for guests; guests leave the machine from those
below, so that none of them, whatever it opens, takes the names of all others."""

CLUSTER_NIC: Final = "default"
"""The name of the NIC on the cluster's network, as KubeVirt calls it."""

Protocol = Literal["TCP", "UDP"]
"""A transport protocol, in the words of a Kubernetes Service port."""


_NOTHING: Final[Mapping[str, tuple[Network, ...]]] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Ranges:
    """The networks that an installation took at its first start, recorded under ``ranges`` in its record.

    Attributes:
        public: Pools by name (``public``, ``public-ord1``, ...) of addresses that stand for the internet's.
        private: Pools by name of addresses for ``public: false``.
        guest: Where guests' own addresses come from.
        service: Where ClusterIPs come from; kube-apiserver's ``--service-cluster-ip-range``.
        link: The networks of the veth pair, one of each family: the first host address is the host's, the second the
            data plane's.
        routed: The networks of the pools that the owner of the machine named: the network beyond routes them, so they
            are not masqueraded on the uplink. All others are.
        former: By pool: networks that it had before, of which addresses are still held; nobody gets one of them anew.
        uplink: The link on which addresses of the public pools that the owner named are answered for; ``""``: none.
        host: The names of the pools that have no network: their Services' ports are published on the machine's own
            address.
    """

    public: Mapping[str, tuple[Network, ...]]
    private: Mapping[str, tuple[Network, ...]]
    guest: tuple[Network, ...]
    service: tuple[Network, ...]
    link: tuple[Network, ...]
    routed: tuple[Network, ...] = ()
    host: tuple[str, ...] = ()
    former: Mapping[str, tuple[Network, ...]] = dataclasses.field(default_factory=lambda: _NOTHING)
    uplink: str = ""

    def answered(self, version: int = 4) -> list[Network]:
        """Return the networks whose held addresses are answered for on the uplink, of one IP version."""
        if not self.uplink:
            return []
        former = [network for name in self.public for network in self.former.get(name, ())]
        networks = [*(network for pool in self.public.values() for network in pool), *former]
        return _of_version((network for network in networks if network in self.routed), version)

    def whole(self, version: int = 4) -> list[Network]:
        """Return the pools' networks that are an installation's alone: each is routed to it as a whole.

        Of one that is answered for on the uplink, others there may have a part: only held addresses are routed.
        """
        answered = self.answered(version)
        return [network for network in self.pools(version) if network not in answered]

    def pools(self, version: int = 4) -> list[Network]:
        """Return the networks of all public and private pools of one IP version, sorted, without repeats.

        Those that a pool had before are among them, as long as addresses of them are held.
        """
        several = (*self.public.values(), *self.private.values(), *self.former.values())
        networks = {network for pool in several for network in pool}
        return sorted(
            _of_version(networks, version), key=lambda network: (int(network.network_address), network.prefixlen)
        )

    def guests(self, version: int = 4) -> list[Network]:
        """Return the networks that only guests have addresses of, of one IP version: their own and the Services'."""
        return _of_version((*self.guest, *self.service), version)

    def leased(self, version: int = 4) -> list[Network]:
        """Return the networks from which DHCP gives guests their addresses, of one IP version."""
        return [*_of_version(self.guest, version), *self.pools(version)]

    def host_end(self, version: int = 4) -> Interface:
        """Return the address of the host's end of the veth pair, with its network."""
        return self._end(version, 1)

    def node_end(self, version: int = 4) -> Interface:
        """Return the data plane's own address, to which guests' sources are translated, with its network."""
        return self._end(version, 2)

    def _end(self, version: int, number: int) -> Interface:
        (network,) = _of_version(self.link, version)
        return ipaddress.ip_interface(f"{network[number]}/{network.prefixlen}")


@dataclasses.dataclass(frozen=True, slots=True)
class Resolver:
    """What DHCP tells a guest about names.

    Attributes:
        nameservers: In the order in which the guest shall ask them. Empty: DHCP sends no resolver.
        searches: The guest's search list, in order.
    """

    nameservers: tuple[Address, ...]
    searches: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class GuestLink:
    """One NIC of a guest: a routed tap in the installation's namespace.

    Attributes:
        device: The tap's name, at most 15 characters; recorded before it is used.
        mac: Six octets in lower case with colons.
        addresses: What the guest may use as source and is routed to it; the first of each family is leased by DHCP.
            A directly attached address stands here like any other.
        hostname: What DHCP tells the guest to be called.
        resolver: What DHCP tells the guest about names.
        user: The UID that may open the tap.
        group: Guests of one group reach each other's own addresses, those of others their load balancer addresses only;
            1..2^32-1.
        tenant: Whose guest it is: all guests of a tenant share what one may have of some things; 1..2^32-1.
        translated: True where what the guest sends to the outside is translated to the node's address; False where
            its own address is a public or private pool address (direct attach).
    """

    device: str
    mac: str
    addresses: tuple[Address, ...]
    hostname: str
    resolver: Resolver
    user: int
    translated: bool = True
    group: int = 1
    tenant: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class VpcLink:
    """One NIC of a guest on a VPC: a tap that is a port of the VPC's bridge, on which nobody but guests is.

    Attributes:
        device: The tap's name, which begins with `names.PORT_PREFIX`; recorded before it is used.
        mac: Six octets in lower case with colons: the only source that frames of the guest may have.
        user: The UID that may open the tap.
        bridge: The bridge's name, which begins with `names.BRIDGE_PREFIX`: one for each VPC.
        mtu: In bytes.
    """

    device: str
    mac: str
    user: int
    bridge: str
    mtu: int

    @property
    def addresses(self) -> tuple[Address, ...]:
        """None that we know of: what addresses a VPC has is its owner's business."""
        return ()


Link = GuestLink | VpcLink
"""One NIC of a guest, on the cluster network or on a VPC."""


class LinkKey(NamedTuple):
    """Which link of which guest.

    Attributes:
        owner: A VirtualMachineInstance's UID.
        nic: The NIC's name, unique among those of its owner.
    """

    owner: str
    nic: str = CLUSTER_NIC


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedPort:
    """Traffic to one port of an address goes to a guest's port, with its source kept.

    Of several that differ in their target only, each takes its share of new connections.

    Attributes:
        address: A LoadBalancer address or a ClusterIP.
        port: 1..65535.
        protocol: TCP or UDP.
        target: The guest's own address, of the same family.
        target_port: 1..65535.
        clients: From where the port may be called, networks of either family; those of the address's own family count.
            None: from everywhere.
        affinity: For so many seconds after its last new connection a client's next one goes to the same target. None:
            each goes where its turn is.
    """

    address: Address
    port: int
    protocol: Protocol
    target: Address
    target_port: int
    clients: tuple[Network, ...] | None = None
    affinity: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FloatingAddress:
    """All traffic to an address goes to a guest: every port, every protocol, and ping, with its source kept.

    Attributes:
        address: A LoadBalancer address that no guest's NIC has.
        target: The guest's address, of the same family.
        clients: From where it may be called, as a `PublishedPort` has it.
        is_source: True where what the guest sends to the outside leaves with this address.
        decided: Ports of the address that others publish, or withhold: what those do not admit goes nowhere.
    """

    address: Address
    target: Address
    clients: tuple[Network, ...] | None = None
    is_source: bool = False
    decided: frozenset[tuple[Protocol, int]] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceRules:
    """What one Service asks of the data plane.

    Attributes:
        ports: The published ports, of its LoadBalancer addresses and its ClusterIPs.
        announced: LoadBalancer addresses that no guest's NIC has: the data plane owns them, answers for them, and
            refuses every port that is not published.
        names: Fully qualified names without a trailing dot, and the addresses that cluster DNS answers.
        withheld: Ports that take no new connections, because no guest behind them is ready; open ones live on.
        restricted: LoadBalancer addresses that a guest's NIC has and that only these networks, of either family, may
            call. Any other address of a NIC may be called from everywhere.
        floating: LoadBalancer addresses whose traffic goes to one guest as a whole, published ports aside.
    """

    ports: frozenset[PublishedPort] = frozenset()
    announced: frozenset[Address] = frozenset()
    names: Mapping[str, tuple[Address, ...]] = dataclasses.field(default_factory=dict[str, tuple[Address, ...]])
    withheld: frozenset[PublishedPort] = frozenset()
    restricted: Mapping[Address, tuple[Network, ...]] = dataclasses.field(
        default_factory=dict[Address, tuple[Network, ...]]
    )
    floating: frozenset[FloatingAddress] = frozenset()

    @property
    def addresses(self) -> frozenset[Address]:
        """Every address that stands in them: none may be another's while they are in the data plane."""
        ends = {address for port in self.ports | self.withheld for address in (port.address, port.target)}
        ends |= {address for one in self.floating for address in (one.address, one.target)}
        named = {address for addresses in self.names.values() for address in addresses}
        return self.announced | self.restricted.keys() | ends | named


@dataclasses.dataclass(frozen=True, slots=True)
class DataPlaneState:
    """Everything that should be in the data plane of one installation.

    Attributes:
        links: By owner and NIC.
        services: By owner (a Service's UID).
    """

    links: Mapping[LinkKey, Link]
    services: Mapping[str, ServiceRules]


@dataclasses.dataclass(frozen=True, slots=True)
class DhcpLease:
    """A DHCP lease that a guest took.

    Attributes:
        mac: Six octets in lower case with colons.
        address: What it was given.
        taken: Seconds since the epoch at which the guest last took or renewed it.
    """

    mac: str
    address: Address
    taken: float


def _of_version(networks: Iterable[Network], version: int) -> list[Network]:
    return [network for network in networks if network.version == version]
