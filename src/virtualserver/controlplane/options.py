"""What the owner of an installation may choose about its control plane, and how it is recorded."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Final

from virtualserver.installation.record import RecordedOptions

__all__ = ["NAMES", "Address", "Options"]

NAMES: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "operator", "node", "console", "relay")
"""All components, in the order in which they start; they stop in reverse. The relay runs where it is asked for."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the owner of an installation may choose about its control plane.

    Attributes:
        service_ranges: Where ClusterIPs come from: one network, or one of each family.
        bind: The address that kube-apiserver listens on; everything else listens on loopback only.
        components: The components that run; the control plane's own three are always among them.
        listen: Where users of other machines reach kube-apiserver, through the relay; None: nowhere.
        names: What else the API server's certificate says: names and addresses at which users reach it.
        networks: A digest of the recorded networks; the node starts again where they are others.
    """

    service_ranges: tuple[Network, ...] = (ipaddress.IPv4Network("10.96.0.0/16"),)
    bind: str = "127.0.0.1"
    components: frozenset[str] = frozenset(NAMES)
    listen: Address | None = None
    names: tuple[str, ...] = ()
    networks: str = ""

    @property
    def served(self) -> tuple[str, ...]:
        """The names and addresses at which kube-apiserver is reached: they stand in its certificate."""
        return (self.bind, *(str(network[1]) for network in self.service_ranges), *self.names)

    def encode(self) -> RecordedOptions:
        """Return what is recorded in the installation's record."""
        return RecordedOptions(
            service_ranges=[str(network) for network in self.service_ranges],
            bind=self.bind,
            components=sorted(self.components),
            listen=str(self.listen) if self.listen else "",
            names=list(self.names),
            networks=self.networks,
        )

    @classmethod
    def decode(cls, recorded: RecordedOptions) -> Options:
        """Return the options that `encode` recorded."""
        return cls(
            service_ranges=tuple(ipaddress.ip_network(text) for text in recorded.service_ranges),
            bind=recorded.bind,
            components=frozenset(recorded.components),
            listen=ipaddress.ip_address(recorded.listen) if recorded.listen else None,
            names=tuple(recorded.names),
            networks=recorded.networks,
        )
