"""What the guest is told of its NICs: cloud-init's network configuration, version 2.

A guest with its cluster NIC alone is told nothing: cloud-init asks for DHCP on it by itself. On a NIC of a VPC it asks
for DHCP too, but nothing waits for an answer there (`optional`), and a default route of the VPC's comes after that of
the cluster NIC. A manifest whose ``cloudInit`` has ``network`` says it all instead.
Source: cloud-init's documentation, "Networking config version 2".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.plan import cloud_config

if TYPE_CHECKING:
    from virtualserver.plan.situation import Situation

__all__ = ["VPC_METRIC", "network_data"]

VPC_METRIC: Final = 1000
"""Added to a VPC NIC's place: the metric of a default route there; that of the cluster NIC has none, or a lower one."""


def network_data(situation: Situation) -> str | None:
    """Return the network configuration of a server's guest, None where cloud-init's own does."""
    if situation.user_data.network is not None:
        return situation.user_data.network
    network = situation.network
    if not network.vpcs:
        return None
    ethernets: dict[str, Any] = {}
    for place, nic in enumerate(network.nics):
        ethernets[nic.name] = {"match": {"macaddress": nic.mac}, "dhcp4": True}
        if nic.vpc is not None:
            overrides: dict[str, Any] = {"route-metric": VPC_METRIC + place}
            if network.cluster_nic is not None:
                overrides["use-dns"] = False  # the cluster's resolver knows the cluster's names
            ethernets[nic.name] |= {"optional": True, "dhcp4-overrides": overrides}
    return cloud_config.dump_plain({"version": 2, "ethernets": ethernets})
