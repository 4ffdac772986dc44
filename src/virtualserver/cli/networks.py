"""Which networks this machine and its other instances use, and how networks are written on the command line.

Tests: ``tests/unit/cli/test_networks.py``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from typing import TYPE_CHECKING, Any

import click

from virtualserver.fabric import ranges, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.instance import Instance

__all__ = ["NETWORK", "all_of", "of_other_instances", "taken"]


class _NetworkType(click.ParamType["state.Network"]):
    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> state.Network:
        """Return the network; an address with host bits is refused, since it is more often a slip than meant."""
        try:
            return ipaddress.ip_network(value)
        except ValueError as error:
            self.fail(f"{error}; write it as 192.0.2.0/24", param, ctx)


NETWORK = _NetworkType()
"""A network in prefix notation, IPv4 or IPv6."""


def taken(instance: Instance) -> list[state.Network]:
    """Return the networks that a new instance must not take: the host's, and other instances' ranges."""
    others = [network for networks in of_other_instances(instance).values() for network in networks]
    return [*asyncio.run(ranges.networks_in_use()), *others]


def of_other_instances(instance: Instance) -> dict[str, list[state.Network]]:
    """Return all networks of each other instance under the same root, by its name."""
    return {name: all_of(ranges.decode(recorded)) for name, recorded in _recorded(instance)}


def all_of(chosen: state.Ranges) -> list[state.Network]:
    """Return every network of an instance."""
    pools = [network for pools in (chosen.public, chosen.private) for pool in pools.values() for network in pool]
    return [*pools, *chosen.guest, *chosen.service, chosen.link]


def _recorded(instance: Instance) -> Iterator[tuple[str, dict[str, object]]]:
    for record in sorted(instance.root.glob("*/instance.json")):
        recorded = json.loads(record.read_bytes()).get("ranges")
        if record.parent.name != instance.name and recorded:
            yield record.parent.name, recorded
