"""A conversation with one QEMU by its monitor (QMP), begun again as often as it breaks.

What QEMU says is judged by `machine.Machine`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from qemu.qmp import EventListener, Message, QMPClient, QMPError, Runstate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

__all__ = ["FAULTS", "Monitor"]

FAULTS: Final = (QMPError, OSError)
"""What a command ends with that QEMU did not take, or whose answer did not come."""

_LOG: Final = logging.getLogger(__name__)
# The library calls each failed attempt to connect an error; while QEMU starts they are the rule. One that is cut short
# by QEMU's end is critical to it, with a traceback.
_QMP_LOG: Final = _LOG.getChild("qmp")
_QMP_LOG.setLevel(logging.CRITICAL + 1)
_CONNECT_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Monitor:
    """The conversation; `keep` holds it."""

    def __init__(self, name: str, socket: Path, hear: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Name it; nothing is said yet.

        Args:
            name: The machine's, for the log.
            socket: QEMU's.
            hear: Is told name and data of QEMU's words that the guest ends or stands still, at once and in order.
        """
        self._name = name
        self._socket = socket
        self._hear = hear
        self._client: QMPClient | None = None
        self._connected = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether QEMU listens now."""
        return self._client is not None

    async def keep(self, exited: asyncio.Event, begin: Callable[[], Awaitable[None]]) -> None:
        """Keep a connection until the process has ended.

        Args:
            exited: Set when it has.
            begin: Awaited at the beginning of each connection, when commands are taken.
        """
        attempt = 0
        while not exited.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]):
                    await exited.wait()
            attempt += 1
            client = QMPClient(self._name)
            client.logger = _QMP_LOG
            listener = _Listener(self._hear)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await client.connect(str(self._socket))
                client.register_listener(listener)
                self._client = client
                self._connected.set()
                await begin()
                while client.runstate is Runstate.RUNNING:
                    await client.runstate_changed()
            except (*FAULTS, TimeoutError) as error:
                _LOG.debug("machine %s: no QMP yet: %s", self._name, error)
            finally:
                self._client = None
                self._connected.clear()
                with contextlib.suppress(Exception):
                    await client.disconnect()

    async def connected(self) -> None:
        """Wait until QEMU listens."""
        await self._connected.wait()

    async def execute(self, command: str) -> Any:
        """Send one command, and return QEMU's answer.

        Raises:
            QMPError: QEMU did not take it.
            OSError: There is no connection, or it broke.
        """
        if self._client is None:
            raise ConnectionResetError("QEMU does not listen")
        return await self._client.execute(command)

    async def status(self) -> str:
        """Return QEMU's word for what the guest does, as `execute` does."""
        return str(cast("Mapping[str, Any]", await self.execute("query-status"))["status"])


class _Listener(EventListener):
    """Hands QEMU's word that the guest ends or stands still on."""

    def __init__(self, hear: Callable[[str, Mapping[str, Any]], None]) -> None:
        super().__init__(names={"SHUTDOWN", "STOP"})
        self._hear = hear

    async def put(self, event: Message) -> None:
        """Take one event."""
        if self.accept(event):
            self._hear(str(event["event"]), cast("Mapping[str, Any]", event.get("data") or {}))
