"""How the namespace hangs on the host, before any guest: namespace, veth pair, base rules, the host's own part."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.fabric.desired.repair import Adjustment, Repair
from virtualserver.fabric.desired.state import CARRIED
from virtualserver.fabric.kernel import answering, elements, neighbours, routing, ruleset, settings, uplinks
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.host_ports import HostPorts
from virtualserver.fabric.kernel.host_ruleset import host_ports, host_rules
from virtualserver.fabric.kernel.loaded import LoadedRules
from virtualserver.fabric.kernel.namespace import Namespace, apart
from virtualserver.fabric.kernel.netfilter import Netfilter, rules_of
from virtualserver.fabric.kernel.routes import LOCAL_TABLE, STATIC, Route
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from virtualserver.fabric.desired.state import Address, Interface, Network, Ranges
    from virtualserver.fabric.kernel.links import Link
    from virtualserver.host.settings import HostSettings

__all__ = ["INNER", "Attachment", "Differing", "delete_link"]

INNER: Final = "up0"
"""The namespace's end of the veth pair."""

_ANYWHERE: Final = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
_LOOPBACK: Final = "lo"
_LOOPBACK_INDEX: Final = 1


class Differing(NamedTuple):
    """In which part a setting has another value."""

    inside: bool
    host: bool


