"""What the guest is told of its NICs: cloud-init's network configuration, version 2.

Each NIC that names are asked at is told to take DHCP's search list: systemd-networkd leaves it out unless it is told,
and cloud-init's own configuration does not tell it. On a NIC of a VPC nothing waits for an answer (`optional`), and a
default route of the VPC's comes after that of the cluster NIC. A manifest whose ``cloudInit`` has ``network`` says it
all instead. docs/adr/0025 has why cards are not renamed.
Source: cloud-init's documentation, "Networking config version 2".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api.virtualserver import OSType
from virtualserver.plan import cloud_config

if TYPE_CHECKING:
    from virtualserver.plan.network import NIC
    from virtualserver.plan.situation import Situation

__all__ = ["VPC_METRIC", "digest", "network_data"]

_YES: Final = "true"
"""A word, as cloud-init's schema has it; netplan and systemd-networkd take it."""
VPC_METRIC: Final = 1000
"""Added to a VPC NIC's place: the metric of a default route there; that of the cluster NIC has none, or a lower one."""


def network_data(situation: Situation) -> str | None:
    """Return the network configuration of a server's guest, None where cloud-init's own does."""
    if situation.user_data.network is not None:
        return situation.user_data.network
    network = situation.network
    # Windows takes the search list by itself, and its cloudbase-init would give the card another name.
    is_told_by_default = situation.server.spec.os.type is OSType.WINDOWS and not network.vpcs
    if is_told_by_default or not network.nics:
        return None
    has_cluster_nic = network.cluster_nic is not None
    # The keys: cloud-init before 22.2, and its networkd renderer, take them for the kernel's names.
    ethernets = {f"eth{place}": _card(nic, place, has_cluster_nic) for place, nic in enumerate(network.nics)}
    return cloud_config.dump_plain({"version": 2, "ethernets": ethernets})


def digest(situation: Situation) -> str | None:
    """Return a digest of the network configuration that a manifest's ``cloudInit`` has, None where it has none."""
    text = situation.user_data.network
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()[:12]


def _card(nic: NIC, place: int, has_cluster_nic: bool) -> dict[str, Any]:
    card: dict[str, Any] = {"match": {"macaddress": nic.mac}, "dhcp4": True}
    if nic.vpc is None:
        return card | {"dhcp4-overrides": {"use-domains": _YES}}
    # The cluster's resolver knows the cluster's names: with that, nobody asks a VPC's.
    names = {"use-dns": False} if has_cluster_nic else {"use-domains": _YES}
    return card | {"optional": True, "dhcp4-overrides": {"route-metric": VPC_METRIC + place, **names}}
