"""Disks of servers: qcow2 files over immutable images.

A disk is one file ``IDENTIFIER.qcow2`` of mode 0600 that belongs to its machine's user. It appears whole or not at all.
Nothing here knows machines: whoever grows or removes a disk has stopped its machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from virtualserver.host.files import make_folder
from virtualserver.storage import qcow2, qemu_img
from virtualserver.storage.qemu_img import QemuImgError
from virtualserver.storage.space import Space, allocated, space_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DiskError", "DiskStore"]

_SUFFIX: Final = ".qcow2"
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


class DiskError(Exception):
    """A disk cannot be made, grown or read; the message says why and what to do."""


class DiskStore:
    """A folder of disks."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made with the first disk.

        Args:
            folder: Where the disks lie; machines' users must be able to enter it.
        """
        self._folder = folder

    def path(self, identifier: str) -> Path:
        """Return where a disk lies, whether it exists or not.

        Raises:
            DiskError: The identifier could not be a file's name.
        """
        if not _IDENTIFIER.fullmatch(identifier):
            raise DiskError(f"{identifier!r} is no disk identifier: use letters, digits, dots, dashes")
        return self._folder / f"{identifier}{_SUFFIX}"

    def identifier_of(self, path: Path) -> str | None:
        """Return the identifier of the disk that a file is, None for any other file, and for one that is not there."""
        is_disk = path.parent == self._folder and path.suffix == _SUFFIX and path.exists()
        return path.stem if is_disk else None

    def space(self) -> Space:
        """Return the file system that the disks are on."""
        make_folder(self._folder, 0o711)
        return space_of(self._folder)

    def create(self, identifier: str, *, base: Path | None, size_bytes: int, user: int) -> Path:
        """Make a disk and return its file; one that exists keeps its content and is given to the user.

        Args:
            identifier: Names the disk for ever.
            base: The qcow2 file that it starts from, never written to; None: it starts empty.
            size_bytes: How large the guest sees it; at least the base's size.
            user: UID and GID that may read and write it.

        Raises:
            DiskError: The base is missing or larger than the disk, or the file system is full.
        """
        path = self.path(identifier)
        if not path.exists():
            make_folder(self._folder, 0o711)
            temporary = path.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            if base is not None:
                least = _information(base)["virtual-size"]
                if size_bytes < least:
                    raise DiskError(
                        f"disk {identifier}: {size_bytes} bytes are less than its image's {least}: "
                        f"ask for at least {-(-least // (1 << 30))}Gi"
                    )
            try:
                _run(qemu_img.create(temporary, size_bytes=size_bytes, base=base))
                temporary.chmod(0o600)
                os.chown(temporary, user, user)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
        os.chown(path, user, user)
        return path

    async def copy(
        self,
        identifier: str,
        *,
        source: str,
        base: Path,
        size_bytes: int,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> None:
        """Make a disk as a copy of another one; it appears whole or not at all, whenever this is cancelled.

        Args:
            identifier: Names the disk for ever.
            source: The disk that is copied, which no machine may write to meanwhile.
            base: What that one starts from; the copy does too.
            size_bytes: How large the guest sees the copy; at least as large as the source.
            progress: Called with the share of it that is copied, 0 to 1, a hundred times at most.

        Raises:
            DiskError: The source is not there, or names other files than its base, or a machine writes to it, or the
                file system is full.
        """
        path, origin = self.path(identifier), self.path(source)
        _refuse_other_files(origin, base)
        temporary = path.with_suffix(".new")
        needed, room = allocated(origin), self.space()
        if needed > room.free - room.reserve:
            # How much is free is no business of who asks for a copy.
            found = f"a copy takes {needed >> 20} MiB, for which there is no room"
            raise DiskError(f"{found}: make some (vs image remove NAME, vs delete NAME)")
        temporary.unlink(missing_ok=True)
        try:
            await _run_beside(qemu_img.copy(origin, temporary, base=base), progress)
            if _information(temporary)["virtual-size"] < size_bytes:
                _run(qemu_img.resize(temporary, size_bytes))
            temporary.chmod(0o600)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)

    def grow(self, identifier: str, size_bytes: int, *, base: Path | None) -> bool:
        """Make a disk at least so large, and return whether it grew; its machine must not run.

        Args:
            identifier: Names the disk.
            size_bytes: How large the guest is to see it.
            base: What it starts from; None: it started empty.

        Raises:
            DiskError: It is not there, or names other files than its base, or a machine uses it.
        """
        path = self.path(identifier)
        if self.size(identifier) >= size_bytes:
            return False
        _refuse_other_files(path, base)
        owner = path.stat()
        _run(qemu_img.resize(path, size_bytes))
        os.chown(path, owner.st_uid, owner.st_gid)
        return True

    def size(self, identifier: str) -> int:
        """Return how many bytes the guest sees.

        Raises:
            DiskError: There is no such disk.
        """
        return _header(self.path(identifier)).virtual_size

    def bases(self) -> dict[str, Path]:
        """Return the base of every disk that has one, by identifier; a disk that goes meanwhile has none."""
        found: dict[str, Path] = {}
        for identifier in self.all():
            path = self.path(identifier)
            try:
                base = _header(path).backing
            except DiskError:
                if path.exists():
                    raise
                continue
            if base:
                found[identifier] = Path(base)
        return found

    def remove(self, identifier: str) -> None:
        """Remove a disk; of one that is not there, nothing."""
        self.path(identifier).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove what a process that was killed while it made a disk left; only to be called while nobody makes one."""
        for path in self._folder.glob("*.new"):
            path.unlink()

    def all(self) -> list[str]:
        """Return the identifiers of all disks, sorted."""
        return sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}"))


