"""Starts machines and finds them again: QEMU itself, without anything between.

A machine's description is on disk before its process exists, and its process is written down before it becomes QEMU;
so at whatever moment this program is killed, the next one finds every machine. A lock that QEMU inherits makes sure
that there are never two of one machine. Needs root. What becomes of a machine is `machine`'s matter.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.host import locks
from virtualserver.host.files import make_folder, write_atomically
from virtualserver.host.process import Process, end
from virtualserver.machines import descriptions, launch
from virtualserver.machines.cgroup import group_of, groups, leave_group, remove_empty
from virtualserver.machines.end_record import last_lines
from virtualserver.machines.files import Files
from virtualserver.machines.machine import Ended, Machine
from virtualserver.machines.overlays import OverlayError, make_overlay
from virtualserver.machines.spec import MachineSpec, SpecError, encode_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["EMULATOR", "Hypervisor", "HypervisorError"]

EMULATOR: Final = "qemu-system-x86_64"
"""The program that runs machines, looked up on PATH."""

_PACKAGES: Final = {
    EMULATOR: "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "unshare": "util-linux",
}
_START_SECONDS: Final = 90.0
_ADOPT_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
_ORPHAN_SECONDS: Final = 10.0

_logger = logging.getLogger(__name__)


class HypervisorError(Exception):
    """A machine cannot be started or removed; the message says why and what to do."""


class Hypervisor:
    """All machines of one installation."""

    def __init__(self, *, machines: Path, run: Path, installation: str) -> None:
        """Name the folders; nothing is made or looked at yet.

        Args:
            machines: The folder of the machines' descriptions and logs, which outlives a reboot.
            run: The folder of their sockets; its path should be short (a unix socket's name has 107 bytes).
            installation: The installation's name, by which the machines' cgroups are named.
        """
        self._machines = machines
        self._run = run
        self._installation = installation
        self._watched: dict[str, Machine] = {}
        self._left_out: dict[str, str] = {}
        """Why a machine that is there cannot be looked after, by identifier."""

    async def launch(self, spec: MachineSpec, *, open_tap: Callable[[str], int], paused: bool = False) -> Machine:
        """Start QEMU and return once it answers; the guest has then begun to boot.

        Args:
            spec: The machine. One of this identifier that has ended is replaced.
            open_tap: Returns an open descriptor of a tap of the data plane; it is closed here.
            paused: True where the guest begins to boot at `Machine.unpause` only.

        Raises:
            HypervisorError: QEMU is missing or fails (the message holds what it wrote), a tap cannot be opened, or the
                machine runs already. Nothing is left behind but the machine that runs.
        """
        missing = sorted({package for program, package in _PACKAGES.items() if shutil.which(program) is None})
        if missing:
            raise HypervisorError(
                f"{spec.name}: QEMU or what starts it is not on PATH: "
                f"install it with `apt-get install --no-install-recommends {' '.join(missing)}`"
            )
        files = self._files(spec.identifier)
        self._make_folders(files, spec.user)
        lock = locks.take(files.lock)
        if lock is None:
            why = self._left_out.get(spec.identifier)
            told = f"it runs, and cannot be looked after: {why}; a restart ends it" if why else "it runs already"
            raise HypervisorError(f"{spec.name}: machine {spec.identifier}: {told}")
        self._left_out.pop(spec.identifier, None)
        try:
            return await self._launch(spec, files, lock, open_tap, paused=paused)
        except BaseException as error:
            await asyncio.shield(self._undo(spec, files))
            if isinstance(error, OSError | subprocess.CalledProcessError):
                raise HypervisorError(f"{spec.name}: QEMU could not be started: {error}") from error
            raise

    async def _launch(
        self, spec: MachineSpec, files: Files, lock: int, open_tap: Callable[[str], int], *, paused: bool
    ) -> Machine:
        """Write the machine down, start it, and wait until QEMU answers."""
        taps: list[int] = []
        try:
            marks = (files.dismissed, files.frozen, files.paused, files.rebooting)
            for earlier in (files.process, files.end, *marks, files.pid, *files.logs):
                earlier.unlink(missing_ok=True)
            write_atomically(files.spec, encode_spec(spec))
            if paused:
                write_atomically(files.paused, b"")
            await _to_its_end(_prepare, spec, files)
            taps += [open_tap(nic.device) for nic in spec.nics]
            group = self._make_group(spec.identifier)
            arguments = launch.wrapped(
                launch.qemu_arguments(spec, files, emulator=str(shutil.which(EMULATOR)), taps=taps, paused=paused),
                process=files.process,
                group=group,
                user=spec.user,
                supplementary=kvm_group() if spec.accelerator == "kvm" else None,
            )
            await _to_its_end(_spawn, arguments, files.log, (lock, *taps))
        except SpecError as error:
            raise HypervisorError(f"{spec.name}: {error}") from None
        finally:
            for descriptor in (lock, *taps):
                os.close(descriptor)
        await self._recorded(files)
        machine = self._watch(spec, files)
        if not await machine.settle(_START_SECONDS) or isinstance(machine.state, Ended):
            why = last_lines(files.log) or "QEMU wrote no message"
            raise HypervisorError(f"{spec.name}: QEMU did not start: {why}")
        return machine

    async def adopt(self) -> dict[str, Machine]:
        """Find every machine that was ever launched and not discarded.

        To be called before the first launch: what a process that was killed has left of a machine that it was about to
        make, or was removing, is removed.

        Returns:
            Identifier -> machine, for every folder with a description; those that have ended are included, with
            their end. Nothing that runs is disturbed. One whose QEMU does not answer counts as running. One that
            cannot be looked after, because its description cannot be read, is logged and left out.

        Raises:
            NewerSpecError: A newer program wrote a description.
        """
        running = {identifier for _, identifier in self.orphans()}
        await asyncio.to_thread(descriptions.remove_undescribed, self._machines, self._run, running=running)
        await asyncio.to_thread(self.remove_groups)
        described = descriptions.read(self._machines, self._run)
        self._left_out = described.unread
        found = await asyncio.gather(*(self._adopt(files, spec) for files, spec in described.machines))
        for identifier, why in self._left_out.items():
            _logger.error("machine %s cannot be looked after: %s", identifier, why)
        return {machine.identifier: machine for machine in found if machine is not None}

    async def _adopt(self, files: Files, spec: MachineSpec) -> Machine | None:
        try:
            async with asyncio.timeout(_ADOPT_SECONDS):
                await self._recorded(files)
        except TimeoutError:
            self._left_out[spec.identifier] = f"{files.process}: is missing, so which process it is cannot be known"
            return None
        machine = self._watched.get(spec.identifier) or self._watch(spec, files)
        await machine.settle(_ADOPT_SECONDS)
        return machine

    def is_left_out(self, identifier: str) -> bool:
        """Return whether `adopt` found a machine that it could not look after; it may run."""
        return identifier in self._left_out

    def look(self) -> dict[str, Machine]:
        """Find every machine without watching or disturbing any, also while another process watches them.

        One whose description cannot be read is left out.

        Returns:
            Identifier -> machine, whose state is that of the moment; close each.

        Raises:
            NewerSpecError: A newer program wrote a description.
        """
        described = descriptions.read(self._machines, self._run)
        return {files.machine.name: Machine(spec, files, group=None) for files, spec in described.machines}

    async def discard(self, identifier: str) -> None:
        """Remove all that is left of a machine that has ended; of one that is not there, nothing.

        One that `adopt` left out is ended.

        Raises:
            HypervisorError: It runs.
        """
        files = self._files(identifier)
        if files.machine.exists():
            lock = locks.take(files.lock)
            if lock is not None:
                os.close(lock)
            elif identifier not in self._left_out:
                raise HypervisorError(f"machine {identifier} runs; stop it before it is discarded")
            elif identifier not in self._watched:
                self._watch(descriptions.stand_in(identifier), files)
        await self._abandon(identifier)
        self._left_out.pop(identifier, None)

    async def end_orphans(self) -> list[int]:
        """End every QEMU that has its files in our run folder and no description, as a lost state folder leaves it.

        Returns:
            The PIDs that they had.
        """
        found = list(self.orphans())
        for process, identifier in found:
            await asyncio.to_thread(end, process, limit_seconds=_ORPHAN_SECONDS)
            await leave_group(self._group(identifier))
        return [process.pid for process, _ in found]

    def groups(self) -> list[Path]:
        """Return the cgroups of machines that there are, also of those that nothing else tells of any more."""
        return groups(self._installation)

    def remove_groups(self) -> None:
        """Remove the cgroups in which no process is; to be called when no machine is being started."""
        remove_empty(self._installation)

    def orphans(self) -> Iterator[tuple[Process, str]]:
        """Yield process and identifier of each machine that only its command line tells of."""
        known = {files.run / "pid" for files, _ in descriptions.read(self._machines, self._run).machines}
        for folder in Path("/proc").glob("[0-9]*"):
            process = Process.of(int(folder.name))
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                # A container may have files of the same names.
                is_here = process is not None and (folder / f"root{self._run}").samefile(self._run)
            except OSError:
                continue  # it has just ended
            file = Path(words[words.index("-pidfile") + 1]) if "-pidfile" in words[:-1] else Path()
            if process is not None and is_here and file.parent.parent == self._run and file not in known:
                yield process, file.parent.name

    def cut_off(self) -> list[str]:
        """Return the taps that a machine still has open although somebody deleted them."""
        return [device for machine in self._watched.values() for device in machine.cut_off()]

    def borrow_tap(self, device: str) -> int:
        """Return a descriptor of the file by which a machine has a tap open; the caller closes it.

        Raises:
            OSError: No machine has it, or its process may not be looked into.
        """
        for machine in self._watched.values():
            if any(nic.device == device for nic in machine.spec.nics):
                return machine.borrow_tap(device)
        raise FileNotFoundError(errno.ENOENT, "no machine has it open", device)

    async def close(self) -> None:
        """Stop watching; the machines go on."""
        for machine in self._watched.values():
            await machine.close()
        self._watched.clear()

    def _watch(self, spec: MachineSpec, files: Files) -> Machine:
        """Return a machine that is followed from now on."""
        machine = Machine(spec, files, group=self._group(spec.identifier))
        self._watched[spec.identifier] = machine
        machine.watch()
        return machine

    async def _recorded(self, files: Files) -> None:
        """Wait until a process that holds the machine's lock has written down which it is."""
        while not files.process.exists():
            lock = locks.take(files.lock)
            if lock is not None:
                os.close(lock)
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _undo(self, spec: MachineSpec, files: Files) -> None:
        """Take back a launch, whose process may just be starting."""
        if spec.identifier not in self._watched:
            await self._recorded(files)
            self._watch(spec, files)
        await self._abandon(spec.identifier)

    async def _abandon(self, identifier: str) -> None:
        """End what runs of a machine, and remove its files."""
        files = self._files(identifier)
        machine = self._watched.pop(identifier, None)
        if machine is not None:
            await machine.quit()
            await machine.close()
        await asyncio.to_thread(descriptions.remove, files)
        await leave_group(self._group(identifier))

    def _files(self, identifier: str) -> Files:
        """Return where a machine's files lie."""
        return Files(machine=self._machines / identifier, run=self._run / identifier)

    def _make_folders(self, files: Files, user: int) -> None:
        """Make a machine's folders: the sockets' is its user's alone, the other one is ours."""
        for folder in (self._machines, self._run):
            make_folder(folder, 0o711)
        files.machine.mkdir(mode=0o711, exist_ok=True)
        files.run.mkdir(mode=0o700, exist_ok=True)
        os.chown(files.run, user, user)

    def _group(self, identifier: str) -> Path | None:
        """Return the folder of a machine's cgroup; None where there is no cgroup v2 that we may write."""
        return group_of(self._installation, identifier)

    def _make_group(self, identifier: str) -> Path | None:
        """Make a machine's cgroup, outside ours; None where that is not possible, which is no fault."""
        group = self._group(identifier)
        if group is not None:
            try:
                group.mkdir(parents=True, exist_ok=True)
            except OSError:
                return None
        return group


def kvm_group() -> int | None:
    """Return the group that may use ``/dev/kvm``; None where there is no such device or group, or it is root's."""
    try:
        status = os.stat("/dev/kvm")
    except FileNotFoundError:
        return None
    return status.st_gid if status.st_gid and status.st_mode & 0o060 == 0o060 else None


async def _to_its_end(work: Callable[..., None], *arguments: object) -> None:
    """Run something in a thread, and wait for its end even when we are cancelled: it uses what we would close."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _prepare(spec: MachineSpec, files: Files) -> None:
    """Make what only this launch writes: overlays of ephemeral disks, UEFI variables, the console's log."""
    files.console_log.touch()
    _hand_over(files.console_log, spec.user)
    for disk in spec.disks:
        if disk.ephemeral:
            overlay = files.overlay(disk)
            overlay.unlink(missing_ok=True)
            try:
                make_overlay(overlay, disk)
            except OverlayError as error:
                raise HypervisorError(f"{spec.name}: disk {disk.name}: {error}") from None
            _hand_over(overlay, spec.user)
    if spec.uefi:
        _prepare_uefi(spec, files)


def _prepare_uefi(spec: MachineSpec, files: Files) -> None:
    """Give a machine its UEFI variables, having made sure that it can start by UEFI at all."""
    if not launch.UEFI_CODE.exists():
        raise HypervisorError(
            f"{spec.name}: enableUEFIBoot asks for UEFI firmware, which is not here: "
            "install it with `apt-get install --no-install-recommends ovmf`"
        )
    if spec.kernel is not None:
        with spec.kernel.image.open("rb") as kernel:
            is_program = kernel.read(2) == b"MZ"
        if not is_program:
            raise HypervisorError(
                f"{spec.name}: enableUEFIBoot: the image brings a kernel that UEFI firmware cannot start: "
                "set it to false, or choose an image that boots from its own disk"
            )
    shutil.copyfile(launch.UEFI_VARIABLES, files.uefi_variables)
    _hand_over(files.uefi_variables, spec.user)


def _hand_over(path: Path, user: int) -> None:
    """Give a file to a machine's user, and to nobody else."""
    path.chmod(0o600)
    os.chown(path, user, user)


def _spawn(arguments: list[str], log: Path, descriptors: tuple[int, ...]) -> None:
    """Start the process that becomes QEMU; it is not our child, so that nothing of it depends on us."""
    with log.open("ab") as output:
        log.chmod(0o600)
        subprocess.run(
            arguments,
            check=True,
            cwd="/",
            env=launch.environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=descriptors,
        )
