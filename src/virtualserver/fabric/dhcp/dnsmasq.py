"""The one dnsmasq of an installation: DHCP and cluster DNS for its guests. It outlives this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from virtualserver.fabric.desired import entries, options
from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.dhcp.configuration import configuration, resolver_adjustments, upstream
from virtualserver.fabric.dhcp.leases import parse_leases
from virtualserver.host import resolv_conf
from virtualserver.host.commands import CommandError
from virtualserver.host.files import make_folder
from virtualserver.host.logs import bound
from virtualserver.host.process import Process
from virtualserver.host.watchdog import DOUBT_SECONDS, LOOK_SECONDS, Standstill

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.repair import Adjustment
    from virtualserver.fabric.desired.state import DhcpLease, Network

__all__ = ["Dnsmasq", "Place", "wait_for_end"]

_KINDS: Final = (entries.DHCP_HOST, entries.DHCP_OPTIONS, entries.NAMES)
_STOP_SECONDS: Final = 5.0
_LOG_BYTES: Final = 1 << 20
"""It tells of each file that changes, and of messages of DHCP that it does not answer."""
_RIGHTS: Final = ("net_admin", "net_bind_service")
"""Capabilities of the process: neighbours' entries for guests that have no address yet, and ports 53 and 67."""

_logger = logging.getLogger(__name__)


class Place(Protocol):
    """Where the process runs: a network namespace."""

    async def run(self, *command: str) -> str:
        """Run a program inside; as `virtualserver.host.commands.run`."""
        ...

    def holds(self, pid: int) -> bool:
        """Return whether a process is inside."""
        ...