def _header(disk: Path) -> qcow2.Header:
    """Return what a disk says of itself, even one that a running machine writes to."""
    try:
        return qcow2.read(disk)
    except FileNotFoundError:
        raise DiskError(f"{disk}: no such disk") from None
    except (qcow2.Qcow2Error, OSError) as error:
        raise DiskError(str(error)) from None


def _refuse_other_files(disk: Path, base: Path | None) -> None:
    """Refuse a disk that refers to more than its base: root's qemu-img would read and write that for its guest."""
    header = _header(disk)
    if header.has_data_file:
        found = "names another file that has its content"
    elif header.backing != (None if base is None else str(base)):
        found = "starts from another file than its image"
    else:
        return
    # The name itself is whatever the guest's QEMU wrote.
    raise DiskError(
        f"disk {disk.stem} {found}, so that it is neither copied nor grown: where that image is there and nobody "
        "moved the state folder, somebody broke out of its guest: make a new server"
    )


def _information(disk: Path) -> dict[str, Any]:
    """Return what is known of a disk that no guest has written to: what it refers to may be opened."""
    if not disk.exists():
        raise DiskError(f"{disk}: no such disk")
    try:
        return qemu_img.information(disk)
    except QemuImgError as error:
        raise DiskError(str(error)) from None


async def _run_beside(command: list[str], progress: Callable[[float], None]) -> None:
    """Run a command that takes long beside the event loop, and say how far it is; it ends where we are cancelled."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both are pipes
    try:
        complaint, _ = await asyncio.gather(process.stderr.read(), _follow(process.stdout, progress))
        await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        raise DiskError(complaint.decode(errors="replace").strip())


async def _follow(written: asyncio.StreamReader, progress: Callable[[float], None]) -> None:
    """Say each share that comes; one that comes in two parts is left out, since the next one follows."""
    while part := await written.read(4096):
        if (share := qemu_img.share_of(part)) is not None:
            progress(share)


def _run(command: list[str]) -> None:
    try:
        qemu_img.run(command)
    except QemuImgError as error:
        raise DiskError(str(error)) from None
