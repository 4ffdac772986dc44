"""What an installation's data plane needs before any guest: namespace, veth pair, base rules, the host's own part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.fabric.kernel import ruleset
from virtualserver.host.commands import CommandError, run

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import Ranges
    from virtualserver.fabric.kernel.namespace import Namespace
    from virtualserver.host.settings import HostRecord

__all__ = ["INNER", "Attachment"]

INNER: Final = "up0"
"""The namespace's end of the veth pair."""

_ETHERNET: Final = 1500
_SETTINGS: Final[Mapping[str, str]] = {
    "net/ipv4/ip_forward": "1",
    # What counts is a combination of "all" and the device's own value; new taps take theirs from "default".
    **{
        f"net/ipv4/conf/{scope}/{name}": value
        for scope, name, value in (
            ("all", "rp_filter", "0"),
            ("default", "rp_filter", "1"),
            ("all", "proxy_arp", "0"),
            ("default", "proxy_arp", "1"),
            *(
                (scope, name, "0")
                for scope in ("all", "default")
                for name in ("send_redirects", "accept_redirects", "accept_source_route", "arp_ignore", "log_martians")
            ),
        )
    },
    "net/ipv4/neigh/default/proxy_delay": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    # A late segment is no reason to leave it untranslated.
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
}
_Runner = Callable[..., Awaitable[str]]


