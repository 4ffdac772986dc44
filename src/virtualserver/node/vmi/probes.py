"""Readiness and liveness probes of guests: httpGet and tcpSocket, asked from the data plane.

Source: Kubernetes, "Configure Liveness, Readiness and Startup Probes"; KubeVirt's probes have the same fields.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import os
import ssl
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api.support.probe import is_asked_from_outside
from virtualserver.kube import fields
from virtualserver.kube.conditions import is_true
from virtualserver.kube.objects import Key, Manifest, key_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from virtualserver.fabric.desired.state import Address, GuestLink
    from virtualserver.kube.queue import Queue

__all__ = ["Health", "Probes", "Tally", "request_of"]

_DEFAULT_PERIOD_SECONDS: Final = 10
_DEFAULT_FAILURES: Final = 3
_HEAD_BYTES: Final = 4096


class Health(enum.Enum):
    """What the probes of a guest say."""

    READY = "ready"
    NOT_READY = "not-ready"
    DEAD = "dead"


@dataclasses.dataclass(slots=True)
class Tally:
    """Successes and failures in a row.

    Attributes:
        passes: What the probe says now.
        success_threshold: Successes in a row that make it pass.
        failure_threshold: Failures in a row that make it fail.
        streak: How many results in a row disagree with `passes`.
        answer: What came of the last attempt that failed, in words.
    """

    passes: bool
    success_threshold: int = 1
    failure_threshold: int = _DEFAULT_FAILURES
    streak: int = 0
    answer: str = ""

    def record(self, succeeded: bool) -> bool:
        """Take in one result, and return whether what the probe says changed."""
        if succeeded == self.passes:
            self.streak = 0
            return False
        self.streak += 1
        if self.streak < (self.success_threshold if succeeded else self.failure_threshold):
            return False
        self.passes, self.streak = succeeded, 0
        return True


def _at_least(least: int, value: int | None, *, otherwise: int = 0) -> int:
    """Return what a probe says of a time or a number, 0 and None standing for nothing: pure.

    Less than Kubernetes would take must not have us ask without a pause: KubeVirt's API bounds none of them.
    """
    return max(least, value or otherwise)


def request_of(get: Mapping[str, Any], address: str) -> bytes:
    """Return the HTTP request of an ``httpGet`` probe: pure."""
    headers = {"Host": get.get("host") or address, "User-Agent": "virtualserver-probe", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in fields.items(get, "httpHeaders")}
    lines = [f"GET {get.get('path') or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclasses.dataclass(slots=True)
class _Watched:
    readiness: Tally | None
    liveness: Tally | None
    tasks: list[asyncio.Task[None]]


class Probes:
    """Runs the probes of all guests."""

    def __init__(self, queue: Queue[Key], open_socket: Callable[[int], socket.socket]) -> None:
        """Name the way to the guests.

        Args:
            queue: The key of a VMI is added where its health changed.
            open_socket: Returns a TCP socket of a family (4 or 6) in the namespace that has a route to them.
        """
        self._queue = queue
        self._open_socket = open_socket
        self._watched: dict[str, _Watched] = {}

    def health(self, vmi: Manifest, link: GuestLink | None) -> Health:
        """Return what the probes of a running VMI say now; the first call starts them."""
        if link is None:
            return Health.READY
        watched = self._watched.get(vmi["metadata"]["uid"]) or self._start(vmi, link)
        if watched.liveness is not None and not watched.liveness.passes:
            return Health.DEAD
        if watched.readiness is not None and not watched.readiness.passes:
            return Health.NOT_READY
        return Health.READY

    def answer(self, uid: str) -> str:
        """Return what came of the last readiness probe that failed, in words; ``""`` where none was made."""
        watched = self._watched.get(uid)
        return watched.readiness.answer if watched and watched.readiness else ""

    def forget(self, uid: str) -> None:
        """Stop the probes of a VMI."""
        watched = self._watched.pop(uid, None)
        for task in watched.tasks if watched else ():
            task.cancel()

    def _start(self, vmi: Manifest, link: GuestLink) -> _Watched:
        watched = _Watched(None, None, [])
        self._watched[vmi["metadata"]["uid"]] = watched
        # A guest that was ready when this program ended is so until a probe says otherwise.
        was_ready = fields.status_of(vmi).get("phase") == "Running" and is_true(vmi, "Ready")
        watched.readiness = self._run(vmi, "readinessProbe", link, watched, passes=was_ready)
        watched.liveness = self._run(vmi, "livenessProbe", link, watched, passes=True)
        return watched

    def _run(self, vmi: Manifest, field: str, link: GuestLink, watched: _Watched, *, passes: bool) -> Tally | None:
        probe = fields.mapping(vmi["spec"], field)
        if not is_asked_from_outside(probe):
            return None
        tally = Tally(
            passes=passes,
            success_threshold=_at_least(1, probe.get("successThreshold")),
            failure_threshold=_at_least(1, probe.get("failureThreshold"), otherwise=_DEFAULT_FAILURES),
        )
        address = link.addresses[0]
        task = asyncio.create_task(self._repeat(probe, address, tally, key_of(vmi)), name=f"{field} {address}")
        watched.tasks.append(task)
        return tally

    async def _repeat(self, probe: Mapping[str, Any], address: Address, tally: Tally, key: Key) -> None:
        await asyncio.sleep(_at_least(0, probe.get("initialDelaySeconds")))
        while True:
            answer = await self._ask(probe, address)
            # Whoever waits for the probe is told of each other answer, too.
            is_news = bool(answer) and answer != tally.answer and not tally.passes
            tally.answer = answer or tally.answer
            if tally.record(not answer) or is_news:
                self._queue.add(key)
            await asyncio.sleep(_at_least(1, probe.get("periodSeconds"), otherwise=_DEFAULT_PERIOD_SECONDS))

    async def _ask(self, probe: Mapping[str, Any], address: Address) -> str:
        """Return ``""`` where the guest answers as it should, else what came of asking."""
        get = fields.mapping(probe, "httpGet")
        port: Any = (get or fields.mapping(probe, "tcpSocket")).get("port")
        limit = _at_least(1, probe.get("timeoutSeconds"))
        try:
            async with asyncio.timeout(limit):
                answer = await self._answer(get, address, int(port))
        except TimeoutError:
            answer = f"no answer within {limit} s"
        except ssl.SSLError as error:
            answer = f"no TLS: {error.reason}"
        except OSError as error:
            answer = os.strerror(error.errno).lower() if error.errno else str(error)
        except OverflowError:
            answer = "no port number"
        except (ValueError, IndexError, TypeError):
            answer = "no HTTP" if get else "no port number"
        return answer and f"port {port}: {answer}"

    async def _answer(self, get: Mapping[str, Any], address: Address, port: int) -> str:
        connection = self._open_socket(address.version)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
            return await self._get(get, connection, str(address)) if get else ""
        finally:
            connection.close()

    async def _get(self, get: Mapping[str, Any], connection: socket.socket, address: str) -> str:
        context = None
        if get.get("scheme") == "HTTPS":
            # As in Kubernetes: a probe asks whether the guest answers, not who it is.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        name = address if context else None
        reader, writer = await asyncio.open_connection(sock=connection, ssl=context, server_hostname=name)
        try:
            writer.write(request_of(get, address))
            await writer.drain()
            status = (await reader.readline())[:_HEAD_BYTES].split()[1]
            return "" if 200 <= int(status) < 400 else f"HTTP status {int(status)}"
        finally:
            writer.close()
