"""Answers those who wait for a server: what its ``status.settled`` says, on the object that each made for its wait."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from virtualserver.kube import fields
from virtualserver.kube.errors import Conflict, NotFound
from virtualserver.kube.objects import controller_reference, key_of
from virtualserver.operator.kinds import VIRTUAL_SERVER, WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.kube.apply import Applier
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest

__all__ = ["BY_SERVER", "Waits", "server_of", "servers"]

BY_SERVER: Final = "server"
"""Index of VirtualServerWaits: NAMESPACE/NAME of the server that each waits for."""
_MOST: Final = 20
"""Waits that are answered at a time, the newest: who makes more holds up nobody else."""


class Waits:
    """Answers waits.

    Args:
        cache: Follows servers and waits.
        applier: Writes as the operator.
    """

    def __init__(self, cache: Cache, applier: Applier) -> None:
        self._cache = cache
        self._applier = applier

    async def answer(self, server: Manifest, settled: str) -> None:
        """Tell those who wait for this key, and make their waits the server's, so that they go with it.

        Args:
            server: As it is.
            settled: What its ``status.settled`` says.
        """
        key, _, _ = settled.partition(" ")
        waiting = [
            wait
            for wait in self._cache.by_index(WAIT, BY_SERVER, "/".join(key_of(server)))
            if fields.mapping(wait, "spec").get("key") == key and fields.status_of(wait).get("settled") != settled
        ]
        waiting.sort(key=lambda wait: str(wait["metadata"].get("creationTimestamp")), reverse=True)
        for wait in itertools.islice(waiting, _MOST):
            try:
                written = await self._applier.own(WAIT, wait, controller_reference(VIRTUAL_SERVER, server))
                written = await self._applier.apply_status(WAIT, written or wait, {"settled": settled})
            except (Conflict, NotFound):
                continue  # it is gone, or another one
            if written is not None:
                self._cache.remember(WAIT, written)


def server_of(wait: Manifest) -> Key:
    """Return the key of the server that is waited for."""
    return str(wait["metadata"].get("namespace", "")), str(fields.mapping(wait, "spec").get("server", ""))


def servers(wait: Manifest) -> Iterable[str]:
    """Return the server that is waited for, as the index has it."""
    return ("/".join(server_of(wait)),)