class Dnsmasq:
    """The process and its files."""

    def __init__(self, place: Place, run: Path, *, user: int) -> None:
        """Name it.

        Args:
            place: Where it runs.
            run: The folder of its files; that above it, its user must be able to enter.
            user: The UID and GID that it runs under, of no other process.
        """
        self._place = place
        self._run = run
        self._user = user
        self._file = run / "dnsmasq.conf"
        self._servers: tuple[str, ...] | None = None
        """The name servers that it was last seen to ask."""
        self._known: tuple[int, int] | None = None
        """The process that was found last: its PID, and a descriptor of it."""

    def find(self) -> int | None:
        """Return the PID of the process that runs with our configuration file, whoever started it.

        Once found it is known by a descriptor of it, so that its end is seen without looking at every process.
        """
        if self._known is not None:
            pid, descriptor = self._known
            if not select.select([descriptor], [], [], 0)[0]:
                return pid
            self._forget_process()
        pid = self._search()
        if pid is None:
            return None
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if not self._is_ours(pid):  # it ended, and its number is another's by now
            os.close(descriptor)
            return None
        self._known = (pid, descriptor)
        return pid

    async def attend(self) -> None:
        """Return once the process has ended; end it where somebody has stopped it, and it has not gone on since.

        Its log, which lies in memory, is kept from growing meanwhile.
        """
        pid = self.find()
        process = Process.of(pid) if pid is not None else None
        if process is None:
            return
        still = Standstill(process)
        with process.open() as descriptor:
            while descriptor is not None and not await wait_for_end(descriptor, LOOK_SECONDS):
                bound(self._run / "dnsmasq.log", _LOG_BYTES)
                if still.look() >= DOUBT_SECONDS:
                    _logger.warning("dnsmasq: somebody has stopped it (SIGSTOP), so it is started again")
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _search(self) -> int | None:
        numbers = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
        return next(filter(self._is_ours, numbers), None)

    def _is_ours(self, pid: int) -> bool:
        """Return whether a process runs with our configuration file.

        The file is ours alone, which a PID file's number is not after a restart of the machine. A container's
        dnsmasq may have a file of the same name, but not in the same folder.
        """
        argument = f"--conf-file={self._file}".encode()
        with contextlib.suppress(OSError):
            ours = argument in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return ours and Path(f"/proc/{pid}/root{self._run}").samefile(self._run)
        return False

    def _forget_process(self) -> None:
        if self._known is not None:
            os.close(self._known[1])
            self._known = None

    async def ensure(self, networks: Iterable[Network], mtu: int) -> int:
        """Make the process run with the right configuration in the right namespace; return the number of changes."""
        make_folder(self._run, 0o750, group=self._user)  # who has which address is nobody else's to see
        for kind in _KINDS:
            make_folder(self._run / kind, 0o755)
        changes = int(self.follow_resolver())
        changed = _write(self._file, configuration(self._run, networks, mtu))
        pid = self.find()
        if pid is not None and not changed and self._place.holds(pid) and _user_of(pid) == self._user:
            return changes
        await self._terminate()
        await self._start()
        return changes + 1

    async def _start(self) -> None:
        """Start the process: never root, with what DHCP and DNS need of root's rights and no way to more."""
        for name in ("leases", "dnsmasq.log"):  # all that it writes, in a folder that is not its own
            file = self._run / name
            descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
            try:
                os.fchown(descriptor, self._user, self._user)
                os.fchmod(descriptor, 0o600)
            finally:
                os.close(descriptor)
        rights = "-all," + ",".join(f"+{one}" for one in _RIGHTS)
        await self._place.run(
            *("setpriv", "--reuid", str(self._user), "--regid", str(self._user), "--clear-groups", "--no-new-privs"),
            *(f"--{kind}={rights}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
            *("--", "dnsmasq", f"--conf-file={self._file}"),
        )

    def follow_resolver(self) -> bool:
        """Have the process ask those name servers that the host asks now; return whether they were others.

        Read anew each time, since the host's file may be replaced, or be a link that leads elsewhere.
        """
        return self._run.exists() and _write(self._run / "resolv.conf", upstream(resolv_conf.read(family=4)))

    def adjustments(self) -> list[Adjustment]:
        """Return what is to be told of other name servers since this was last asked."""
        before = self._servers
        with contextlib.suppress(FileNotFoundError):
            self._servers = tuple((self._run / "resolv.conf").read_text().split()[1::2])
        return resolver_adjustments(before, self._servers)

    async def remove(self, delta: Delta) -> None:
        """Take away the hosts, options and names that a delta removes, and give back the leases of removed hosts.

        Called while the guests' taps are still there, because a lease is given back through one.
        """
        hosts = {entry: value for entry, value in delta.removed.items() if entry.kind == entries.DHCP_HOST}
        for entry in delta.removed:
            if entry.kind in _KINDS and entry not in delta.added:
                self._path(entry).unlink(missing_ok=True)
        if hosts:
            self._read_again()
        for entry, value in hosts.items():
            await self._release(entry.key, value)

    async def add(self, delta: Delta) -> None:
        """Write the hosts, options and names that a delta adds."""
        for entry, value in delta.added.items():
            if entry.kind in _KINDS:
                _write(self._path(entry), value)
        if any(entry.kind == entries.DHCP_OPTIONS for entry in delta.removed.keys() & delta.added.keys()):
            self._read_again()

    def _read_again(self) -> None:
        """Make the process read all its files: inotify alone does not make it forget a host or an option."""
        if self.find() is not None and self._known is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._known[1], signal.SIGHUP)

    def read(self) -> dict[Entry, str]:
        """Return the files that are there, as entries."""
        found: dict[Entry, str] = {}
        for kind in _KINDS:
            for path in (self._run / kind).glob("[!.]*"):
                found[Entry(kind, path.name)] = path.read_text()
        return found

    def leases(self) -> dict[str, DhcpLease]:
        """Return the leases that are held, by MAC."""
        try:
            return parse_leases((self._run / "leases").read_text())
        except FileNotFoundError:
            return {}

    async def stop(self) -> None:
        """End the process and remove its files."""
        await self._terminate()
        for kind in _KINDS:  # with what a killed node has left half written
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._run / kind)
        for name in ("dnsmasq.conf", "dnsmasq.pid", "dnsmasq.log", "dnsmasq.log.1", "resolv.conf", "leases"):
            (self._run / name).unlink(missing_ok=True)

    async def _release(self, device: str, host: str) -> None:
        mac, address = host.strip().split(",")
        lease = self.leases().get(mac)
        if lease is None or str(lease.address) != address:
            return
        with contextlib.suppress(CommandError):  # a tap that is gone already cannot carry the release
            await self._place.run("dhcp_release", device, address, mac)
        for _ in range(40):
            if mac not in self.leases():
                return
            await asyncio.sleep(0.025)
        await self._forget_lease(mac)

    async def _forget_lease(self, mac: str) -> None:
        """Take a lease out of the file with the process stopped: the way that needs no tap."""
        await self._terminate()
        path = self._run / "leases"
        if path.exists():
            kept = [line for line in path.read_text().splitlines(keepends=True) if mac not in line.lower().split(" ")]
            path.write_text("".join(kept))
        await self._start()

    def _path(self, entry: Entry) -> Path:
        return self._run / entry.kind / entry.key

    async def _terminate(self) -> None:
        """End the process, if there is one, and wait until it is gone."""
        if self.find() is None or self._known is None:
            return
        _, descriptor = self._known
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if await wait_for_end(descriptor, _STOP_SECONDS):
                break
        self._forget_process()


def _user_of(pid: int) -> int | None:
    """Return the UID that a process runs under, None where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1])
    return None


async def wait_for_end(descriptor: int, seconds: float | None) -> bool:
    """Wait until the process of a PID file descriptor has ended, ``None`` for ever; return whether it has."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
    try:
        async with asyncio.timeout(seconds):
            await ended
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


def _write(path: Path, content: str) -> bool:
    """Replace a file at once, as inotify's readers need it, unless it is so already; return whether it changed.

    Raises:
        LineTooLong: It has a line that dnsmasq would read as two; the file stays as it is.
    """
    options.content(content.splitlines())
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == content:
            return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.chmod(0o644)
    temporary.replace(path)
    return True
