"""MAC addresses: derived ones, and whose an address is when two servers claim it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.api.virtualserver import VirtualServer

__all__ = ["Claim", "address", "derive", "holder"]


def derive(namespace: str, name: str) -> str:
    """Return the address of a server whose manifest names none: local, unicast, the same at every creation.

    Source: the seed, "Custom MAC addresses": persistent, derived from the Virtual Server's name. The namespace counts
    too, since names repeat.
    """
    octets = bytearray(hashlib.sha256(f"{namespace}/{name}".encode()).digest()[:6])
    octets[0] = octets[0] & 0b1111_1100 | 0b0000_0010
    return octets.hex(":")


def address(server: VirtualServer) -> str:
    """Return the address of a server's cluster NIC, in lower case with colons."""
    return server.spec.network.mac or derive(server.namespace, server.name)


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
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


def holder(claims: Iterable[Claim]) -> Claim | None:
    """Return the claim that wins: a machine that has the address, else the older server. None without claims."""
    return min(claims, key=lambda claim: (not claim.holds, claim.created, claim.uid), default=None)
