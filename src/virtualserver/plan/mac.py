"""Whose a MAC address is when two servers claim it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from virtualserver.api.mac import derive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.api.virtualserver import VirtualServer

__all__ = ["MACClaim", "address", "holder"]


def address(server: VirtualServer) -> str:
    """Return the address of a server's cluster NIC, in lower case with colons."""
    return server.spec.network.mac or derive(f"{server.namespace}/{server.name}")


@dataclasses.dataclass(frozen=True, slots=True)
class MACClaim:
    """One server's claim to an address.

    Attributes:
        namespace: The server's namespace.
        name: The server's name.
        uid: The server's UID.
        created: ``metadata.creationTimestamp``.
        holds: Whether its machine exists with this address.
    """

    namespace: str
    name: str
    uid: str
    created: str
    holds: bool


def holder(claims: Iterable[MACClaim]) -> MACClaim | None:
    """Return the claim that wins: a machine that has the address, else the older server. None without claims."""
    return min(claims, key=lambda claim: (not claim.holds, claim.created, claim.uid), default=None)
