"""Images: immutable files under the name of their content, so that replacing one never touches a server.

An image is a folder ``sha256-DIGEST`` with ``disk.qcow2``, perhaps ``kernel`` and ``initrd``, and ``image.json``, all
of mode 0444. It appears whole (by a rename) or not at all. What is added may come from anybody: a disk that names other
files to be read in its place is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.host import locks
from virtualserver.host.files import make_folder, write_atomically
from virtualserver.storage import contents, qemu_img, recognition
from virtualserver.storage.kernel import Kernel
from virtualserver.storage.qemu_img import QemuImgError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from virtualserver.host.progress import Update

__all__ = ["Image", "ImageError", "ImageStore"]

_IMAGE_VERSION: Final = 1
_DISK: Final = "disk.qcow2"
_RECORD: Final = "image.json"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


_logger = logging.getLogger(__name__)


class ImageError(Exception):
    """An image cannot be added, found or removed; the message says why and what to do."""


class _NewerImageError(ImageError):
    """A newer program wrote it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """One image of the store.

    Attributes:
        digest: ``sha256:`` and 64 hexadecimal digits, over everything that a guest sees of it.
        name: What it was called when it was first added.
        description: One sentence for people.
        disk: Its disk, qcow2, no backing file.
        virtual_size: Bytes of the disk as a guest sees it; a server's root disk is at least as large.
        kernel: What is booted directly; None: the disk boots by itself.
        added: When it was added, RFC 3339 in UTC.
        modules: What of cloud-init's modules its guests run; None: nobody knows.
    """

    digest: str
    name: str
    description: str
    disk: Path
    virtual_size: int
    kernel: Kernel | None
    added: str
    modules: tuple[str, ...] | None = None


class _Record(msgspec.Struct, rename="camel"):
    """What ``image.json`` holds."""

    format_version: int
    digest: str
    name: str
    description: str
    virtual_size: int
    added: str
    has_kernel: bool
    has_initrd: bool
    command_line: str
    modules: tuple[str, ...] | None = None


