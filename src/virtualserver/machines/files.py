"""Where a machine's files lie, each with what it is for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.machines.spec import Disk

__all__ = ["Files"]


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """Where a machine's files lie.

    Attributes:
        machine: Its folder among the installation's state: ``spec.json``, ``qemu.log``, what only this launch writes.
        run: Its folder of sockets, which only its user may enter.
    """

    machine: Path
    run: Path

    @property
    def spec(self) -> Path:
        """What the machine is, written before the launch."""
        return self.machine / "spec.json"

    @property
    def process(self) -> Path:
        """Boot and process that run it, written by that process before it becomes QEMU."""
        return self.machine / "process"

    @property
    def end(self) -> Path:
        """How it ended."""
        return self.machine / "end.json"

    @property
    def dismissed(self) -> Path:
        """There while the machine's end is ours, whoever of us lives to see it."""
        return self.machine / "dismissed"

    @property
    def frozen(self) -> Path:
        """Why we stopped the guest's processors; there while they stand still."""
        return self.machine / "frozen"

    @property
    def paused(self) -> Path:
        """There while a user has the guest's processors stand still."""
        return self.machine / "paused"

    @property
    def rebooting(self) -> Path:
        """Until when a guest that powers off is started again, in seconds since the epoch."""
        return self.machine / "rebooting"

    @property
    def lock(self) -> Path:
        """Held by QEMU as long as it lives."""
        return self.machine / "lock"

    @property
    def log(self) -> Path:
        """What QEMU wrote to standard output and error."""
        return self.machine / "qemu.log"

    @property
    def console_log(self) -> Path:
        """The last of what the guest wrote to its first serial port; what came before is in `console_log_before`."""
        return self.machine / "console.log"

    @property
    def console_log_before(self) -> Path:
        """Where `logs.bound` moves the end of `console_log` when that has grown."""
        return self.machine / "console.log.1"

    @property
    def logs(self) -> tuple[Path, ...]:
        """All that is written about a launch, or by its guest, in lines."""
        return self.log, self.console_log, self.console_log_before

    @property
    def uefi_variables(self) -> Path:
        """The machine's copy of the UEFI variables."""
        return self.machine / "uefi-variables.fd"

    def overlay(self, disk: Disk) -> Path:
        """Return where the writes to an ephemeral disk go."""
        return self.machine / f"{disk.name}.qcow2"

    @property
    def pid(self) -> Path:
        """QEMU's own PID file: it removes it unless it crashes."""
        return self.run / "pid"

    @property
    def qmp(self) -> Path:
        """The socket that controls QEMU; it serves one client at a time."""
        return self.run / "qmp.sock"

    @property
    def console(self) -> Path:
        """The socket of the first serial port."""
        return self.run / "serial.sock"

    @property
    def vnc(self) -> Path:
        """The socket of the graphical console."""
        return self.run / "vnc.sock"
