"""Whose a MAC address is when two servers claim it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MACClaim", "holder"]


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
