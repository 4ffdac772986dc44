"""One QEMU process: whether it runs, how it ended, and the few things it is asked to do.

A machine outlives this object and this program: what is known about it lies in its two folders, and `Machine` only
watches. Nothing here starts QEMU (that is `hypervisor`) or knows Kubernetes.
Tests: ``tests/unit/node/test_machine.py``, ``tests/integration/node/test_hypervisor.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from qemu.qmp import EventListener, Message, QMPClient, QMPError, Runstate

from virtualserver.instance import write_atomically

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from virtualserver.node.launch import Files, MachineSpec

__all__ = ["EndReason", "Ended", "Machine", "MachineState", "Process", "Running", "boot_identifier", "last_lines"]

_LOG: Final = logging.getLogger(__name__)
# The library calls each failed attempt to connect an error; while QEMU starts they are the rule.
_QMP_LOG: Final = _LOG.getChild("qmp")
_QMP_LOG.setLevel(logging.CRITICAL)
_END_VERSION: Final = 1
_CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 10.0
_QUIT_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class EndReason(enum.StrEnum):
    """Why a machine no longer runs."""

    GUEST_SHUTDOWN = "guest-shutdown"
    """The guest powered itself off, by itself or because the power button was pressed."""
    CRASH = "crash"
    """QEMU died, was killed, or went down with the host."""
    QUIT = "quit"
    """QEMU was told to end, by us or by a signal that asks."""


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """The QEMU process is there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The QEMU process is gone, so that its disks and its user are free.

    Attributes:
        reason: Why.
        message: One sentence for people.
    """

    reason: EndReason
    message: str


MachineState = Running | Ended
"""What a machine does."""


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one of the same PID.

    Attributes:
        boot: The kernel's name of this boot.
        pid: Its PID.
        start_ticks: When it started, in clock ticks since boot.
    """

    boot: str
    pid: int
    start_ticks: int

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """Return the process that recorded itself in a file; None where there is no such record."""
        try:
            boot, stat = path.read_text().splitlines()[:2]
        except (FileNotFoundError, ValueError):
            return None
        return cls(boot, int(stat.split(" ", 1)[0]), _ticks_and_state(stat)[0])

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the host has not been started again since."""
        return self.boot == boot_identifier()

    def open(self) -> int | None:
        """Return a descriptor that stands for the process for ever; None where it has ended."""
        if not self.is_of_this_boot:
            return None
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # Only now is it sure that the PID cannot change hands between the look and the use.
        try:
            ticks, state = _ticks_and_state(Path(f"/proc/{self.pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            ticks, state = -1, "X"
        if ticks == self.start_ticks and state not in "ZX":
            return descriptor
        os.close(descriptor)
        return None


def _ticks_and_state(stat: str) -> tuple[int, str]:
    """Return start time and state from a line of ``/proc/PID/stat``; the name in it may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[19]), fields[0]


