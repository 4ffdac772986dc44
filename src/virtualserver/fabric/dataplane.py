"""The data plane of one installation on this host.

What each owner asks for is kept in a `Ledger` of entries; a change of one owner is a small delta that is written to
the kernel and to dnsmasq. Where a delta does not fit what is there, everything is read and the difference written.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import logging
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric import inventory, orphans, repairs
from virtualserver.fabric.blockers import Blocker, find_blockers, find_intruders
from virtualserver.fabric.borrowed_taps import BorrowedTaps
from virtualserver.fabric.desired import entries, names, state
from virtualserver.fabric.desired.contest import Contest, Contests
from virtualserver.fabric.desired.ledger import Delta, Entries, Entry, Ledger, Owner, difference
from virtualserver.fabric.desired.repair import Adjustment, Repair, repairs_of
from virtualserver.fabric.dhcp.dnsmasq import Dnsmasq
from virtualserver.fabric.kernel import answering, devices, drops, presence, probing, ruleset, taps, uplinks
from virtualserver.fabric.kernel.attachment import Attachment, delete_link
from virtualserver.fabric.kernel.cuts import cuts
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.namespace import Namespace, apart
from virtualserver.fabric.kernel.pending_cuts import PendingCuts
from virtualserver.fabric.kernel.watch import KernelWatch
from virtualserver.fabric.refusals import REFUSALS, LeftOut, Refused
from virtualserver.host import inotify
from virtualserver.host.commands import CommandError
from virtualserver.host.settings import HostSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator
    from pathlib import Path

__all__ = ["NOBODY", "Adjustment", "Blocker", "Contest", "DataPlane", "Refused", "Repair"]

NOBODY: Final = 65534
"""The number of the user that owns nothing."""
_LONGEST_PAUSE: Final = 30.0
_BOUNDS_SECONDS: Final = 5.0

_logger = logging.getLogger(__name__)


class DataPlane:
    """The namespace, links, rules, DHCP and DNS of one installation; needs root.

    Every method is idempotent. What is on the host outlives this object: another process may take over at any time
    with `start` and `synchronise`, without a lost packet.
    """

    def __init__(
        self,
        *,
        installation: str,
        identifier: str,
        ranges: state.Ranges,
        run: Path,
        dhcp_user: int = NOBODY,
        holders: taps.TapHolders | None = None,
    ) -> None:
        """Name the data plane.

        Args:
            installation: The installation's name, by which the namespace and the host's nftables table are named.
            identifier: 6 hexadecimal digits for link names; ``""`` where they are not known any more, so that what is
                left can only be looked at and removed.
            ranges: The installation's networks.
            run: Folder for dnsmasq's files; made if missing. Every user must be able to enter the one above it.
            dhcp_user: The UID and GID that dnsmasq runs under, best of nobody else.
            holders: The machines that have taps open; None where nobody looks after them.
        """
        name = names.namespace_of(installation)
        self._installation = installation
        self._run = run
        self.ranges = ranges
        self._namespace = Namespace(name)
        self._dnsmasq = Dnsmasq(self._namespace, run, user=dhcp_user)
        self._attachment = Attachment(
            namespace=self._namespace,
            table=name,
            device=names.link_of(identifier),
            ranges=ranges,
            run_folder=run,
            record=HostSettings(),
            inhabitant=self._dnsmasq.find,
        )
        self._ledger = Ledger(entries.decided_of)
        self._left_out = LeftOut()
        self._bounded: frozenset[str] = frozenset()
        self._lock = asyncio.Lock()
        self._certain = True
        self._complaint = ""
        self._pending = PendingCuts(run / "pending-cuts.json")
        self._borrowed = BorrowedTaps(self._namespace, holders)
        self._untold: list[Repair] = []
        """What was put right while one owner's change was made, still to be told."""

    @property
    def host_address(self) -> state.Address | None:
        """The machine's own address, where a pool is that; None where none is, or the machine has no way outside."""
        return self._attachment.own

    @property
    def called_by_host(self) -> tuple[state.Address, ...]:
        """Where it is called for what is published on the machine's own address; empty where no pool is that."""
        return tuple(self.ranges.node_end(version).ip for version in state.CARRIED) if self.ranges.host else ()

    async def probe(self, addresses: Collection[state.Address]) -> dict[state.Address, str] | None:
        """Ask on the uplink who has addresses, and return the hardware address of each that somebody has.

        Returns:
            None where there is no uplink now, so that nothing is known.
        """
        return await apart(lambda: probing.probe(self.ranges.uplink, addresses)) if self.ranges.uplink else None

    async def defend(self) -> None:
        """Answer, until cancelled, machines on the uplink that ask whether a held address is free to take."""
        loop = asyncio.get_running_loop()
        while self.ranges.uplink:
            link = await apart(self._attachment.uplink)
            with contextlib.suppress(OSError):  # the link is down, or went away
                if link is not None:
                    with answering.listening(link) as opened:
                        while True:
                            frame = await loop.sock_recv(opened, 1514)
                            if reply := answering.defence(frame, link, self._attachment.answered):
                                opened.send(reply)
            await asyncio.sleep(1)

    def own_among(self, addresses: Collection[state.Address]) -> set[state.Address]:
        """Return those of some addresses that are the machine's own, or broadcasts of its links."""
        return {address for address in addresses if any(address in network for network in self._attachment.machine)}

    async def start(self) -> None:
        """Make or re-adopt the namespace, the veth pair, the base rules, the host's table and routes, and dnsmasq.

        Raises:
            NamespaceTaken: Another installation of the same name uses the namespace.
        """
        async with self._lock:
            await self._take_away_orphan()
            self._remove_half_written()
            await self._ensure()

    async def synchronise(self, desired: state.DataPlaneState) -> int:
        """Make the kernel and dnsmasq agree with the whole state, and return the number of changes written.

        Called after `start` and on each resync: reads what is there first, so that a second call returns 0. What of it
        would not be safe, and of whom the kernel refuses something, is left out and logged: `why_left_out` tells it.
        """
        async with self._lock:
            self._ledger, self._left_out = Ledger(entries.decided_of), LeftOut()
            self._left_out.fill(self._ledger, _asked(desired))
            await self._show_outside()
            changes = await self._ensure()
            try:
                changes += len(await self._repair())
            except REFUSALS:
                await self._left_out.sift(self._ledger, self._difference, self._apply)
                changes += len(await self._repair())
            return changes + len(await self._borrowed.attach(self._ledger))

    async def set_link(self, owner: str, link: state.Link, *, nic: str = state.CLUSTER_NIC) -> int:
        """Make one NIC's link so; the door is closed before the tap is up. Return the number of changes.

        Raises:
            Refused: It is as it was before, and `why_left_out` tells why.
        """
        return await self._put(_of_link(state.LinkKey(owner, nic)), functools.partial(entries.of_link, link))

    async def remove_link(self, owner: str, *, nic: str = state.CLUSTER_NIC) -> int:
        """Remove one NIC's tap, rules, routes, DHCP host, lease and flows; with the last NIC of a VPC its bridge."""
        return await self._put(_of_link(state.LinkKey(owner, nic)), dict)

    async def set_service(self, owner: str, rules: state.ServiceRules) -> int:
        """Make one Service's ports, addresses and names so, by deltas; flows of a removed port are cut.

        Raises:
            Refused: It is as it was before, and `why_left_out` tells why.
        """
        return await self._put(_of_service(owner), functools.partial(entries.of_service, owner, rules))

    async def remove_service(self, owner: str) -> int:
        """Remove all that one Service put into the data plane, and cut its flows."""
        return await self._put(_of_service(owner), dict)

    def why_left_out(self, owner: str, *, nic: str | None = None) -> str:
        """Return why what a Service asks for, or a NIC of a VMI, is not as it is to be; ``""`` where it is."""
        return self._left_out.why(_of_service(owner) if nic is None else _of_link(state.LinkKey(owner, nic)))

    def open_tap(self, device: str) -> int:
        """Open a tap of the namespace for QEMU and return its file descriptor (with ``vnet_hdr``), inheritable.

        Raises:
            OSError: There is no such tap, or another process has it open (EBUSY).
        """
        self._borrowed.forget(device)
        return self._namespace.call(lambda: taps.open_tap(device))

    def cut_off(self, device: str) -> str:
        """Return why the machine that has a tap open is cut off from it, ``""`` where none is.

        Somebody deleted the tap, and the new one of its name cannot be attached to the machine.
        """
        return self._borrowed.cut_off(device)

    def open_socket(self, version: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a new socket of the namespace, from which guests can be reached.

        Args:
            version: 4 or 6.
            kind: For TCP or UDP.
        """
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        return self._namespace.call(lambda: socket.socket(family, kind))

    async def leases(self) -> dict[str, state.DhcpLease]:
        """Return the leases that guests hold, by MAC."""
        return self._dnsmasq.leases()

    def lease_changes(self) -> AsyncIterator[None]:
        """Yield whenever a lease was taken or released (inotify on the lease file)."""
        return inotify.changes(self._run, "leases")

    def has_met_bound(self, link: state.Link) -> bool:
        """Return whether a guest met the bound of its flows within the last minute, as `bound_changes` saw it last."""
        return not self._bounded.isdisjoint((link.device, *map(str, link.addresses)))

    async def bound_changes(self) -> AsyncIterator[frozenset[str]]:
        """Look every few seconds, until cancelled, at who met the bound of flows, and yield those who came or went.

        Yields:
            Taps, and addresses that clients outside called.
        """
        while True:
            with contextlib.suppress(KernelError, OSError):  # a namespace that is being made anew
                async with self._lock:
                    found = await self._namespace.visit(self._look_at_bounds)
                if changed := found ^ self._bounded:
                    self._bounded = found
                    yield changed
            await asyncio.sleep(_BOUNDS_SECONDS)

    def _look_at_bounds(self) -> frozenset[str]:
        netfilter = self._namespace.netfilter()
        sets = [netfilter.members("inet", ruleset.TABLE, name) for name in ruleset.BOUNDED]
        return frozenset[str]().union(*sets)

    async def traffic(self) -> dict[str, drops.Traffic]:
        """Return what each guest has sent and got, and what was dropped of it, by the name of its tap."""
        if not self._namespace.exists():
            return {}
        async with self._lock:
            return await self._namespace.visit(lambda: drops.read(self._namespace.netfilter(), ruleset.TABLE))

    async def dropped(self, devices: Collection[str]) -> dict[str, dict[str, int]]:
        """Return how many packets of the guests behind some taps were dropped, by the reason; no other is looked at."""
        async with self._lock:
            return await self._namespace.visit(
                lambda: {
                    device: one.dropped
                    for device, one in drops.read(self._namespace.netfilter(), ruleset.TABLE, devices).items()
                }
            )

    async def absent(self, services: Collection[str]) -> dict[str, frozenset[Entry]]:
        """Return what each of some Services asked for, by its UID, and the namespace has not at this moment.

        Looked at are the elements of the rules' sets and maps, and taps: the first few thousand of all that is asked
        for. What is missing is put back by `repairs`.
        """
        found = await self._absent([_of_service(uid) for uid in services])
        return dict(zip(services, found, strict=True))

    async def absent_of_nic(self, owner: str, nic: str) -> frozenset[Entry]:
        """Return the same of a NIC of a VMI."""
        (found,) = await self._absent([_of_link(state.LinkKey(owner, nic))])
        return found

    async def _absent(self, owners: Collection[Owner]) -> list[frozenset[Entry]]:
        async with self._lock:
            wanted = [{one: self._ledger.get(one) or "" for one in self._ledger.of(owner)} for owner in owners]
            return await self._namespace.visit(lambda: presence.absent(self._namespace.netfilter(), wanted))

    async def heard(self, link: state.GuestLink) -> dict[state.Address, str] | None:
        """Ask a guest by ARP for its addresses, and return the hardware address of each that it answers for.

        It takes a second at most.

        Returns:
            None where its tap is not there, or is down.
        """
        return await self._namespace.visit(lambda: probing.probe(link.device, link.addresses))

    async def supervise(self) -> None:
        """Run until cancelled: start dnsmasq again when it has died or somebody has stopped it, with back-off."""
        pause = 0.1
        while True:
            began = time.monotonic()
            await self._dnsmasq.attend()
            async with self._lock:
                if self._dnsmasq.find() is None and self._namespace.exists():
                    with contextlib.suppress(CommandError):
                        await self._ensure_dnsmasq()
                        self._untold.append(Repair("process dnsmasq", f"namespace {self._namespace.name}"))
            if time.monotonic() - began > _LONGEST_PAUSE:
                pause = 0.1
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def repairs(self) -> AsyncIterator[Repair | Contest | Adjustment]:
        """Watch until cancelled, and yield what somebody else took away or changed of ours, once it is put back.

        What became otherwise with the host is yielded too, once it is taken over. Both within a second; repairs are
        written down in the run folder (`virtualserver.fabric.repairs`). Until then the door is closed. To be followed
        after `synchronise`, by one only.
        """
        watch, contests = KernelWatch(self._attachment), Contests()
        try:
            while True:
                told, begun = contests.take(await self._look(watch), time.monotonic())
                repairs.record(self._run, [*told, *begun], datetime.datetime.now(datetime.UTC))
                for one in (*told, *begun, *self._attachment.adjustments(), *self._dnsmasq.adjustments()):
                    yield one
                await watch.wait(contests.pause(time.monotonic()))
        finally:
            await watch.close()

    async def blockers(self) -> list[Blocker]:
        """Return the foreign rules of the host that would drop our packets, and what others put among our own."""
        device = self._attachment.device
        found = await find_blockers(device, await apart(uplinks.find))
        return found + await find_intruders(self._namespace, device)

    async def inventory(self) -> list[dict[str, str]]:
        """List what exists on the host because of this installation, each with the keys of `local.inventory.Item`."""
        orphan = await orphans.find(self._namespace, self._attachment.device)
        if orphan is not None and orphan.users_elsewhere(self._run.parent):
            return []  # all of this name is another installation's
        found = [] if orphan is None else inventory.of_orphan(orphan)
        found += await apart(lambda: inventory.of_host(self._attachment, self.ranges.uplink))
        found += inventory.of_dnsmasq(self._dnsmasq)
        found += [inventory.item("file", str(path), within=str(self._run)) for path in sorted(self._run.glob("*"))]
        if self._namespace.exists():
            found.append(inventory.item("namespace", self._namespace.name, str(self._namespace.path)))
            name, read = self._namespace.name, sorted((await self._read()).items())
            found += [inventory.item(one.kind, one.key, value, within=name) for one, value in read]
        elif self._namespace.path.exists():
            found.append(inventory.item("file", str(self._namespace.path), "of a namespace that is gone"))
        return found

    async def stop(self) -> None:
        """Remove everything that `start` and the setters made, and put the host's settings back.

        What another installation of the same name uses stays. What one whose state folder was lost left goes too.
        """
        async with self._lock:
            self._ledger = Ledger(entries.decided_of)
            await self._dnsmasq.stop()
            try:
                await self._take_away_orphan()
            except orphans.NamespaceTaken:
                return
            if self._namespace.exists():
                await self._namespace.visit(taps.remove_taps)
            await apart(self._attachment.remove)
            (self._run / repairs.FILE).unlink(missing_ok=True)
            self._pending.forget()
            self._remove_half_written()
            with contextlib.suppress(OSError):
                self._run.rmdir()

    def _remove_half_written(self) -> None:
        """Remove what a node that was killed has left of files that it was about to replace."""
        for path in self._run.rglob(".*"):
            path.unlink(missing_ok=True)

    async def check_name(self) -> None:
        """Look whether the namespace of our name is free or ours, or nobody uses it; change nothing.

        Raises:
            NamespaceTaken: Somebody else uses it; the message says who and what to do.
        """
        await self._orphan()

    async def _orphan(self) -> orphans.Orphan | None:
        orphan = await orphans.find(self._namespace, self._attachment.device)
        if orphan is not None and orphan.users:
            raise orphans.NamespaceTaken(orphans.refusal(self._installation, self._run.parent, orphan))
        return orphan

    async def _take_away_orphan(self) -> None:
        """Remove a namespace of our name that an installation whose state folder was lost has left.

        Raises:
            NamespaceTaken: Somebody uses it.
        """
        orphan = await self._orphan()
        if orphan is None:
            return
        await apart(lambda: delete_link(orphan.device))
        await apart(self._namespace.remove)
        HostSettings().give_back(orphan.device)

    async def _look(self, watch: KernelWatch) -> list[Repair]:
        """Put right what somebody else did; what the kernel refuses is tried again at the next look."""
        async with self._lock:
            made, self._untold = self._untold, []
            try:
                self._dnsmasq.follow_resolver()
                doubts = await watch.look(self._ledger)
                mtu = self._attachment.mtu
                if any(doubts):
                    made += await self._attachment.ensure_part(inside=doubts.inside, host=doubts.host)
                if mtu != self._attachment.mtu:
                    await self._namespace.visit(lambda: devices.fit(self._attachment.mtu))
                    await self._ensure_dnsmasq()
                if doubts.inside or made:
                    made += await self._restore()
                if doubts.inside or made or self._borrowed.cuts_off:
                    made += [repair for repair in await self._borrowed.attach(self._ledger) if repair not in made]
            except REFUSALS as error:
                watch.doubt()
                if str(error) != self._complaint:  # not once a second for as long as it lasts
                    self._complaint = str(error)
                    _logger.warning("the data plane is not as it should be, and cannot be put right now: %s", error)
            return made

    async def _restore(self) -> list[Repair]:
        """Make dnsmasq and the entries so on a base that is so, and return what was not."""
        where = f"namespace {self._namespace.name}"
        # One that is started anew because it is to be told something else was taken away by nobody.
        made = [Repair("process dnsmasq", where)] if self._dnsmasq.find() is None else []
        await self._ensure_dnsmasq()
        delta = await self._difference()
        if fetched := await self._borrowed.fetch(delta):
            delta = await self._difference()
        await self._apply(delta)
        return [*made, *fetched, *repairs_of(delta, where)]

    async def _ensure(self) -> int:
        return len(await self._attachment.ensure()) + await self._ensure_dnsmasq()

    async def _ensure_dnsmasq(self) -> int:
        networks = [network for version in state.CARRIED for network in self.ranges.leased(version)]
        return await self._dnsmasq.ensure(networks, self._attachment.mtu)

    async def _put(self, owner: Owner, make: Callable[[], Entries]) -> int:
        async with self._lock:
            before = self._ledger.of(owner)
            try:
                changes = await self._carry_out(owner, make())
            except BaseException as error:
                # What is refused is asked for no more, so that the next change, of whomever, is not refused with it.
                self._ledger.put(owner, before)
                if not isinstance(error, (*REFUSALS, ValueError)):
                    raise
                self._left_out.add(owner, error)
                raise Refused(self._left_out.why(owner)) from error
            self._left_out.discard(owner)
            return changes

    async def _carry_out(self, owner: Owner, wanted: Entries) -> int:
        delta = self._ledger.put(owner, wanted)
        refusal: Exception | None = None
        if self._certain:
            try:
                await self._apply(delta)
                await self._show_outside(delta.added.keys() | delta.removed.keys())
            except REFUSALS as error:
                self._certain, refusal = False, error  # what is there is not what was written: look
            else:
                return len(delta)
        try:
            self._untold += await self._attachment.ensure()
            await self._show_outside()
            whole = await self._repair()
        except REFUSALS as error:
            if refusal is None:
                _logger.error("the data plane cannot be put right now: %s", error)
            # Its own words: what else was refused now may be another owner's.
            raise refusal or KernelError("something else in it cannot be put right now") from error
        self._untold += repairs_of(whole.without(delta), f"namespace {self._namespace.name}")
        return len(whole)

    async def _show_outside(self, changed: Collection[Entry] | None = None) -> None:
        """Make the host show what is held, and nothing else: ports of its own address, addresses on its uplink.

        Args:
            changed: The entries that are others than before, of which most are none of the host's; None: all may be.
        """
        networks = [network for version in state.CARRIED for network in self.ranges.answered(version)]
        ends = {str(address) for address in self.called_by_host}

        def is_answered(entry: Entry) -> bool:
            return entry.kind == entries.ROUTE and any(ip_address(entry.key) in network for network in networks)

        def is_published(entry: Entry) -> bool:
            return entry.kind in entries.OPEN and entry.key.partition(" . ")[0] in ends

        if networks and (changed is None or any(map(is_answered, changed))):
            await self._attachment.answer({ip_address(one.key) for one in self._ledger.entries() if is_answered(one)})
        if ends and (changed is None or any(map(is_published, changed))):
            keys = (one.key.split(" . ") for one in self._ledger.entries() if is_published(one))
            await self._attachment.publish({(key[1], int(key[2])) for key in keys})

    async def _repair(self) -> Delta:
        """Read what is there and write the difference, which is returned."""
        self._certain = False
        delta = await self._difference()
        if await self._borrowed.fetch(delta):
            delta = await self._difference()
        await self._apply(delta)
        self._certain = True
        return delta

    async def _difference(self) -> Delta:
        """Return what turns what is there into what is asked for."""
        actual = {**await self._read(), **self._dnsmasq.read()}
        return difference(actual, self._ledger.entries())

    async def _read(self) -> dict[Entry, str]:
        return await self._namespace.visit(lambda: devices.read(self._namespace.netfilter(), self._attachment.mtu))

    async def _apply(self, delta: Delta) -> None:
        if not delta and not self._pending.flows:
            return
        await self._dnsmasq.remove(delta)
        ends, mtu = cuts(delta, self._ledger), self._attachment.mtu
        await self._namespace.visit(
            lambda: devices.change(self._namespace.netfilter(), delta, mtu, ends, self._pending)
        )
        await self._dnsmasq.add(delta)


def _asked(desired: state.DataPlaneState) -> Iterator[tuple[Owner, Callable[[], Entries]]]:
    for key, link in desired.links.items():
        yield _of_link(key), functools.partial(entries.of_link, link)
    for owner, rules in desired.services.items():
        yield _of_service(owner), functools.partial(entries.of_service, owner, rules)


def _of_link(key: state.LinkKey) -> Owner:
    return Owner("link", *key)


def _of_service(owner: str) -> Owner:
    return Owner("service", owner)
