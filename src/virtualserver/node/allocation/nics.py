"""Gives NICs their taps and MACs, and machines the numbers of their users: `allocations` record them.

They belong to the VirtualServer (else to the VirtualMachine), so that they stay when the machine is made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.names import PORT_PREFIX
from virtualserver.node.allocation.allocations import NOBODY, Allocation, Allocations, AlreadyAllocated, Claimant, Kind
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Nics", "vpc_of"]

_OF_VPCS: Final = ("tap/", "mac/")
"""With what the purposes of allocations for NICs on VPCs begin; the VPC's name follows."""


_LEFT_SHARE: Final = 4
"""The last quarter of user numbers is for namespaces that have few: an owner keeps its number also while it stands."""
_FEW_SHARE: Final = 16
"""Fewer than a sixteenth of all numbers are few."""


class Nics:
    """Gives and frees them; each is recorded before it is returned.

    What an owner that is gone had is freed with its addresses, by `addresses.Addresses.sweep`.
    """

    def __init__(self, allocations: Allocations, users: range) -> None:
        """Name where they come from.

        Args:
            allocations: Where they are recorded.
            users: The numbers under which QEMU may run.
        """
        self._allocations = allocations
        self._users = users

    def tap(self, owner: str, *, vpc: str | None = None) -> str:
        """Return the name of the tap of the owner's NIC on a VPC, of its cluster NIC where none is named."""
        prefix = PORT_PREFIX if vpc else "tap"
        return self._numbered(owner, "tap", (f"{prefix}{number}" for number in range(1, 1 << 20)), vpc=vpc)

    def keep_vpcs(self, owner: str, vpcs: Collection[str]) -> None:
        """Free the taps and MACs of the owner's NICs on other VPCs than these; its machine does not run."""
        kept = {_of_vpc(kind, vpc) for vpc in vpcs for kind in ("tap", "mac")}
        self._allocations.free(
            [
                one
                for one in self._allocations.all()
                if one.owner == owner and one.purpose.startswith(_OF_VPCS) and one.purpose not in kept
            ]
        )

    def user(self, owner: str, claimant: Claimant = NOBODY) -> int | Wait:
        """Return the number under which the owner's QEMU runs.

        Args:
            owner: The UID under which it is recorded.
            claimant: As for `mac`; its namespace leaves the last numbers to others, once it has many.
        """
        if held := self._allocations.get(owner, "user"):
            self._allocations.name(owner, "user", claimant)
            return int(held)
        holders = [one.claimant.namespace for one in self._allocations.all() if one.kind == "user"]
        total, of_its_own = len(self._users), holders.count(claimant.namespace)
        if len(holders) >= total:
            message = f"all {total} user numbers of this instance are in use"
        elif len(holders) >= total - total // _LEFT_SHARE and of_its_own >= total // _FEW_SHARE:
            message = (
                f"namespace {claimant.namespace} has {of_its_own} of {total} user numbers, the last are for others"
            )
        else:
            return int(self._numbered(owner, "user", (str(number) for number in self._users), claimant))
        return Wait(
            "TooManyServers", f"{message}: delete servers that are not needed, or make them on another instance"
        )

    def has_mac(self, owner: str, mac: str, *, vpc: str | None = None) -> bool:
        """Return whether a MAC is recorded already as that of the owner's NIC on a VPC, of its cluster NIC for None."""
        return self._allocations.get(owner, _of_vpc("mac", vpc)) == mac

    def mac(self, owner: str, mac: str, claimant: Claimant = NOBODY, *, vpc: str | None = None) -> str | Wait:
        """Record the MAC of one NIC of the owner, unless another one has it.

        Args:
            owner: The UID under which it is recorded.
            mac: Six octets in lower case with colons.
            claimant: Whom it is for, in words.
            vpc: The VPC that the NIC is on; None: the cluster NIC.
        """
        try:
            return self._allocations.take(owner, _of_vpc("mac", vpc), "mac", mac, claimant)
        except AlreadyAllocated as error:
            return Wait(
                "MACAddressTaken",
                f"MAC address {mac} is in use by {error.allocation.named_to(claimant, 'server')}: "
                "choose another spec.network.macAddress, or leave it out",
            )

    def holder_of_mac(self, mac: str) -> Allocation | None:
        """Return whose a MAC is recorded to be, None for nobody's."""
        return self._allocations.of_value("mac", mac)

    def owner_of_tap(self, device: str) -> str | None:
        """Return on whose behalf a tap was made, None where it is not recorded."""
        holder = self._allocations.of_value("tap", device)
        return holder.owner if holder else None

    def vpc_of_tap(self, device: str) -> str | None:
        """Return the VPC of the NIC that a tap was made for, None for a cluster NIC's."""
        holder = self._allocations.of_value("tap", device)
        return vpc_of(holder) if holder is not None else None

    def _numbered(
        self, owner: str, kind: Kind, candidates: Iterable[str], claimant: Claimant = NOBODY, *, vpc: str | None = None
    ) -> str:
        purpose = _of_vpc(kind, vpc)
        if held := self._allocations.get(owner, purpose):
            return held
        used = self._allocations.values(kind)
        free = next((value for value in candidates if value not in used), None)
        if free is None:
            raise LookupError(kind)
        return self._allocations.take(owner, purpose, kind, free, claimant)


def vpc_of(allocation: Allocation) -> str | None:
    """Return the VPC that the NIC is on whose tap or MAC is held, None where it is the cluster NIC; pure."""
    purpose = allocation.purpose
    return purpose.partition("/")[2] if purpose.startswith(_OF_VPCS) else None


def _of_vpc(kind: Kind, vpc: str | None) -> str:
    """Return the purpose of what a NIC on a VPC has, of what the cluster NIC has where none is named."""
    return f"{kind}/{vpc}" if vpc else kind