class ImageStore:
    """A folder of images. Every method may be called by several processes at a time."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when the first image is added.

        Args:
            folder: Where the images lie; machines' users must be able to enter it.
        """
        self._folder = folder

    def add(
        self,
        *,
        disk: Path,
        kernel: Path | None = None,
        initrd: Path | None = None,
        command_line: str = "",
        name: str,
        description: str = "",
        modules: tuple[str, ...] | None = None,
        progress: Update | None = None,
    ) -> Image:
        """Copy files into the store and return the image; one of the same content stays as it is, or is made whole.

        Args:
            disk: A raw or qcow2 disk; what it is shows in its content, not in its name.
            kernel: To be booted directly; None: the disk boots by itself.
            initrd: Beside the kernel; None: none.
            command_line: What the kernel is told.
            name: What people call it.
            description: One sentence for people.
            modules: What of cloud-init's modules its guests run; None: nobody knows.
            progress: Told each step.

        Raises:
            ImageError: A file is missing or cannot be read as a disk, or the disk refers to other files.
        """
        _check_files(name, disk, kernel, initrd)
        with self._adding() as temporary:
            report = progress or _silent
            parts = {"disk": _add_disk(disk, temporary / _DISK, name, report)}
            for part, source in (("kernel", kernel), ("initrd", initrd)):
                if source is not None:
                    parts[part] = contents.copy(source, temporary / part, f"copying the {part}", report)
            parts["commandLine"] = command_line
            digest = f"sha256:{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}"
            target = self._path(digest)
            if not self._is_whole(digest):
                record = _Record(
                    format_version=_IMAGE_VERSION,
                    digest=digest,
                    name=name,
                    description=description,
                    virtual_size=_information(temporary / _DISK, name)["virtual-size"],
                    added=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                    has_kernel=kernel is not None,
                    has_initrd=initrd is not None,
                    command_line=command_line,
                    modules=modules,
                )
                _finish(temporary, target, record)
        return self.get(digest)

    @contextlib.contextmanager
    def making(self, name: str) -> Generator[None]:
        """Be the one who makes an image of this name; others who want to wait. It ends with the process at the latest.

        Args:
            name: What people call the image.
        """
        make_folder(self._folder, 0o711)
        path = self._lock_of(name)
        with locks.hold(path, lambda _holder: None):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def is_being_made(self, name: str) -> bool:
        """Return whether a process that lives makes an image of this name."""
        path = self._lock_of(name)
        if not path.exists():
            return False
        if (descriptor := locks.take(path)) is None:
            return True
        path.unlink(missing_ok=True)  # a process that was killed left it
        os.close(descriptor)
        return False

    def get(self, digest: str) -> Image:
        """Return an image.

        Raises:
            ImageError: The store has none of this digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise ImageError(f"{digest!r} is no image digest: it is `sha256:` and 64 hexadecimal digits")
        folder = self._path(digest)
        try:
            record = msgspec.json.decode((folder / _RECORD).read_bytes(), type=_Record)
        except FileNotFoundError:
            raise ImageError(f"no image {digest} in {self._folder}; `vs image list` shows what there is") from None
        except msgspec.MsgspecError as error:
            raise ImageError(
                f"{folder}/image.json: {error}; `vs image add` the same files again makes it whole"
            ) from None
        if record.format_version > _IMAGE_VERSION:
            raise _NewerImageError(f"{folder}/image.json: written by a newer program: install that one again")
        kernel = None
        if record.has_kernel:
            kernel = Kernel(folder / "kernel", folder / "initrd" if record.has_initrd else None, record.command_line)
        return Image(
            digest=record.digest,
            name=record.name,
            description=record.description,
            disk=folder / _DISK,
            virtual_size=record.virtual_size,
            kernel=kernel,
            added=record.added,
            modules=record.modules,
        )

    def all(self) -> list[Image]:
        """Return every image that can be read, the oldest first."""
        images: list[Image] = []
        for digest in self.disks():
            try:
                images.append(self.get(digest))
            except ImageError as error:
                _logger.warning("image %s is left out: %s", digest, error)
        return sorted(images, key=lambda image: (image.added, image.digest))

    def disks(self) -> dict[str, Path]:
        """Return where the disk of every image is, by digest, also of one that cannot be read."""
        folders = self._folder.glob("sha256-*") if self._folder.is_dir() else ()
        digests = (folder.name.replace("-", ":", 1) for folder in folders)
        return {digest: self._path(digest) / _DISK for digest in digests if _DIGEST.fullmatch(digest)}

    def remove(self, digest: str) -> None:
        """Remove an image; of one that is not there, nothing.

        The caller makes sure that no disk lies over it: `disks.DiskStore.bases` says which do.
        """
        target = self._path(digest)
        with self._adding() as temporary, contextlib.suppress(FileNotFoundError):
            # Out of sight first, so that nobody finds half an image.
            target.rename(temporary / "removed")

    def _lock_of(self, name: str) -> Path:
        """Return the lock of whoever makes an image of a name."""
        return self._folder / f".making-{name}"

    def _is_whole(self, digest: str) -> bool:
        """Return whether there is such an image, and all that it needs; one of a newer program is none of ours."""
        try:
            return self.get(digest).disk.is_file()
        except _NewerImageError:
            return True
        except ImageError:
            return False

    def _path(self, digest: str) -> Path:
        """Return an image's folder."""
        return self._folder / digest.replace(":", "-")

    @contextlib.contextmanager
    def _adding(self) -> Generator[Path, None, None]:
        """Yield a folder that is removed in the end, and remove what an interrupted predecessor left."""
        make_folder(self._folder, 0o711)
        with locks.wait_for(self._folder / ".lock"):
            temporary = self._folder / ".adding"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(mode=0o755)
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def _finish(temporary: Path, target: Path, record: _Record) -> None:
    """Write the record and give the folder its name, or put its files in the place of those of a damaged one."""
    write_atomically(temporary / _RECORD, msgspec.json.format(msgspec.json.encode(record)))
    for path in temporary.iterdir():
        path.chmod(0o444)
    if not target.exists():
        temporary.rename(target)
        return
    # Disks of servers lie over it, so that it is never away. Its record comes last: until then it is damaged.
    for path in sorted(temporary.iterdir(), key=lambda path: path.name == _RECORD):
        path.replace(target / path.name)


