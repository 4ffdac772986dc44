"""Processes that cannot be mistaken: a PID alone may belong to somebody else tomorrow."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import resource
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Process", "allow_open_files", "boot_id", "borrow", "end"]

_PIDFD_GETFD: Final = 438


def boot_id() -> str:
    """Return the kernel's name of this boot. Source: random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """One process, for all time.

    Attributes:
        pid: Its PID.
        started: When it started, in clock ticks since boot. Source: proc(5), field 22 of ``/proc/PID/stat``.
        boot: The kernel's name of the boot in which it started.
    """

    pid: int
    started: int
    boot: str = dataclasses.field(default_factory=boot_id)

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process that has this PID now, None where none has it or it has ended."""
        try:
            process = cls(pid, _start_ticks(Path(f"/proc/{pid}/stat").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            return None
        return process if process.is_alive() else None

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """Return the process that recorded itself in a file: the boot's name, then its ``/proc/PID/stat``.

        None where there is no such record.
        """
        try:
            boot, stat = path.read_text().splitlines()[:2]
        except (FileNotFoundError, ValueError):
            return None
        return cls(int(stat.split(" ", 1)[0]), _start_ticks(stat), boot)

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the host has not been started again since."""
        return self.boot == boot_id()

    def descriptor(self) -> int | None:
        """Return a descriptor that stands for the process for ever, None where it has ended; the caller closes it."""
        if not self.is_of_this_boot:
            return None
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # Only now is it sure that the PID cannot change hands between the look and the use. And only the descriptor
        # says when all threads have ended: until then the process holds its files, though it may look like a zombie.
        try:
            same = _start_ticks(Path(f"/proc/{self.pid}/stat").read_text()) == self.started
        except (FileNotFoundError, ProcessLookupError):
            same = False
        if same and not select.select([descriptor], [], [], 0)[0]:
            return descriptor
        os.close(descriptor)
        return None

    @contextlib.contextmanager
    def open(self) -> Generator[int | None]:
        """Yield `descriptor`, which is readable once the process ends, and close it afterwards."""
        descriptor = self.descriptor()
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        with self.open() as descriptor:
            return descriptor is not None

    def is_stopped(self) -> bool:
        """Return whether somebody has stopped it, as SIGSTOP and a debugger do."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
        except (FileNotFoundError, ProcessLookupError):
            return False


def end(process: Process, *, limit_seconds: float = 15, by: signal.Signals = signal.SIGTERM) -> bool:
    """Ask a process to end, wait, and kill it when the limit has passed; return whether it ended by itself."""
    with process.open() as descriptor:
        if descriptor is None:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        signal.pidfd_send_signal(descriptor, by)
        if poll.poll(limit_seconds * 1000):
            return True
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll.poll(10_000)
        return False


def allow_open_files(number: int) -> None:
    """Let this process, and those that it starts, have so many files open, where its hard limit allows it.

    What a shell gives is 1,024, which many guests and their consoles use up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def borrow(process: int, number: int) -> int:
    """Return a descriptor of a file that another process has open; the caller closes it. Source: pidfd_getfd(2).

    Args:
        process: A descriptor of that process.
        number: The number of its descriptor there.

    Raises:
        OSError: It has ended, has no such descriptor, or may not be looked into (``kernel.yama.ptrace_scope`` of 3).
    """
    borrowed = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, number, 0)
    if borrowed < 0:
        failure = ctypes.get_errno()
        raise OSError(failure, os.strerror(failure))
    return borrowed


def _start_ticks(stat: str) -> int:
    """Return the start time from a line of ``/proc/PID/stat``; the name in it may hold anything."""
    return int(stat.rpartition(")")[2].split()[19])
