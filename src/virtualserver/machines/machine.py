"""One QEMU process: whether it runs, how it ended, and the few things it is asked to do.

A machine outlives this object and this program: what is known about it lies in its two folders, and `Machine` only
watches. Nothing here starts QEMU (that is `hypervisor`) or knows Kubernetes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from virtualserver.host.files import write_atomically
from virtualserver.host.logs import bound
from virtualserver.host.process import Process, borrow
from virtualserver.machines import taps
from virtualserver.machines.cgroup import leave_group
from virtualserver.machines.end_record import EndRecord
from virtualserver.machines.ends import Ended, EndReason, MachineState, Running
from virtualserver.machines.monitor import FAULTS, Monitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from pathlib import Path

    from virtualserver.machines.files import Files
    from virtualserver.machines.spec import MachineSpec

__all__ = ["CONSOLE_BYTES", "EndReason", "Ended", "Machine", "MachineState", "Running"]

_LOG: Final = logging.getLogger(__name__)
_COMMAND_SECONDS: Final = 10.0
_QUIT_SECONDS: Final = 10.0
_LEAVE_SECONDS: Final = 5.0
"""How long the end of a connection, or of a process, may come after the other."""
_SPACE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 1.0
_LOG_BYTES: Final = 1 << 20
CONSOLE_BYTES: Final = 64 << 10
"""So much of what a guest wrote to its console is kept at least, and twice as much at most."""
_STOPPED: Final = (
    "QEMU itself was stopped on the host (SIGSTOP): the guest stands still until somebody continues it (kill -CONT), "
    "or it is restarted"
)
_RETRY_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Machine:
    """Watches and controls one QEMU process; made by `hypervisor.Hypervisor` only.

    Attributes:
        spec: What it was launched as.
        started: When QEMU was started, in seconds since the epoch; None: it never was.
        state: What it does now.
    """

    def __init__(self, spec: MachineSpec, files: Files, *, group: Path | None) -> None:
        """Look at what the folders say, and change nothing; `watch` begins to follow it.

        Args:
            spec: What it was launched as.
            files: Its folders.
            group: Its cgroup, removed when it has ended; None: it has none.
        """
        self.spec = spec
        self.started: float | None = None
        self._files = files
        self._group = group
        self._process = Process.read(files.process)
        self._pidfd = self._process.descriptor() if self._process else None
        self._monitor = Monitor(spec.name, files.qmp, self._hear)
        self._end = EndRecord(files)
        self._known = asyncio.Event()
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()
        self._frozen = self._why_frozen()
        """Why we stopped the guest's processors; empty where we did not."""
        self._is_paused = files.paused.exists()
        self._is_stopped = False
        self.state: MachineState = self._running() if self._pidfd is not None else self._end.read(self._process)
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
    def console_logs(self) -> tuple[Path, Path]:
        """What the guest wrote to its serial console: what came before, which may not be there, and the last of it."""
        return self._files.console_log_before, self._files.console_log

    @property
    def log(self) -> Path:
        """What QEMU itself wrote."""
        return self._files.log

    def cut_off(self) -> list[str]:
        """Return the taps that QEMU still has open although somebody deleted them."""
        return [] if self.pid is None else taps.deleted(self.pid, self.spec.nics)

    def borrow_tap(self, device: str) -> int:
        """Return a descriptor of the file by which QEMU has a tap open; the caller closes it.

        Raises:
            OSError: It has none of that name, has ended, or may not be looked into.
        """
        number = None if self.pid is None else taps.opened(self.pid, self.spec.nics).get(device)
        if number is None or self._pidfd is None:
            raise FileNotFoundError(errno.ENOENT, "the machine has no such tap open", device)
        return borrow(self._pidfd, number)

    @property
    def written(self) -> list[Path]:
        """The files that the guest's writes go to."""
        disks = (disk for disk in self.spec.disks if not disk.read_only)
        return [self._files.overlay(disk) if disk.ephemeral else disk.path for disk in disks]

    async def changes(self) -> AsyncIterator[MachineState]:
        """Yield the current state, then each other state once, until the machine has ended."""
        seen = self.state
        yield seen
        while isinstance(seen, Running):
            changed = self._changed
            if self.state == seen:
                await changed.wait()
            if self.state != seen:
                seen = self.state
                yield seen

    @property
    def is_dismissed(self) -> bool:
        """Whether its end is ours, however it comes about."""
        return self._files.dismissed.exists()

    def dismiss(self) -> None:
        """Write down, before it is asked to end, that it ends because we stop: no end is the guest's own then."""
        write_atomically(self._files.dismissed, b"")

    def retain(self) -> None:
        """Take `dismiss` back: from now on an end is the guest's own again."""
        self._files.dismissed.unlink(missing_ok=True)

    async def power_down(self) -> bool:
        """Press the power button; the guest may take its time, or ignore it. It ends where it powers off.

        A guest that a user has paused goes on first: it would not hear.

        Returns:
            Whether QEMU took it: not where it has ended or does not answer.
        """
        self._files.rebooting.unlink(missing_ok=True)
        if self._is_paused:
            await self.unpause()
        return await self._execute("system_powerdown")

    async def soft_reboot(self, limit_seconds: float) -> bool:
        """Press the power button, and start the guest again where it powers off in time; the process stays.

        Args:
            limit_seconds: So long counts a guest that powers off as one that obeys; later it does so by itself.

        Returns:
            Whether QEMU took it: not where it has ended or does not answer.
        """
        write_atomically(self._files.rebooting, f"{time.time() + limit_seconds}")
        if await self._execute("system_powerdown"):
            return True
        self._files.rebooting.unlink(missing_ok=True)
        return False

    async def pause(self) -> bool:
        """Have the guest stand still until `unpause`, whoever of us lives meanwhile.

        Returns:
            Whether QEMU took it: not where it has ended or does not answer.
        """
        # The mark comes first: whoever finds it stops the guest again, which changes nothing.
        write_atomically(self._files.paused, b"")
        if not await self._execute("stop"):
            self._files.paused.unlink(missing_ok=True)
            return False
        self._is_paused = True
        self._go_on()
        return True

    async def unpause(self) -> bool:
        """Take `pause` back; a guest that stands still for another reason goes on doing so.

        Returns:
            Whether QEMU took it: not where it has ended or does not answer.
        """
        # The mark goes first: whoever finds the guest stopped by nobody lets it go on.
        self._files.paused.unlink(missing_ok=True)
        self._is_paused = False
        taken = self.is_frozen or await self._execute("cont")
        self._go_on()
        return taken

    @property
    def is_paused(self) -> bool:
        """Whether a user has the guest stand still."""
        return self._is_paused

    async def reset(self) -> bool:
        """Press the reset button: the guest starts again, the process stays.

        Returns:
            Whether QEMU took it: not where it has ended or does not answer.
        """
        return await self._execute("system_reset")

    async def freeze(self, why: str) -> None:
        """Stop the guest's processors until `thaw`, whoever of us lives meanwhile; nothing that it has is lost.

        Args:
            why: One sentence for people, which the state repeats.
        """
        if isinstance(self.state, Ended):
            return
        if self._frozen != why:
            write_atomically(self._files.frozen, why)
            self._frozen = why
        await self._execute("stop")
        self._go_on()

    async def thaw(self) -> None:
        """Let the guest's processors go on; where QEMU does not take it, the guest stays frozen."""
        # The guest goes on before the mark goes: whoever finds both thaws again, which changes nothing.
        if self.is_frozen and (self._is_paused or await self._execute("cont")):
            self._files.frozen.unlink(missing_ok=True)
            self._frozen = ""
            self._go_on()

    @property
    def is_frozen(self) -> bool:
        """Whether we stopped the guest's processors."""
        return bool(self._frozen)

    def _why_frozen(self) -> str:
        """Return what whoever stopped the guest's processors wrote down; empty where nobody did."""
        try:
            return self._files.frozen.read_text()
        except FileNotFoundError:
            return ""

    def _running(self) -> Running:
        return Running(_STOPPED if self._is_stopped else self._frozen, is_paused=self._is_paused)

    def _go_on(self) -> None:
        """Tell everybody that the machine runs, unless it has ended meanwhile."""
        if isinstance(self.state, Running):
            self._settle(self._running())

    async def quit(self) -> None:
        """End QEMU now, as if the plug were pulled, and return when it is gone."""
        if isinstance(self.state, Running):
            await self._execute("quit")
            await self._gone()

    def watch(self) -> None:
        """Begin to follow the machine in the background."""
        if self._pidfd is None:
            self._settle(self._end.read(self._process))
        elif self._watcher is None:
            self._watcher = asyncio.create_task(self._watch(self._pidfd), name=f"machine {self.spec.name}")

    async def settle(self, limit_seconds: float) -> bool:
        """Wait until it is known whether the guest runs or has ended; False: not known within the limit."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._known.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop watching; the machine goes on."""
        tasks = [*self._later, *([self._watcher] if self._watcher is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watcher = None
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    async def _watch(self, pidfd: int) -> None:
        """Talk to QEMU until its process ends, and say how it ended."""
        loop = asyncio.get_running_loop()
        exited = asyncio.Event()
        loop.add_reader(pidfd, exited.set)
        talk, look = asyncio.create_task(self._monitor.keep(exited, self._meet)), asyncio.create_task(self._look())
        try:
            await exited.wait()
            # The end of QEMU ends the connection, once all is read that came by it. The library leaves tasks behind
            # that nobody asks for their exceptions where it is cut short in that.
            await asyncio.wait([talk], timeout=_LEAVE_SECONDS)
        finally:
            loop.remove_reader(pidfd)
            for task in (talk, look):
                task.cancel()
            await asyncio.gather(talk, look, return_exceptions=True)
        await leave_group(self._group)
        self._settle(self._end.read(self._process))

    async def _look(self) -> None:
        """Say when somebody has stopped QEMU itself, and when it goes on: meanwhile it answers nothing.

        Its logs are kept from growing.
        """
        seen = False
        while self._process is not None:
            was, seen = seen, self._process.is_stopped()
            # Two looks, since who is stopped together with everything else goes on together with it too.
            bound(self._files.log, _LOG_BYTES)  # a guest can have QEMU complain as often as it likes
            bound(self._files.console_log, CONSOLE_BYTES)
            if (is_stopped := was and seen) != self._is_stopped:
                self._is_stopped = is_stopped
                _LOG.warning("machine %s: QEMU, PID %d, %s", self.spec.name, self._process.pid, _word(is_stopped))
                if self._is_held and not is_stopped:
                    await self._execute("stop")  # which QEMU may not have heard
                self._go_on()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _meet(self) -> None:
        """Find out what the guest does, and have it do what it should, when QEMU is spoken to again."""
        status = await self._monitor.status()
        if status in {"shutdown", "internal-error", "guest-panicked"}:
            message = f"the guest's status was {status!r} when it was found"
            self._on_end(guest=status == "shutdown", reason=status, message=message)
        elif status == "io-error":
            self._on_stop()
        else:
            # Whoever was about to stop the guest, or to let it go on, may have been killed in between.
            if self._is_held and status == "running":
                await self._monitor.execute("stop")
            elif not self._is_held and status in {"paused", "prelaunch"}:
                await self._monitor.execute("cont")
            self._settle(self._running())

    def _hear(self, event: str, data: Mapping[str, Any]) -> None:
        """Act on QEMU's word that the guest ends or stands still."""
        if event == "STOP":
            self._on_stop()
            return
        reason = str(data["reason"])
        words = {
            "guest-shutdown": "the guest powered off",
            "host-qmp-quit": "QEMU was told to end",
            "host-signal": "QEMU was ended by a signal",
        }
        self._on_end(guest=bool(data["guest"]), reason=reason, message=words.get(reason, f"QEMU ended: {reason}"))

    def _on_stop(self) -> None:
        """Find out why the guest stands still; where its disk cannot be written, try again now and then."""
        if not any(task.get_name() == "stopped" for task in self._later):
            self._do_later(self._wait_for_space(), name="stopped")

    async def _wait_for_space(self) -> None:
        """Let the guest go on as soon as the host has room for what it writes: QEMU stops it before it loses data."""
        while isinstance(self.state, Running) and self._monitor.is_connected:
            try:
                if self._is_held or await self._monitor.status() != "io-error":
                    break
                self._settle(Running("the host has no room for what the guest writes; it goes on when there is"))
                await asyncio.sleep(_SPACE_SECONDS)
                if not self._is_held:  # by now
                    await self._monitor.execute("cont")
                # An error of the next write comes a moment after the guest was let go.
                await asyncio.sleep(_SPACE_SECONDS / 4)
            except FAULTS:
                return
        self._go_on()

    def _on_end(self, *, guest: bool, reason: str, message: str) -> None:
        """Record how the machine ends, and let QEMU go: with ``-no-shutdown`` it stays for whoever reads its status.

        Args:
            guest: True where the guest wanted it.
            reason: QEMU's word for it.
            message: One sentence for people.
        """
        if reason in {"host-qmp-quit", "host-signal"}:
            self._end.write(EndReason.QUIT, message)
            return
        if guest and self._is_to_start_again():
            self._do_later(self._start_again(), name="start again after a soft reboot")
            return
        self._end.write(EndReason.GUEST_SHUTDOWN if guest else EndReason.CRASH, message)
        self._do_later(self.quit(), name="quit after the guest's end")

    @property
    def _is_held(self) -> bool:
        """Whether we, or a user, have the guest stand still."""
        return self.is_frozen or self._is_paused

    def _is_to_start_again(self) -> bool:
        """Return whether a guest that powers off now does so because it was asked to reboot."""
        try:
            until = float(self._files.rebooting.read_text())
        except (FileNotFoundError, ValueError):
            return False
        return time.time() < until and not self.is_dismissed

    async def _start_again(self) -> None:
        """Reset a guest that has powered off, and let it go on; where QEMU does not take that, it has ended."""
        taken = await self._execute("system_reset")
        for pause in _RETRY_SECONDS if taken else ():
            # QEMU resets a moment after it has said so, and refuses to go on before.
            if taken := await self._execute("cont"):
                break
            await asyncio.sleep(pause)
        self._files.rebooting.unlink(missing_ok=True)
        if not taken:
            self._end.write(EndReason.GUEST_SHUTDOWN, "the guest powered off, and could not be started again")
            await self.quit()
        self._go_on()

    def _do_later(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Do something in the background, and keep hold of it meanwhile."""
        task = asyncio.create_task(work, name=name)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _gone(self) -> None:
        """Wait until the process has ended; kill it if it does not."""
        try:
            async with asyncio.timeout(0 if self._is_stopped else _QUIT_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            if self._pidfd is not None:
                _LOG.warning("machine %s: QEMU does not end: killing it", self.spec.name)
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            await self._ended.wait()

    async def _execute(self, command: str) -> bool:
        """Send one command, waiting for a connection if there is none at the moment; False: QEMU did not take it."""
        if isinstance(self.state, Ended) or self._is_stopped:
            return False
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                await self._monitor.connected()
                await self._monitor.execute(command)
                return True
        except TimeoutError:
            if not isinstance(self.state, Ended):
                _LOG.warning("machine %s: QEMU did not take %s: no answer", self.spec.name, command)
        except FAULTS as error:
            # A guest that ends takes QEMU's answer along, a moment before the process is gone: that is no fault.
            if not await self._ends():
                _LOG.warning("machine %s: QEMU did not take %s: %s", self.spec.name, command, error)
        return False

    async def _ends(self) -> bool:
        """Return whether the machine, whose connection has just broken, ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._ended.wait()
        return isinstance(self.state, Ended)

    def _settle(self, state: MachineState) -> None:
        """Tell everybody what the machine does."""
        if isinstance(state, Ended):
            self._end.write(state.reason, state.message)
            self._ended.set()
        self.state = state
        self._known.set()
        self._changed.set()
        self._changed = asyncio.Event()


def _word(is_stopped: bool) -> str:
    return "has been stopped (SIGSTOP)" if is_stopped else "goes on"
