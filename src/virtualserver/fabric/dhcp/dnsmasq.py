"""The one dnsmasq of an installation: DHCP and cluster DNS for its guests. It outlives this process and is found again.

Guests are told apart by the tap on which they ask: dnsmasq takes the interface's name as a tag, so no host needs a
``set:`` tag (with one, dnsmasq 2.90 crashes at SIGHUP).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.desired.state import GATEWAY, Lease
from virtualserver.host.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable
__all__ = ["LEASE_SECONDS", "Dnsmasq", "Place", "configuration", "parse_leases", "upstream"]

LEASE_SECONDS: Final = 3600
_KINDS: Final = (entries.DHCP_HOST, entries.DHCP_OPTIONS, entries.NAMES)
_STOP_SECONDS: Final = 5.0


def configuration(run: Path, networks: Iterable[IPv4Network], mtu: int) -> str:
    """Return dnsmasq's configuration file; pure.

    Args:
        run: The folder of its files.
        networks: Where guests' addresses come from.
        mtu: What guests may send at most, in bytes.
    """
    gateway = GATEWAY.packed.hex(":")
    lines = [
        "bind-dynamic",
        "except-interface=lo",
        "except-interface=up0",
        "no-hosts",
        f"resolv-file={run}/resolv.conf",
        "local=/cluster.local/",
        "bogus-priv",
        "cache-size=1000",
        f"hostsdir={run}/{entries.NAMES}",
        f"pid-file={run}/dnsmasq.pid",
        f"log-facility={run}/dnsmasq.log",
        "quiet-dhcp",
        "no-ping",
        "dhcp-authoritative",
        "dhcp-ignore-names",  # a guest does not choose names in the cluster's DNS
        "dhcp-ignore-clid",  # nor somebody else's lease by a client identifier
        "dhcp-lease-max=100000",
        f"dhcp-leasefile={run}/leases",
        f"dhcp-hostsdir={run}/{entries.DHCP_HOST}",
        f"dhcp-optsdir={run}/{entries.DHCP_OPTIONS}",
        "dhcp-option=option:netmask,255.255.255.255",
        f"dhcp-option=option:router,{GATEWAY}",
        f"dhcp-option=option:classless-static-route,{GATEWAY}/32,0.0.0.0,0.0.0.0/0,{GATEWAY}",
        f"dhcp-option=249,20:{gateway}:00:00:00:00:00:{gateway}",  # the same for Windows
        f"dhcp-option=option:mtu,{mtu}",
        "dhcp-option=28",  # no broadcast address
        "dhcp-option=option:dns-server",  # none, but for guests whose own options say so
    ]
    for network in networks:
        lines.append(f"shared-network={GATEWAY},{network.network_address}")
        lines.append(f"dhcp-range={network.network_address},static,{network.netmask},{LEASE_SECONDS}s")
    return "".join(f"{line}\n" for line in lines)


def parse_leases(text: str) -> dict[str, Lease]:
    """Return the leases of a dnsmasq lease file by MAC; pure."""
    leases: dict[str, Lease] = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4 and fields[0].isdecimal() and fields[1].count(":") == 5:
            mac = fields[1].lower()
            leases[mac] = Lease(mac=mac, address=ip_address(fields[2]), taken=float(int(fields[0]) - LEASE_SECONDS))
    return leases


def upstream(*contents: str) -> str:
    """Return the resolver file that dnsmasq asks: the first of some files that names a server off the loopback; pure.

    The host's loopback is not the namespace's, so a resolver there (systemd-resolved's 127.0.0.53) cannot be asked.
    """
    for content in contents:
        servers: list[str] = []
        for line in content.splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver":
                with contextlib.suppress(ValueError):
                    address = IPv4Address(words[1])
                    if not address.is_loopback and not address.is_unspecified:
                        servers.append(str(address))
        if servers:
            return "".join(f"nameserver {server}\n" for server in servers)
    return ""


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

    def __init__(self, place: Place, run: Path) -> None:
        """Name it.

        Args:
            place: Where it runs.
            run: The folder of its files, which its user must be able to enter.
        """
        self._place = place
        self._run = run
        self._file = run / "dnsmasq.conf"

    def find(self) -> int | None:
        """Return the PID of the process that runs with our configuration file, whoever started it.

        The file is ours alone, which a PID file's number is not after a restart of the machine. A container's
        dnsmasq may have a file of the same name, but not in the same folder.
        """
        argument = f"--conf-file={self._file}".encode()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                ours = argument in (folder / "cmdline").read_bytes().split(b"\0")
                if ours and (folder / f"root{self._run}").samefile(self._run):
                    return int(folder.name)
        return None

    async def ensure(self, networks: Iterable[IPv4Network], mtu: int) -> int:
        """Make the process run with the right configuration in the right namespace; return the number of changes."""
        for kind in _KINDS:
            (self._run / kind).mkdir(mode=0o755, parents=True, exist_ok=True)
        changes = int(_write(self._run / "resolv.conf", upstream(*_host_resolvers())))
        changed = _write(self._file, configuration(self._run, networks, mtu))
        pid = self.find()
        if pid is not None and not changed and self._place.holds(pid):
            return changes
        if pid is not None:
            await self._terminate(pid)
        await self._place.run("dnsmasq", f"--conf-file={self._file}")
        return changes + 1

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
        pid = self.find()
        if pid is not None:
            os.kill(pid, signal.SIGHUP)

    def read(self) -> dict[Entry, str]:
        """Return the files that are there, as entries."""
        found: dict[Entry, str] = {}
        for kind in _KINDS:
            for path in (self._run / kind).glob("[!.]*"):
                found[Entry(kind, path.name)] = path.read_text()
        return found

    def leases(self) -> dict[str, Lease]:
        """Return the leases that are held, by MAC."""
        try:
            return parse_leases((self._run / "leases").read_text())
        except FileNotFoundError:
            return {}

    async def stop(self) -> None:
        """End the process and remove its files."""
        pid = self.find()
        if pid is not None:
            await self._terminate(pid)
        for entry in self.read():
            self._path(entry).unlink(missing_ok=True)
        for kind in _KINDS:
            with contextlib.suppress(FileNotFoundError):
                (self._run / kind).rmdir()
        for name in ("dnsmasq.conf", "dnsmasq.pid", "dnsmasq.log", "resolv.conf", "leases"):
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
        await self._forget(mac)

    async def _forget(self, mac: str) -> None:
        """Take a lease out of the file with the process stopped: the way that needs no tap."""
        pid = self.find()
        if pid is not None:
            await self._terminate(pid)
        path = self._run / "leases"
        if path.exists():
            kept = [line for line in path.read_text().splitlines(keepends=True) if mac not in line.lower().split(" ")]
            path.write_text("".join(kept))
        await self._place.run("dnsmasq", f"--conf-file={self._file}")

    def _path(self, entry: Entry) -> Path:
        return self._run / entry.kind / entry.key

    async def _terminate(self, pid: int) -> None:
        """End a process of ours and wait until it is gone."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if self.find() != pid:
                return
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)
                if await wait_for_end(descriptor, _STOP_SECONDS):
                    return
        finally:
            os.close(descriptor)


async def wait_for_end(descriptor: int, seconds: float | None) -> bool:
    """Wait until the process of a PID file descriptor has ended, ``None`` for ever; return whether it has."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
    try:
        await asyncio.wait_for(ended, seconds)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


def _host_resolvers() -> list[str]:
    contents: list[str] = []
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        with contextlib.suppress(OSError):
            contents.append(Path(path).read_text())
    return contents


def _write(path: Path, content: str) -> bool:
    """Replace a file at once, as inotify's readers need it, unless it is so already; return whether it changed."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == content:
            return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.chmod(0o644)
    temporary.replace(path)
    return True
