"""How networks and addresses are written on the command line."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from virtualserver.fabric.desired import state

__all__ = ["LISTEN", "NETWORK", "POOL"]


class _NetworkType(click.ParamType["state.Network"]):
    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> state.Network:
        """Return the network; an address with host bits is refused, since it is more often a slip than meant."""
        try:
            return ipaddress.ip_network(value)
        except ValueError as error:
            self.fail(f"{error}; write it as 192.0.2.0/24", param, ctx)


class _PoolType(click.ParamType["state.Network | Literal['host']"]):
    name = "network"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> state.Network | Literal["host"]:
        """Return the network, or ``host``."""
        return "host" if value == "host" else NETWORK.convert(value, param, ctx)


class _ListenType(click.ParamType["state.Address | Literal['none']"]):
    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> state.Address | Literal["none"]:
        """Return the address, or ``none``; a name is refused, since what it stands for may change."""
        if value == "none":
            return "none"
        try:
            return ipaddress.ip_address(value)
        except ValueError as error:
            self.fail(f"{error}; write it as 192.0.2.7, or `none`", param, ctx)


NETWORK = _NetworkType()
"""A network in prefix notation, IPv4 or IPv6."""

POOL = _PoolType()
"""A network in prefix notation, or the word ``host``: the machine's own address."""

LISTEN = _ListenType()
"""An address, IPv4 or IPv6, or the word ``none``."""
