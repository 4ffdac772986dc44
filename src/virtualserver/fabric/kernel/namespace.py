"""The installation's network namespace: made, visited, removed. Named namespaces as ``ip netns`` has them.

Whatever is asked of the kernel is asked from a thread that lives for this one visit. The thread enters the namespace,
opens its sockets there and ends, so the event loop is never held up, and nothing is left open but `Netfilter`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.netfilter import Netfilter
from virtualserver.host.commands import run_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Namespace", "apart", "enter"]

T = TypeVar("T")

_FOLDER: Final = Path("/run/netns")
_MADE: Final = Path("/run/virtualserver-netns")
"""There while the mount of ``/run/netns`` on itself, which the first namespace needs, is ours to undo."""
_NEW_NETWORK: Final = 0x40000000
_DETACH: Final = 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A named network namespace."""

    def __init__(self, name: str) -> None:
        """Name it, as ``ip netns list`` shows it."""
        self.name = name
        self._kept: tuple[int, Netfilter] | None = None

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

    def identity(self) -> int:
        """Return a number that another namespace of this name does not have, 0 where there is none."""
        try:
            return self.path.stat().st_ino if self.exists() else 0
        except FileNotFoundError:
            return 0

    def holds(self, pid: int) -> bool:
        """Return whether a process is inside."""
        try:
            return Path(f"/proc/{pid}/ns/net").stat().st_ino == self.path.stat().st_ino
        except OSError:
            return False

    def netfilter(self) -> Netfilter:
        """Return the conversation about the namespace's nftables and flows, kept since the first visit; called inside.

        Raises:
            KernelError: libnftables is not installed.
        """
        here = os.stat("/proc/thread-self/ns/net").st_ino
        if self._kept is None or self._kept[0] != here:
            self.leave()
            self._kept = (here, Netfilter())
        return self._kept[1]

    def kept(self) -> Netfilter | None:
        """Return the conversation that is kept, None where there was no visit yet."""
        return self._kept[1] if self._kept else None

    def leave(self) -> None:
        """End the conversation that is kept, if there is one, so that the namespace can go."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    def create(self) -> bool:
        """Make the namespace unless it is there, and return whether it was made.

        Raises:
            KernelError: The kernel refused it.
        """
        if self.exists():
            return False
        self.path.unlink(missing_ok=True)
        if not _mounted():
            _MADE.touch(mode=0o600)
        failure = _in_thread(lambda: _make(self.path))
        if failure:
            raise KernelError(f"network namespace {self.name}: {failure}")
        return True

    def name_again(self, inhabitant: int | None) -> bool:
        """Give the namespace back its name, which somebody took away, and return whether that was possible.

        Args:
            inhabitant: The PID of a process that lives in it; None where none is known.
        """
        if inhabitant is None or _is_in_our_namespace(inhabitant):
            return False
        self.path.unlink(missing_ok=True)
        if not _mounted():
            _MADE.touch(mode=0o600)
        netns: Any = importlib.import_module("pyroute2.netns")
        try:
            netns.attach(str(self.path), inhabitant)
        except OSError:
            return False
        return True

    def mounts(self) -> Iterator[tuple[Path, str]]:
        """Yield what the first namespace needs, where it is ours to undo with the last one, and why."""
        if _MADE.exists():
            yield _MADE, f"the mount of {_FOLDER} on itself is ours"
            yield _FOLDER, "a mount on itself, for as long as there are namespaces"

    def remove(self) -> None:
        """Remove the namespace with all that is in it, and the mount below it when it is the last one and ours."""
        self.leave()
        if self.exists():
            _LIBC.umount2(os.fsencode(self.path), _DETACH)
        self.path.unlink(missing_ok=True)
        if not _MADE.exists() or (_FOLDER.exists() and any(_FOLDER.iterdir())):
            return  # the mount is somebody else's, or somebody needs it
        if _mounted() and _LIBC.umount2(os.fsencode(_FOLDER), 0) != 0:
            return  # somebody has just made a namespace: the mount is theirs as well
        _MADE.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            _FOLDER.rmdir()

    async def visit(self, function: Callable[[], T]) -> T:
        """Call a function inside and return what it returned.

        Raises:
            OSError: There is no such namespace.
        """
        return await apart(lambda: self._inside(function))

    def call(self, function: Callable[[], T]) -> T:
        """Call a function inside and return what it returned, as `visit` does, but hold up the caller until then."""
        return _in_thread(lambda: self._inside(function))

    async def run(self, *command: str) -> str:
        """Run a program inside to its end and return what it wrote to its standard output.

        Raises:
            CommandError: The program is not installed, or failed.
        """
        return await self.visit(lambda: run_here(*command))

    def _inside(self, function: Callable[[], T]) -> T:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(descriptor)
        finally:
            os.close(descriptor)
        return function()


async def apart(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own and return what it returned; a cancelled caller waits for its end too.

    The thread is not one of a pool, so that it can move to a namespace and need not come back.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    outcome: list[Callable[[], T]] = []

    def run() -> None:
        outcome.append(_outcome(function))
        with contextlib.suppress(RuntimeError):  # a loop that was closed waits for nothing
            loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=run, name="kernel")
    thread.start()
    try:
        await done.wait()
    finally:
        thread.join()
    return outcome[0]()


def _in_thread(function: Callable[[], T]) -> T:
    outcome: list[Callable[[], T]] = []
    thread = threading.Thread(target=lambda: outcome.append(_outcome(function)), name="kernel")
    thread.start()
    thread.join()
    return outcome[0]()


def _outcome(function: Callable[[], T]) -> Callable[[], T]:
    """Return what gives the result of a function, or raises its error, in another thread."""
    try:
        result = function()
    except BaseException as error:
        failure = error

        def fail() -> T:
            raise failure

        return fail
    return lambda: result


def _is_in_our_namespace(pid: int) -> bool:
    """Return whether a process is in the network namespace in which the calling thread is, or is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/thread-self/ns/net").st_ino
    except OSError:
        return True


def _make(path: Path) -> str:
    """Make a network namespace, which the calling thread then is in, and name it; return why that failed."""
    netns: Any = importlib.import_module("pyroute2.netns")
    if _LIBC.unshare(_NEW_NETWORK) != 0:
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    try:
        netns.attach(str(path), "thread-self")
    except OSError as error:
        return str(error)
    return ""


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


def enter(descriptor: int) -> None:
    """Move the calling thread into a namespace (``os.setns`` comes with Python 3.12)."""
    if _LIBC.setns(descriptor, _NEW_NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
