"""The installation's network namespace: made, entered, removed. Named namespaces as ``ip netns`` has them."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from virtualserver.host.commands import CommandError, run

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Namespace"]

T = TypeVar("T")

_FOLDER: Final = Path("/run/netns")
_MADE: Final = Path("/run/virtualserver-netns")
"""There while the mount of ``/run/netns`` on itself, which ``ip netns add`` makes, is ours to undo."""
_NEW_NETWORK: Final = 0x40000000


@dataclasses.dataclass(frozen=True, slots=True)
class Namespace:
    """A named network namespace.

    Attributes:
        name: As ``ip netns list`` shows it.
    """

    name: str

    @property
    def path(self) -> Path:
        """The file that stands for the namespace."""
        return _FOLDER / self.name

    def exists(self) -> bool:
        """Return whether the namespace is there (a file alone is none)."""
        try:
            return self.path.exists() and self.path.stat().st_dev != _FOLDER.stat().st_dev
        except FileNotFoundError:
            return False

    def holds(self, pid: int) -> bool:
        """Return whether a process is inside."""
        try:
            there = Path(f"/proc/{pid}/ns/net").stat()
        except OSError:
            return False
        return there.st_ino == self.path.stat().st_ino

    async def create(self) -> bool:
        """Make the namespace unless it is there, and return whether it was made."""
        if self.exists():
            return False
        self.path.unlink(missing_ok=True)
        if not _mounted():
            _MADE.touch(mode=0o600)
        await run("ip", "netns", "add", self.name)
        return True

    async def remove(self) -> None:
        """Remove the namespace with all that is in it, and the mount below it when it is the last one and ours."""
        if self.exists():
            await run("ip", "netns", "delete", self.name)
        if not _MADE.exists() or (_FOLDER.exists() and any(_FOLDER.iterdir())):
            return  # the mount is somebody else's, or somebody needs it
        try:
            if _mounted():
                await run("umount", str(_FOLDER))
        except CommandError:
            return  # somebody has just made a namespace: the mount is theirs as well
        _MADE.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            _FOLDER.rmdir()

    async def run(self, *command: str, stdin: str | None = None, accept: tuple[int, ...] = (0,)) -> str:
        """Run a program inside; as `virtualserver.host.commands.run`."""
        return await run("nsenter", f"--net={self.path}", *command, stdin=stdin, accept=accept)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function inside and return what it returned; in a thread of its own, which enters and ends."""
        outcome: list[T] = []
        failure: list[BaseException] = []

        def inside() -> None:
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    _enter(descriptor)
                finally:
                    os.close(descriptor)
                outcome.append(function())
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=inside, name=f"in {self.name}")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]


def _mounted() -> bool:
    """Return whether the folder is a mount; ``os.path.ismount`` does not see one of a folder on itself."""
    return _FOLDER.exists() and _mount_of(_FOLDER) != _mount_of(_FOLDER.parent)


def _mount_of(path: Path) -> str:
    """Return the number of the mount on which a folder lies."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    finally:
        os.close(descriptor)
    return next(line for line in lines if line.startswith("mnt_id:"))


def _enter(descriptor: int) -> None:
    """Move the calling thread into a namespace (``os.setns`` comes with Python 3.12)."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _NEW_NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
