"""One holder at a time: a ``coordination.k8s.io/v1`` Lease, as Kubernetes' own components hold it.

A Lease keeps two processes from doing the same work, as long as each stops when it can no longer renew: a holder gives
up after two thirds of the Lease's duration without a renewal, others take over after the whole. Whether it ran out is
measured by our own clock from when we last saw the record change, so that clocks need not agree.
Source: https://kubernetes.io/docs/concepts/architecture/leases/.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from virtualserver.kube.errors import ApiError, Conflict, NotFound
from virtualserver.kube.objects import Resource
from virtualserver.kube.times import micro_timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

__all__ = ["LEASES", "Lease", "LeaseLost"]

_logger = logging.getLogger(__name__)

LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")


class LeaseLost(Exception):
    """The Lease could not be renewed in time, or somebody else holds it; the body was cancelled."""


class Lease:
    """The record of who holds it, as one candidate sees it.

    Args:
        client: An entered client.
        namespace: Where the Lease is.
        name: Its name, the same for all candidates.
        identity: Names this process; distinct among candidates.
        seconds: After how long without a renewal others may take over; at least 1.
    """

    def __init__(self, client: Client, *, namespace: str, name: str, identity: str, seconds: float = 15) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seconds = seconds
        self._seen: tuple[Any, ...] = ()
        self._seen_at = 0.0

    @staticmethod
    @contextlib.asynccontextmanager
    async def hold(
        client: Client, *, namespace: str, name: str, identity: str, seconds: float = 15
    ) -> AsyncGenerator[None]:
        """Wait until the Lease is ours, keep it during the body, and release it afterwards.

        Args:
            client: An entered client.
            namespace: Where the Lease is.
            name: Its name, the same for all candidates.
            identity: Names this process; distinct among candidates. A Lease that bears it is taken over at once.
            seconds: After how long without a renewal others may take over; at least 1.

        Raises:
            LeaseLost: It could not be kept; the body was cancelled before anybody else may have begun.
        """
        lease = Lease(client, namespace=namespace, name=name, identity=identity, seconds=seconds)
        await lease.acquire()
        body = asyncio.current_task()
        assert body is not None  # noqa: S101 - a coroutine that runs has its task
        keeper = asyncio.create_task(lease.keep(body), name=f"lease-{name}")
        try:
            yield
        except asyncio.CancelledError:
            if keeper.done() and body.uncancel() <= 0:
                raise LeaseLost(f"{namespace}/{name}: the Lease could not be kept; the work was stopped") from None
            raise
        finally:
            if not keeper.done():
                keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeper
                await lease.release()

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        said = ""
        while True:
            try:
                holder = await self._try()
            except ApiError as error:
                holder = f"unknown ({error})"
            if holder == self._identity:
                _logger.info("%s/%s: held by us, %s", self._namespace, self._name, self._identity)
                return
            if holder != said:
                said = holder
                _logger.info("%s/%s: waiting, the holder is %s", self._namespace, self._name, holder)
            await asyncio.sleep(self._seconds / 8)

    async def keep(self, body: asyncio.Task[Any]) -> None:
        """Renew until cancelled; where that fails for too long, cancel the body and return."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(self._seconds / 6)
            begun = loop.time()
            deadline = renewed + self._seconds * 2 / 3
            try:
                async with asyncio.timeout_at(deadline):
                    holder = await self._try()
            except (ApiError, TimeoutError) as error:
                if loop.time() < deadline:
                    continue
                _logger.error("%s/%s: lost, it cannot be renewed: %s", self._namespace, self._name, error)
                break
            if holder != self._identity:
                _logger.error("%s/%s: lost to %s", self._namespace, self._name, holder)
                break
            renewed = begun
        body.cancel()

    async def release(self) -> None:
        """Let others take over at once; where that fails, they wait until the Lease runs out."""
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(self._seconds / 3):
                record = await self._client.get(LEASES, self._name, namespace=self._namespace)
                if record["spec"].get("holderIdentity") == self._identity:
                    await self._write(
                        record,
                        {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()},
                    )

    async def _try(self) -> str:
        """Take or renew the Lease if that is ours to do, and return who holds it then."""
        try:
            record = await self._client.get(LEASES, self._name, namespace=self._namespace)
        except NotFound:
            record = None
        taken = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "renewTime": _now(),
        }
        try:
            if record is None:
                await self._create(taken | {"acquireTime": _now(), "leaseTransitions": 0})
                return self._identity
            spec: dict[str, Any] = record.get("spec") or {}
            holder = spec.get("holderIdentity") or ""
            if holder != self._identity:
                if holder and not self._has_run_out(spec):
                    return holder
                taken |= {
                    "acquireTime": _now(),
                    "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1,
                }
            await self._write(record, taken)
        except Conflict:
            return "somebody who was faster"
        return self._identity

    def _has_run_out(self, spec: dict[str, Any]) -> bool:
        """Say whether the record stood still for its duration while we looked at it."""
        now = asyncio.get_running_loop().time()
        seen = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at > float(spec.get("leaseDurationSeconds") or self._seconds)

    async def _create(self, spec: dict[str, Any]) -> None:
        manifest = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }
        await self._client.create(LEASES, manifest, field_manager=self._identity[:128])

    async def _write(self, record: Manifest, spec: dict[str, Any]) -> None:
        """Change the Lease, unless somebody else did since the record was read."""
        patch = {"metadata": {"resourceVersion": record["metadata"]["resourceVersion"]}, "spec": spec}
        await self._client.patch(
            LEASES, self._name, patch, namespace=self._namespace, field_manager=self._identity[:128]
        )


def _now() -> str:
    return micro_timestamp(time.time())