class Attachment:
    """Makes it, checks it, removes it; each part is made whatever is left of the others."""

    def __init__(
        self,
        *,
        namespace: Namespace,
        table: str,
        device: str,
        ranges: Ranges,
        run_folder: Path,
        record: HostSettings,
        inhabitant: Callable[[], int | None],
    ) -> None:
        """Name it.

        Args:
            namespace: The installation's.
            table: The name of the host's table of ours.
            device: The host's end of the veth pair.
            ranges: The installation's networks.
            run_folder: Where what was loaded is remembered.
            record: Of the host's settings.
            inhabitant: Returns the PID of a process of ours that lives in the namespace, None where there is none.
        """
        self.namespace = namespace
        self.table = table
        self.device = device
        self.ranges = ranges
        self.mtu = ruleset.ETHERNET
        """That of guests' links: the smallest of the uplinks."""
        self.uplinks: dict[str, int] = {}
        """The MTU of each link by which the host reaches the outside, as it was last seen, by its name."""
        self._fitting = False
        """Whether the MTU was just found to be another one, so that no link can have it yet."""
        self._adjustments: list[Adjustment] = []
        self._machine: list[Network] = []
        """The machine's own addresses as the namespace's rules have them."""
        self._forwarding: set[str] = set()
        """The uplinks that were made to forward."""
        self.own: Address | None = None
        """The machine's own address, where a pool is that and as it was last seen; None: it has none."""
        self._run = run_folder
        self._ports = HostPorts(run_folder / "host-ports.json")
        self._rules_inside = LoadedRules(run_folder, "namespace", ruleset.TABLES, again=elements.chains_again)
        self._rules_in_host = LoadedRules(run_folder, "host", [("inet", table)])
        self._answered = answering.Answered(run_folder / "answered.json", ranges.uplink)
        self._record = record
        self._inhabitant = inhabitant

    async def ensure(self) -> list[Repair]:
        """Make all of it so, and return what was not.

        Raises:
            KernelError: The kernel refused a part.
        """
        # The host first: the addresses that it has then are closed to guests inside.
        return [*await apart(self._make), *await self.ensure_in_host(), *await self.ensure_inside()]

    async def ensure_part(self, *, inside: bool, host: bool) -> list[Repair]:
        """Make a part so, as `ensure` does, but look at the other one only where it has to be.

        Args:
            inside: Whether the namespace's part is in doubt.
            host: Whether the host's is; with its addresses, on which the namespace's rules depend.
        """
        mtu = self.mtu
        made = await apart(self._make)
        if host or made or mtu != self.mtu:
            made += await self.ensure_in_host()
        if inside or made or mtu != self.mtu or await apart(own_addresses) != self._machine:
            made += await self.ensure_inside()
        return made

    async def publish(self, ports: Collection[tuple[str, int]]) -> None:
        """Make these ports of the machine's own address lead to the namespace, and no others.

        Args:
            ports: Protocol, in lower case, and number.

        Raises:
            KernelError: The kernel refused it.
        """
        if self._ports.change(ports):
            await self.ensure_in_host()

    async def answer(self, addresses: Collection[Address]) -> None:
        """Route these addresses here and answer for them on the uplink, and for no others.

        Raises:
            KernelError: The kernel refused it.
        """
        if self._answered.change(addresses):
            await self.ensure_in_host()

    def uplink(self) -> Link | None:
        """Return the link on which addresses are answered for, None where it is not there."""
        return _link(self._answered.uplink) if self._answered.uplink else None

    @property
    def answered(self) -> Collection[Address]:
        """The addresses that are answered for on the uplink."""
        return self._answered.addresses

    def answers(self) -> list[str]:
        """Return the addresses that the host answers for on the uplink."""
        if not self._answered.uplink:
            return []
        with Rtnetlink() as kernel:
            link = kernel.link(self._answered.uplink)
            return sorted(map(str, neighbours.proxies(link.index) & self._answered.addresses)) if link else []

    @property
    def machine(self) -> list[Network]:
        """The machine's own addresses, those of broadcasts too, as they were last seen."""
        return self._machine

    @property
    def routed_one_by_one(self) -> list[Network]:
        """The addresses that have a route of their own in the host, since their network is another's too."""
        return [ip_network(address) for address in self._answered.addresses]

    def adjustments(self) -> list[Adjustment]:
        """Return what became otherwise with the host since this was last asked."""
        told, self._adjustments = self._adjustments, []
        return told

    async def settings_differ(self, turn: int) -> Differing:
        """Return in which part a setting of ours has another value; a cheap look.

        Args:
            turn: How often this was asked before: of many taps, it is the turn of some.
        """
        wanted = settings.of_host_end(self.device) | answering.setting_of(self.ranges.uplink)
        host = bool(settings.differing(wanted)) or (bool(self.ranges.uplink) and await apart(self._lacks_answers))
        return Differing(inside=await self.namespace.visit(lambda: settings.differ_inside(INNER, turn)), host=host)

    def _lacks_answers(self) -> bool:
        """Return whether an address that is to be answered for on the uplink is not, which nobody tells of."""
        with Rtnetlink() as kernel:
            return answering.differs(kernel, self._answered)

    async def ensure_inside(self) -> list[Repair]:
        """Make the namespace's part so, which has to be there, and return what was not."""
        self._machine = machine = await apart(own_addresses)
        made = await self.namespace.visit(lambda: self._inside(machine))
        return [Repair(what, f"namespace {self.namespace.name}") for what in made]

    async def ensure_in_host(self) -> list[Repair]:
        """Make the host's part so, and return what was not."""
        return [Repair(what, "host") for what in await apart(self._in_host)]

    def remove(self) -> None:
        """Remove the veth pair, the host's table and routes, and the namespace; put the host's settings back.

        Raises:
            KernelError: The kernel refused it.
        """
        with Rtnetlink() as kernel:
            answering.stop(kernel, self._answered.uplink, self._answered.addresses)
            # Not looked at before: the pair goes by itself while the kernel clears a namespace that was just removed.
            kernel.delete_link(self.device)
        if self.device_exists():
            raise KernelError(f"link {self.device} is still there: look at `ip link delete {self.device}`")
        with Netfilter() as netfilter:
            if netfilter.rules([("inet", self.table)]):
                netfilter.load([f"delete table inet {self.table}"])
        self.namespace.remove()
        self._record.give_back(self.device)
        self._rules_inside.forget()
        self._rules_in_host.forget()
        self._ports.forget()
        self._answered.forget()

    def device_exists(self) -> bool:
        """Return whether the host's end of the veth pair is there."""
        return Path("/sys/class/net", self.device).exists()

    def host_table(self) -> str:
        """Return the host's table of ours as nft prints it, ``""`` where there is none."""
        with Netfilter() as netfilter:
            return netfilter.rules([("inet", self.table)])

    def changed_settings(self) -> dict[str, str]:
        """Return the host's settings that we changed, and what they were."""
        return self._record.of(self.device)

    def shared_files(self) -> Iterator[tuple[Path, str]]:
        """Yield what lies outside of the run folder as long as any installation needs it, and why."""
        if self._record.of(self.device):
            yield self._record.file, "what settings were, of all installations"
        yield from self.namespace.mounts() if self.namespace.exists() else ()

    def routes(self) -> list[Route]:
        """Return the host's routes through the veth pair, but for the kernel's own."""
        if not self.device_exists():
            return []
        with Rtnetlink() as kernel:
            index = kernel.index(self.device)
            routes = [route for version in CARRIED for route in kernel.routes(version)]
        return [route for route in routes if route.link == index and route.protocol == STATIC]

    def _make(self) -> list[Repair]:
        """Make the namespace and the veth pair."""
        self._run.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Somebody who deletes a namespace takes its name away only, as long as a process lives in it.
        found = not self.namespace.exists() and self.namespace.name_again(self._inhabitant())
        made = [Repair(f"namespace {self.namespace.name}", "host")] if found or self.namespace.create() else []
        with Rtnetlink() as kernel:
            self._see(uplinks.read(kernel))
            self._see_own(uplinks.own_address(kernel) if self.ranges.host else None)
            outside = kernel.link(self.device)
            if outside and _are_a_pair(outside, self.namespace.call(lambda: _link(INNER))):
                return made
            self.namespace.call(lambda: delete_link(INNER))
            kernel.delete_link(self.device)
            kernel.add_veth(self.device, INNER, self.namespace.name, self.mtu)
        return [*made, Repair(f"link {self.device}", "host")]

    def _see(self, seen: dict[str, int]) -> None:
        """Take in by which links the host reaches the outside."""
        mtu = min([ruleset.ETHERNET, *seen.values()])
        self._adjustments += uplinks.adjustments(self.uplinks, seen, self.mtu, mtu)
        self._fitting = mtu != self.mtu
        self.uplinks, self.mtu = seen, mtu

    def _see_own(self, own: Address | None) -> None:
        """Take in which address of the machine's ports are published on."""
        if self.own is not None and own != self.own:
            self._adjustments.append(Adjustment(f"the machine's own address is {own or 'none'} now, before {self.own}"))
        self.own = own

    def _inside(self, machine: Iterable[Network]) -> list[str]:
        """Make the namespace's part so; return what was not, in words. Called inside."""
        netfilter = self.namespace.netfilter()
        text = ruleset.namespace_rules(self.ranges, machine, self.mtu)
        # All at once, with the elements that are read next anyway.
        made = self._rules_inside.ensure(netfilter, text, lambda: rules_of(netfilter.tables(), ruleset.TABLES))
        made += settings.write(settings.NAMESPACE)
        made += settings.write(settings.of_node_end(INNER))  # into which the kernel copies new defaults
        with Rtnetlink() as kernel:
            for version in CARRIED:
                made += routing.rules(kernel, version)
                made += self._end(kernel, INNER, self.ranges.node_end(version))
                made += routing.neighbours(kernel, version)
                made += routing.routes(kernel, self._inner_routes(kernel, version), version)
        return made

    def _end(self, kernel: Rtnetlink, name: str, address: Interface) -> list[str]:
        """Make an end of the veth pair as it should be, unless it is so; in the namespace, the loopback's too."""
        made: list[str] = []
        link, others = kernel.link(name), [kernel.link(_LOOPBACK)] if name == INNER else []
        if link is None:
            raise KernelError(f"link {name}: somebody has just taken it away")
        for one in (link, *others):
            if one is not None and not one.is_up:
                kernel.set_up(one.name)
                made.append(f"link {one.name} up")
        if not link.is_free:
            kernel.set_up(name)
            made.append(f"link {name} free, with ARP")
        mac = mac_of(self.device, inner=name == INNER)
        if link.mtu != self.mtu:
            kernel.set_up(name, mtu=self.mtu)
            made += [] if self._fitting else [f"MTU of {name}"]
        if link.mac != mac:
            kernel.set_up(name, mac=mac)
            made.append(f"hardware address of {name}")
        if address not in kernel.addresses(address.version).get(link.index, ()):
            kernel.add_address(name, address)
            made.append(f"address {address} on {name}")
        return made

    def _inner_routes(self, kernel: Rtnetlink, version: int) -> list[Route]:
        """Return the routes of the namespace: to the host by default, and nowhere what no guest has.

        Without these, what no guest has would go to the host and come back.
        """
        # Of a network that is another's too, as an uplink's, the host knows the way.
        networks = [*self.ranges.whole(version), *self.ranges.guests(version)]
        index = kernel.index(INNER)
        return [
            *routing.own_routes(ip_interface("127.0.0.1/8"), _LOOPBACK_INDEX),
            *routing.own_routes(self.ranges.node_end(version), index),
            *(Route(network, kind="unreachable") for network in networks),
            routing.to_link(self.ranges.node_end(version), index),
            Route(_ANYWHERE[version], link=index, gateway=self.ranges.host_end(version).ip),
        ]

    def _in_host(self) -> list[str]:
        """Make the host's part so; return what was not, in words."""
        made = settings.write(settings.of_host_end(self.device))
        with Rtnetlink() as kernel:
            text = host_rules(self.table, self.device, self.ranges, self.uplinks)
            if self.ranges.host:
                text += host_ports(self.table, self.ranges, self.own, self._ports.known)
            with Netfilter() as netfilter:
                made += self._rules_in_host.ensure(netfilter, text, lambda: netfilter.rules([("inet", self.table)]))
            made += self._host_settings({*self.uplinks, *filter(None, [self.ranges.uplink])})
            index = kernel.index(self.device)
            for version in CARRIED:
                end, gateway = self.ranges.host_end(version), self.ranges.node_end(version).ip
                made += self._end(kernel, self.device, end)
                made += routing.neighbours(kernel, version, only=index)
                pools = [Route(pool, link=index, gateway=gateway) for pool in self.ranges.whole(version)]
                made += routing.routes(
                    kernel, [*routing.own_routes(end, index), routing.to_link(end, index), *pools], version
                )
                made += answering.write(kernel, self._answered, self.ranges, self.device, version)
        return made

    def _host_settings(self, names: Iterable[str]) -> list[str]:
        """Let packets that enter by an uplink be forwarded.

        Other links' settings are their owners': who wants a bridge's members to reach guests has it forward.
        """
        wanted = {f"net/ipv4/conf/{name}/forwarding": name for name in names}
        other = {wanted[setting] for setting in settings.differing(dict.fromkeys(wanted, "1"))}
        self._record.take(self.device, dict.fromkeys(wanted, "1") | answering.setting_of(self.ranges.uplink))
        # An uplink that is new had no setting of ours that somebody could have changed.
        changed, self._forwarding = sorted(other & self._forwarding), set(names)
        return [f"setting forwarding of {name}" for name in changed]