class Attachment:
    """Makes it, checks it, removes it."""

    def __init__(
        self, *, namespace: Namespace, table: str, device: str, ranges: Ranges, run_folder: Path, record: HostRecord
    ) -> None:
        """Name it.

        Args:
            namespace: The installation's.
            table: The name of the host's table of ours.
            device: The host's end of the veth pair.
            ranges: The installation's networks.
            run_folder: Where what was loaded is remembered.
            record: Of the host's settings.
        """
        self.namespace = namespace
        self.table = table
        self.device = device
        self.ranges = ranges
        self.mtu = _ETHERNET
        self._run = run_folder
        self._record = record

    async def ensure(self) -> int:
        """Make all of it so, and return the number of changes."""
        self._run.mkdir(mode=0o755, parents=True, exist_ok=True)
        changes = int(await self.namespace.create())
        uplinks = await self.uplinks()
        self.mtu = min([_ETHERNET, *uplinks.values()])
        text = ruleset.namespace_rules(self.ranges)
        tables = (("inet", ruleset.TABLE), ("arp", ruleset.TABLE))
        changes += await self._rules(self.namespace.run, "namespace", tables, text)
        changes += self.namespace.call(lambda: _write_settings(_SETTINGS))
        changes += await self._links()
        text = ruleset.host_rules(self.table, self.device, self.ranges, uplinks)
        changes += await self._rules(run, "host", (("inet", self.table),), text)
        changes += self._host_settings(uplinks)
        changes += await self._routes()
        return changes

    async def remove(self) -> None:
        """Remove the veth pair, the host's table and routes, and the namespace; put the host's settings back."""
        # Not looked at before: the pair goes by itself while the kernel clears a namespace that was just removed.
        await run("ip", "link", "delete", self.device, accept=(0, 1))
        if self.device_exists():
            raise CommandError(f"link {self.device} is still there: look at `ip link delete {self.device}`")
        if await self.host_table():
            await run("nft", "delete", "table", "inet", self.table)
        await self.namespace.remove()
        self._record.give_back(self.device)
        for name in ("namespace", "host"):
            (self._run / f"rules-{name}.json").unlink(missing_ok=True)

    def device_exists(self) -> bool:
        """Return whether the host's end of the veth pair is there."""
        return Path("/sys/class/net", self.device).exists()

    async def uplinks(self) -> dict[str, int]:
        """Return the MTU of each link of the host that has a default route."""
        routes = await _json(run, "-4", "route", "show", "default")
        names = {str(route["dev"]) for route in routes if "dev" in route}
        names |= {str(hop["dev"]) for route in routes for hop in route.get("nexthops", ()) if "dev" in hop}
        links = await _json(run, "link", "show")
        return {link["ifname"]: int(link["mtu"]) for link in links if link["ifname"] in names}

    async def host_table(self) -> str:
        """Return the host's table of ours as nft prints it, ``""`` where there is none."""
        return await _table(run, "inet", self.table)

    def changed_settings(self) -> dict[str, str]:
        """Return the host's settings that we changed, and what they were."""
        return self._record.of(self.device)

    async def routes(self) -> list[dict[str, Any]]:
        """Return the host's routes through the veth pair, but for the kernel's own."""
        if not self.device_exists():
            return []
        routes = await _json(run, "-4", "route", "show", "dev", self.device)
        return [route for route in routes if route.get("protocol") == "static"]

    async def _links(self) -> int:
        """Make the veth pair and its addresses, and the namespace's own routes."""
        changes = 0
        outside = await self._link(run, self.device)
        inside = await self._link(self.namespace.run, INNER)
        if not outside or not inside:
            if outside:
                await run("ip", "link", "delete", self.device)
            pair = (self.device, "mtu", str(self.mtu), "type", "veth", "peer", "name", INNER, "mtu", str(self.mtu))
            await run("ip", "link", "add", *pair, "netns", self.namespace.name)
            outside, inside = {}, {}
            changes += 1
        link = self.ranges.link
        changes += _write_settings({f"net/ipv6/conf/{self.device}/disable_ipv6": "1"})
        changes += await self._address(run, self.device, outside, f"{link[1]}/{link.prefixlen}")
        changes += self.namespace.call(lambda: _write_settings({f"net/ipv4/conf/{INNER}/proxy_arp": "0"}))
        changes += await self._address(self.namespace.run, INNER, inside, f"{link[2]}/{link.prefixlen}")
        changes += await self._inner_routes()
        return changes

    async def _link(self, runner: _Runner, name: str) -> dict[str, Any]:
        found = [link for link in await _json(runner, "address", "show") if link["ifname"] == name]
        return found[0] if found else {}

    async def _address(self, runner: _Runner, name: str, link: Mapping[str, Any], address: str) -> int:
        """Give a link its address and take it up, unless it is so."""
        found = {f"{item['local']}/{item['prefixlen']}" for item in link.get("addr_info", ()) if "local" in item}
        if address in found and "UP" in link.get("flags", ()):
            return 0
        lines = f"address replace {address} dev {name}\nlink set dev {name} up\nlink set dev lo up\n"
        if runner is run:
            lines = lines.replace("link set dev lo up\n", "")
        await runner("ip", "-batch", "-", stdin=lines)
        return 1

    async def _inner_routes(self) -> int:
        """Route to the host by default, and nowhere what no guest has: it must not come back."""
        networks = [*ruleset.pool_networks(self.ranges), *ruleset.ipv4([*self.ranges.guest, *self.ranges.service])]
        shown = await _json(self.namespace.run, "-4", "route", "show", "table", "main")
        found = {route["dst"] for route in shown if route.get("type") == "unreachable"}
        lines = [
            f"route replace unreachable {network} proto static\n" for network in networks if str(network) not in found
        ]
        if not any(route["dst"] == "default" for route in shown):
            lines.append(f"route replace default via {self.ranges.link[1]} dev {INNER} proto static\n")
        if lines:
            await self.namespace.run("ip", "-batch", "-", stdin="".join(lines))
        return len(lines)

    async def _routes(self) -> int:
        """Route the pools from the host through the veth pair."""
        found = {route["dst"] for route in await self.routes()}
        via = f"via {ruleset.node_address(self.ranges)} dev {self.device} proto static"
        missing = [pool for pool in ruleset.pool_networks(self.ranges) if _shown(str(pool)) not in found]
        if missing:
            await run("ip", "-batch", "-", stdin="".join(f"route add {pool} {via}\n" for pool in missing))
        return len(missing)

    def _host_settings(self, uplinks: Mapping[str, int]) -> int:
        """Let packets that enter by our veth pair or by an uplink be forwarded.

        Other links' settings are their owners': who wants a bridge's members to reach guests has it forward.
        """
        ours = {f"net/ipv4/conf/{self.device}/forwarding": "1", f"net/ipv4/conf/{self.device}/accept_redirects": "0"}
        wanted = {f"net/ipv4/conf/{name}/forwarding": "1" for name in uplinks}
        return _write_settings(ours) + self._record.take(self.device, wanted)

    async def _rules(self, runner: _Runner, name: str, tables: tuple[tuple[str, str], ...], text: str) -> int:
        """Load rules unless they stand as they were loaded: what nft printed then is remembered beside the text."""
        file = self._run / f"rules-{name}.json"
        listing = await _tables(runner, tables)
        if file.exists() and msgspec.json.decode(file.read_bytes()) == {"text": text, "listing": listing}:
            return 0
        await runner("nft", "-f", "-", stdin=text)
        file.write_bytes(msgspec.json.encode({"text": text, "listing": await _tables(runner, tables)}))
        return 1


async def _tables(runner: _Runner, tables: tuple[tuple[str, str], ...]) -> str:
    return "".join([await _table(runner, family, name) for family, name in tables])


async def _table(runner: _Runner, family: str, name: str) -> str:
    """Return a table as nft prints it, without elements and counters; ``""`` where there is none."""
    return await runner("nft", "--stateless", "--terse", "list", "table", family, name, accept=(0, 1))


async def _json(runner: _Runner, *arguments: str) -> list[dict[str, Any]]:
    text = await runner("ip", "-json", *arguments)
    return msgspec.json.decode(text.strip() or "[]", type=list[dict[str, Any]])


def _shown(network: str) -> str:
    return network.removesuffix("/32")


def _write_settings(wanted: Mapping[str, str]) -> int:
    """Write those settings that have another value, and return how many; one that this kernel lacks is left out."""
    written = 0
    for name, value in wanted.items():
        path = Path("/proc/sys", name)
        if path.exists() and path.read_text().strip() != value:
            path.write_text(value)
            written += 1
    return written