def _check_files(name: str, disk: Path, kernel: Path | None, initrd: Path | None) -> None:
    """Refuse files that are missing or have no effect."""
    if initrd is not None and kernel is None:
        raise ImageError(f"image {name}: an initrd ({initrd}) without a kernel has no effect; name the kernel too")
    for path in filter(None, (disk, kernel, initrd)):
        if not path.is_file():
            raise ImageError(f"image {name}: {path}: no such file")
    if disk.stat().st_size == 0:
        raise ImageError(f"image {name}: {disk} is empty: name the disk's file")


def _silent(_step: str, _done: float | None) -> None:
    """Tell nobody."""


def _add_disk(source: Path, target: Path, name: str, progress: Update) -> str:
    """Copy a disk as qcow2, refuse what refers to other files, and return the digest of what was given."""
    if foreign := recognition.recognise(source):
        remedy = foreign.remedy.format(shlex.quote(str(source)))
        raise ImageError(f"image {name}: {source} is {foreign.name}: {remedy}")
    with source.open("rb") as file:
        is_raw = file.read(len(recognition.QCOW2_MAGIC)) != recognition.QCOW2_MAGIC
    if is_raw:
        digest = contents.digest_of_raw(source, progress)
        step = "turning the disk into qcow2"
        progress(step, None)
        try:
            qemu_img.follow(qemu_img.convert(source, target), lambda share: progress(step, share))
        except QemuImgError as error:
            raise _refusal(name, error) from None
        return digest
    digest = contents.copy(source, target, "copying the disk", progress)
    information = _information(target, name)
    details = information.get("format-specific", {}).get("data", {})
    for word, found in (
        ("a backing file", information.get("full-backing-filename") or information.get("backing-filename")),
        ("an external data file", details.get("data-file")),
    ):
        if found:
            raise ImageError(
                f"image {name}: {source} has {word} ({found}), so that it could show a guest any file of this machine; "
                f"make it whole with `qemu-img convert -O qcow2 {source} new.qcow2` where you trust it"
            )
    if information.get("encrypted") or details.get("corrupt"):
        raise ImageError(f"image {name}: {source} is encrypted or marked corrupt: it cannot be used")
    _check_whole(source, target, name)
    return digest


def _check_whole(source: Path, copy: Path, name: str) -> None:
    """Refuse a qcow2 disk of which a part is missing: its guest would read errors there."""
    try:
        qemu_img.run(qemu_img.check(copy))
    except QemuImgError as error:
        if error.status in qemu_img.SOUND:
            return
        if error.missing or error.status != qemu_img.CORRUPT:
            raise _refusal(name, error) from None
        told = error.complaint.partition("\n")[0]
        raise ImageError(
            f"image {name}: {source} is cut off or damaged ({told}): download it again, and compare its checksum"
        ) from None


def _information(disk: Path, name: str) -> dict[str, Any]:
    """Return what is known of a qcow2 disk that anybody may have made."""
    try:
        return qemu_img.information(disk, is_foreign=True)
    except QemuImgError as error:
        raise _refusal(name, error) from None


def _refusal(name: str, error: QemuImgError) -> ImageError:
    if error.missing:
        return ImageError(
            f"image {name}: {error.missing} is not on PATH: install it with "
            "`apt-get install --no-install-recommends qemu-utils util-linux`"
        )
    return ImageError(f"image {name}: the disk cannot be read: {error.complaint or 'qemu-img was ended'}")