def mac_of(device: str, *, inner: bool) -> str:
    """Return the hardware address of an end of the veth pair, from the identifier in the name of the host's end; pure.

    A known one can be put back, and the other end need not ask for it again.
    """
    identifier = device[-6:]
    pairs = (identifier[place : place + 2] for place in (0, 2, 4))
    return ":".join(("02", "76", "02" if inner else "01", *pairs))


def own_addresses() -> list[Network]:
    """Return the addresses at which the machine itself answers, those of broadcasts too; not the loopback's."""
    with Rtnetlink() as kernel:
        routes = [route for version in CARRIED for route in kernel.routes(version, LOCAL_TABLE)]
    networks = {route.destination for route in routes if route.kind in ("local", "broadcast")}
    return sorted((one for one in networks if not one.is_loopback), key=str)


def _link(name: str) -> Link | None:
    with Rtnetlink() as kernel:
        return kernel.link(name)


def delete_link(name: str) -> None:
    """Remove a link of the namespace in which the calling thread is, if it is there."""
    with Rtnetlink() as kernel:
        kernel.delete_link(name)


def _are_a_pair(outer: Link, inner: Link | None) -> bool:
    """Return whether two links are the ends of one veth pair; pure."""
    return inner is not None and (outer.kind, outer.peer, inner.peer) == ("veth", inner.index, outer.index)
