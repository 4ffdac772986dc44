"""The machine whose own address is a pool, as the data plane and its processes tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.host import listeners

if TYPE_CHECKING:
    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.fabric.desired.state import Address

__all__ = ["PublishedHost"]


class PublishedHost:
    """What `Addresses` asks of the machine; this process is in its network namespace."""

    def __init__(self, dataplane: DataPlane) -> None:
        """Name who follows the machine's address."""
        self._dataplane = dataplane

    @property
    def address(self) -> Address | None:
        """The address by which the machine is reached now, None where there is none."""
        return self._dataplane.host_address

    def occupant(self, protocol: str, port: int) -> str:
        """Return which process of the machine has a port of that address, in words; ``""`` where none has it."""
        address = self.address
        return listeners.occupant(address, protocol, port) if address else ""
