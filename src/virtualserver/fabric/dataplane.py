"""The data plane of one instance on this host. (Signatures agreed between fabric and node.)"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

from virtualserver.fabric import state

__all__ = ["Blocker", "DataPlane"]


@dataclasses.dataclass(frozen=True, slots=True)
class Blocker:
    """A foreign rule that would drop our packets.

    Attributes:
        where: The chain, as ``family table chain``, or the setting.
        reason: What it does to our packets.
        remedy: The one command that lets them pass.
    """

    where: str
    reason: str
    remedy: str


class DataPlane:
    """The namespace, links, rules, DHCP and DNS of one instance; needs root.

    Every method is idempotent. What is on the host outlives this object: another process may take over at any time
    with `start` and `synchronise`, without a lost packet.
    """

    def __init__(self, *, instance: str, identifier: str, ranges: state.Ranges, run: Path, saved: Path) -> None:
        """Name the data plane.

        Args:
            instance: The instance's name; the namespace is ``vs-INSTANCE``, the host's nftables table likewise.
            identifier: 6 hexadecimal digits for link names (``vsh-IDENTIFIER`` is the host's end of the veth pair).
            ranges: The instance's networks.
            run: Folder for dnsmasq's files; made if missing.
            saved: File in which the host's settings are recorded before they are changed, so that `stop` puts them back.
        """
        raise NotImplementedError

    async def start(self) -> None:
        """Make or re-adopt the namespace, the veth pair, the base rules, the host's table and routes, and dnsmasq."""
        raise NotImplementedError

    async def synchronise(self, desired: state.DataPlaneState) -> int:
        """Make the kernel and dnsmasq agree with the whole state, and return the number of changes written.

        Called after `start` and on each resync: reads what is there first, so that a second call returns 0.
        """
        raise NotImplementedError

    async def set_link(self, owner: str, link: state.GuestLink) -> int:
        """Make one guest's link so; the door is closed before the tap is up. Return the number of changes."""
        raise NotImplementedError

    async def remove_link(self, owner: str) -> int:
        """Remove one guest's tap, rules, routes, DHCP host, lease and flows."""
        raise NotImplementedError

    async def set_service(self, owner: str, rules: state.ServiceRules) -> int:
        """Make one Service's ports, addresses and names so, by deltas; flows of a removed port are cut."""
        raise NotImplementedError

    async def remove_service(self, owner: str) -> int:
        """Remove all that one Service put into the data plane, and cut its flows."""
        raise NotImplementedError

    def open_tap(self, device: str) -> int:
        """Open a tap of the namespace for QEMU and return its file descriptor (with ``vnet_hdr``), inheritable."""
        raise NotImplementedError

    async def leases(self) -> dict[str, state.Lease]:
        """Return the leases that guests hold, by MAC."""
        raise NotImplementedError

    def lease_changes(self) -> AsyncIterator[None]:
        """Yield whenever a lease was taken or released (inotify on the lease file)."""
        raise NotImplementedError

    async def supervise(self) -> None:
        """Run until cancelled: start dnsmasq again when it has died, with back-off."""
        raise NotImplementedError

    async def blockers(self) -> list[Blocker]:
        """Return the foreign rules of the host that would drop our packets."""
        raise NotImplementedError

    async def inventory(self) -> list[dict[str, str]]:
        """List what exists on the host because of this instance: ``{"kind": ..., "name": ..., "detail": ...}``."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Remove everything that `start` and the setters made, and put the host's settings back."""
        raise NotImplementedError
