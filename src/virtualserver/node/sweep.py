"""Frees what nobody holds any more: addresses, MACs, taps and user numbers, and disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.conditions import is_true
from virtualserver.kube.controller import Controller
from virtualserver.kube.objects import key_of
from virtualserver.node.objects import attached_service, is_final
from virtualserver.node.ownership import living_owners, owner_of
from virtualserver.node.services import balancing

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.held import Held
    from virtualserver.node.queues import Queues
    from virtualserver.node.services.controller import ServiceController
    from virtualserver.node.volumes.controller import VolumeController

__all__ = ["Sweeper"]

_AGAIN_SECONDS: Final = 60.0
"""How often a disk is tried again that cannot be removed."""


class Sweeper:
    """Looks at everything at once, whenever its queue says that something may be free."""

    def __init__(
        self,
        cache: Cache,
        queues: Queues,
        held: Held,
        addresses: Addresses,
        services: ServiceController,
        volumes: VolumeController,
    ) -> None:
        self._cache = cache
        self._queues = queues
        self._held = held
        self._addresses = addresses
        self._services = services
        self._volumes = volumes
        self._controller: Controller[str] = Controller(
            name="sweep", reconcile=self._sweep, queue=queues.sweep, workers=1
        )

    async def run(self) -> None:
        """Work until cancelled; only to be called when the cache is synced."""
        self._queues.sweep_soon()
        await self._controller.run()

    async def _sweep(self, _: str) -> float | None:
        services = [one for one in self._cache.all(kinds.SERVICE) if balancing.wants_address(one)]
        vmis = self._cache.all(kinds.VIRTUAL_MACHINE_INSTANCE)
        freed = self._addresses.sweep(
            alive=living_owners(self._cache),
            wishes=balancing.wishes_of(services),
            attaching={owner_of(self._cache, vmi) for vmi in vmis if attached_service(vmi) and not is_final(vmi)},
            in_use=self._held.values_in_use() | self._services.addresses_in_use() | self._services.ports_in_use(),
        )
        # A Service without an address may have one now.
        if any(one.kind in ("address", "port") for one in freed):
            for service in services:
                if not is_true(service, names.ADDRESS_ASSIGNED):
                    self._queues.services.add(key_of(service))
        return None if self._volumes.sweep() else _AGAIN_SECONDS
