"""Asks ahead on the uplink who has the addresses that are granted next, and now and then who else has held ones."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from virtualserver.kube import kinds
from virtualserver.kube.objects import key_of
from virtualserver.node.allocation.vacancies import THIS_MACHINE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.cache import Cache
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.allocation.vacancies import Vacancies
    from virtualserver.node.queues import Queues

__all__ = ["Prober"]

_PERIOD: Final = 10.0


class Prober:
    """Keeps what is known of the uplink's addresses fresh."""

    def __init__(
        self, cache: Cache, queues: Queues, vacancies: Vacancies, addresses: Addresses, dataplane: DataPlane
    ) -> None:
        """Name what it works with."""
        self._cache = cache
        self._queues = queues
        self._vacancies = vacancies
        self._addresses = addresses
        self._dataplane = dataplane

    async def found(self) -> AsyncGenerator[dict[Address, str]]:
        """Ask until cancelled, and yield the addresses that somebody else has come to have, or has no more.

        Yields:
            Who has each, ``""`` for nobody.
        """
        while True:
            asked = self._vacancies.take_asked()
            due = [*asked, *(address for address in self._addresses.to_probe() if address not in asked)]
            answers = await self._dataplane.probe(due) if due else None
            if answers is not None:
                own = dict.fromkeys(self._dataplane.own_among(due), THIS_MACHINE)
                changed = self._vacancies.note(due, answers | own)
                for service in self._cache.all(kinds.SERVICE) if asked or changed else ():
                    self._queues.services.add(key_of(service))
                if changed:
                    yield changed
            elif asked:
                self._vacancies.ask(asked)  # the link is not there: nothing was found out
                await asyncio.sleep(1)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await self._vacancies.wanted.wait()