class Machine:
    """Watches and controls one QEMU process; made by `hypervisor.Hypervisor` only.

    Attributes:
        spec: What it was launched as.
        started: When QEMU was started, in seconds since the epoch; None: it never was.
        state: What it does now.
    """

    def __init__(self, spec: MachineSpec, files: Files, *, group: Path | None) -> None:
        """Look at what the folders say; `watch` begins to follow it.

        Args:
            spec: What it was launched as.
            files: Its folders.
            group: Its cgroup, removed when it has ended; None: it has none.
        """
        self.spec = spec
        self.state: MachineState = Running()
        self.started: float | None = None
        self._files = files
        self._group = group
        self._process = Process.read(files.process)
        self._pidfd = self._process.open() if self._process else None
        self._client: QMPClient | None = None
        self._connected = asyncio.Event()
        self._known = asyncio.Event()
        self._ended = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        if self._process is not None:
            self.started = files.process.stat().st_mtime

    @property
    def identifier(self) -> str:
        """The machine's name for ever."""
        return self.spec.identifier

    @property
    def pid(self) -> int | None:
        """QEMU's PID; None once it has ended."""
        return self._process.pid if self._process and isinstance(self.state, Running) else None

    @property
    def console(self) -> Path:
        """The socket of the serial console; it serves one client at a time."""
        return self._files.console

    @property
    def vnc(self) -> Path:
        """The socket of the graphical console."""
        return self._files.vnc

    @property
    def log(self) -> Path:
        """What QEMU itself wrote."""
        return self._files.log

    async def changes(self) -> AsyncIterator[MachineState]:
        """Yield the current state, then each other state once, until the machine has ended."""
        yield self.state
        if isinstance(self.state, Running):
            await self._ended.wait()
            yield self.state

    async def power_down(self) -> None:
        """Press the power button; the guest may take its time, or ignore it. Does nothing once it has ended."""
        await self._execute("system_powerdown")

    async def reset(self) -> None:
        """Press the reset button: the guest starts again, the process stays. Does nothing once it has ended."""
        await self._execute("system_reset")

    async def quit(self) -> None:
        """End QEMU now, as if the plug were pulled, and return when it is gone."""
        if isinstance(self.state, Ended):
            return
        with contextlib.suppress(QMPError, OSError, TimeoutError):
            await self._execute("quit")
        await self._gone()

    def watch(self) -> None:
        """Begin to follow the machine in the background."""
        if self._pidfd is None:
            self._finish()
        elif self._watcher is None:
            self._watcher = asyncio.create_task(self._watch(self._pidfd), name=f"machine {self.spec.name}")

    async def settle(self, limit_seconds: float) -> bool:
        """Wait until it is known whether the guest runs or has ended; False: not known within the limit."""
        try:
            await asyncio.wait_for(self._known.wait(), limit_seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop watching; the machine goes on."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    async def _watch(self, pidfd: int) -> None:
        """Talk to QEMU until its process ends, and say how it ended."""
        loop = asyncio.get_running_loop()
        exited = asyncio.Event()
        loop.add_reader(pidfd, exited.set)
        talk = asyncio.create_task(self._talk())
        try:
            await exited.wait()
        finally:
            loop.remove_reader(pidfd)
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
        self._finish()

    async def _talk(self) -> None:
        """Keep a QMP connection, and act on the guest's own end."""
        for attempt in range(1 << 62):
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
            client = QMPClient(self.spec.name)
            client.logger = _QMP_LOG
            listener = _EndListener(self)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await client.connect(str(self._files.qmp))
                client.register_listener(listener)
                await self._hold(client)
            except (QMPError, OSError, TimeoutError) as error:
                _LOG.debug("machine %s: no QMP yet: %s", self.spec.name, error)
            finally:
                self._client = None
                self._connected.clear()
                with contextlib.suppress(Exception):
                    await client.disconnect()

    async def _hold(self, client: QMPClient) -> None:
        """Use a connection until it breaks."""
        self._client = client
        self._connected.set()
        status = cast("Mapping[str, Any]", await client.execute("query-status"))["status"]
        if status in {"shutdown", "internal-error", "guest-panicked"}:
            await self.on_end(
                guest=status == "shutdown",
                reason=status,
                message=f"the guest's status was {status!r} when it was found",
            )
        else:
            self._known.set()
        while client.runstate is Runstate.RUNNING:
            await client.runstate_changed()

    async def on_end(self, *, guest: bool, reason: str, message: str) -> None:
        """Record how the machine ends, and let QEMU go: with ``-no-shutdown`` it stays for whoever reads its status.

        Args:
            guest: True where the guest wanted it.
            reason: QEMU's word for it.
            message: One sentence for people.
        """
        if reason in {"host-qmp-quit", "host-signal"}:
            self._record(Ended(EndReason.QUIT, message))
            return
        self._record(Ended(EndReason.GUEST_SHUTDOWN if guest else EndReason.CRASH, message))
        if self._client is not None:
            asyncio.get_running_loop().create_task(self._quit_after_end(self._client))

    async def _quit_after_end(self, client: QMPClient) -> None:
        """End QEMU after the guest has ended."""
        with contextlib.suppress(QMPError, OSError, TimeoutError):
            async with asyncio.timeout(_COMMAND_SECONDS):
                await client.execute("quit")
        await self._gone()

    async def _gone(self) -> None:
        """Wait until the process has ended; kill it if it does not."""
        try:
            await asyncio.wait_for(self._ended.wait(), _QUIT_SECONDS)
        except TimeoutError:
            if self._pidfd is not None:
                _LOG.warning("machine %s: QEMU does not end: killing it", self.spec.name)
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            await self._ended.wait()

    async def _execute(self, command: str) -> None:
        """Send one command, waiting for a connection if there is none at the moment."""
        if isinstance(self.state, Ended):
            return
        async with asyncio.timeout(_COMMAND_SECONDS):
            await self._connected.wait()
            if self._client is not None:
                await self._client.execute(command)

    def _record(self, end: Ended) -> None:
        """Write how the machine ended, unless it is written already: the first cause is the cause."""
        if not self._files.end.exists():
            content = {"formatVersion": _END_VERSION, "reason": end.reason, "message": end.message}
            write_atomically(self._files.end, json.dumps(content))

    def _finish(self) -> None:
        """Find out how the machine ended, and tell."""
        if not self._files.end.exists():
            self._record(self._judged())
        content = json.loads(self._files.end.read_bytes())
        self.state = Ended(EndReason(content["reason"]), content["message"])
        if self._group is not None:
            # The kernel needs a moment to empty the group; whoever discards the machine tries again.
            with contextlib.suppress(OSError):
                self._group.rmdir()
        self._known.set()
        self._ended.set()

    def _judged(self) -> Ended:
        """Say how a process ended that nobody was watching: QEMU removes its PID file unless it crashes."""
        if self._process is None:
            return Ended(EndReason.CRASH, "the start was interrupted before QEMU ran")
        if not self._process.is_of_this_boot:
            return Ended(EndReason.CRASH, "the host was started again")
        if self._files.pid.exists():
            tail = last_lines(self._files.log)
            return Ended(EndReason.CRASH, f"QEMU died unexpectedly{': ' + tail if tail else ' without a message'}")
        return Ended(EndReason.QUIT, "QEMU was ended")


class _EndListener(EventListener):
    """Hands QEMU's word that the machine ends to the machine, at once and in order."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(names="SHUTDOWN")
        self._machine = machine

    async def put(self, event: Message) -> None:
        """Take one event."""
        if not self.accept(event):
            return
        data = cast("Mapping[str, Any]", event["data"])
        reason = str(data["reason"])
        words = {
            "guest-shutdown": "the guest powered off",
            "host-qmp-quit": "QEMU was told to end",
            "host-signal": "QEMU was ended by a signal",
        }
        await self._machine.on_end(
            guest=bool(data["guest"]), reason=reason, message=words.get(reason, f"QEMU ended: {reason}")
        )


def boot_identifier() -> str:
    """Return the kernel's name of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def last_lines(log: Path, *, count: int = 5) -> str:
    """Return the end of a log as one line; empty where there is none."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return "; ".join(lines[-count:])
