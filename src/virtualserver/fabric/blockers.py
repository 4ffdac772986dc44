"""Foreign rules of the host that would drop guests' packets: found and named, never touched.

A new connection of a guest and one to a guest are followed through every foreign forward chain. What depends on
more than links and connection state is taken as not matching, so a rule against one address is no blocker.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from virtualserver.fabric.desired.names import NAMESPACE_PREFIX
from virtualserver.fabric.kernel.namespace import apart
from virtualserver.fabric.kernel.netfilter import Netfilter
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink
from virtualserver.fabric.kernel.ruleset import TABLES
from virtualserver.host.commands import CommandError, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from virtualserver.fabric.kernel.namespace import Namespace

__all__ = ["Blocker", "blockers_in", "find_blockers", "find_intruders", "foreign_tables", "legacy_listing"]

_OURS: Final = NAMESPACE_PREFIX
_FAMILIES: Final = ("ip", "inet")
_LEGACY: Final = "iptables-legacy"


@dataclasses.dataclass(frozen=True, slots=True)
class Blocker:
    """A foreign rule that would drop our packets.

    Attributes:
        where: The chain, as ``family table chain``, or the setting.
        reason: What it does to our packets.
        remedy: The one command that lets them pass.
    """

    where: str
    reason: str
    remedy: str


class _Chain(NamedTuple):
    family: str
    table: str
    name: str


class _Packet(NamedTuple):
    """The first packet of a connection: the link by which it enters and leaves, None where that is not known."""

    enters: str | None
    leaves: str | None


async def find_blockers(device: str, uplinks: Iterable[str]) -> list[Blocker]:
    """Return the foreign rules of the host that would drop packets from or to our veth pair.

    Args:
        device: The host's end of the pair.
        uplinks: The host's links with a default route.
    """
    found = blockers_in(await apart(_ruleset), device, uplinks)
    if _legacy_tables():
        try:
            listing = legacy_listing(await run("iptables-legacy", "--list-rules"))
        except CommandError as error:
            reason = f"the kernel has tables of the old iptables, which cannot be read: {error}"
            return [*found, Blocker(f"{_LEGACY} filter FORWARD", reason, "iptables-legacy --list-rules FORWARD")]
        found += blockers_in(listing, device, uplinks)
    return found


async def find_intruders(namespace: Namespace, device: str) -> list[Blocker]:
    """Return what others put in the way of guests' packets where only we should be.

    Tables of the namespace, and filters of ``tc`` on our links: somebody may have meant them, so they are left.

    Args:
        namespace: The installation's.
        device: The host's end of the veth pair.
    """
    found = [_filter(link, kind, "") for link, kind in await apart(_ingress) if link == device]
    if not namespace.exists():
        return found
    inside = f"ip netns exec {namespace.name} "
    found += [_filter(link, kind, inside) for link, kind in await namespace.visit(_ingress)]
    for family, table in foreign_tables(await namespace.visit(_ruleset)):
        where = f"{family} {table} in namespace {namespace.name}"
        reason = "a table of others among ours may drop guests' packets"
        found.append(Blocker(where, reason, f"{inside}nft delete table {family} {table}"))
    return found


def foreign_tables(listing: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return family and name of the namespace's tables that are not ours and see packets; pure."""
    chains = [item["chain"] for item in listing["nftables"] if item.get("chain", {}).get("hook")]
    return sorted({(chain["family"], chain["table"]) for chain in chains} - set(TABLES))


def _filter(link: str, kind: str, inside: str) -> Blocker:
    reason = "its filters see guests' packets before our rules, and may drop or change them"
    return Blocker(f"tc {kind} of {link}", reason, f"{inside}tc qdisc delete dev {link} {kind}")


def _ingress() -> list[tuple[str, str]]:
    with Rtnetlink() as kernel:
        return kernel.ingress()


def _ruleset() -> dict[str, Any]:
    with Netfilter() as netfilter:
        return netfilter.listing()


def blockers_in(listing: Mapping[str, Any], device: str, uplinks: Iterable[str]) -> list[Blocker]:
    """Return the blockers among the rules that ``nft -j list ruleset`` shows; pure."""
    chains: dict[_Chain, dict[str, Any]] = {}
    rules: dict[_Chain, list[list[dict[str, Any]]]] = {}
    for item in listing["nftables"]:
        if chain := item.get("chain"):
            chains[_Chain(chain["family"], chain["table"], chain["name"])] = chain
        elif rule := item.get("rule"):
            rules.setdefault(_Chain(rule["family"], rule["table"], rule["chain"]), []).append(rule["expr"])
    uplink = next(iter(sorted(uplinks)), None)
    found: list[Blocker] = []
    for name, chain in chains.items():
        if chain.get("hook") != "forward" or name.family not in (*_FAMILIES, _LEGACY) or name.table.startswith(_OURS):
            continue
        dropped: list[str] = []
        for direction, packet in (("from", _Packet(device, uplink)), ("to", _Packet(uplink, device))):
            verdict = _follow(name, rules, packet, frozenset()) or f"policy {chain.get('policy', 'accept')}"
            if verdict not in ("accept", "policy accept"):
                dropped.append(f"packets {direction} guests: {verdict}")
        if dropped:
            where = " ".join(name)
            found.append(Blocker(where, f"drops {', '.join(dropped)}", _remedy(name, set(chains), device)))
    return found


def legacy_listing(text: str) -> dict[str, Any]:
    """Return what ``iptables-legacy --list-rules`` prints in the form of nft's listing; pure."""
    items: list[dict[str, Any]] = []
    for line in text.splitlines():
        words = line.split()
        place = {"family": _LEGACY, "table": "filter"}
        if words[:1] == ["-P"]:
            hook = {"hook": "forward"} if words[1] == "FORWARD" else {}
            items.append({"chain": {**place, "name": words[1], "policy": words[2].lower(), **hook}})
        elif words[:1] == ["-N"]:
            items.append({"chain": {**place, "name": words[1]}})
        elif words[:1] == ["-A"]:
            items.append({"rule": {**place, "chain": words[1], "expr": _legacy_rule(words[2:])}})
    return {"nftables": items}


def _legacy_rule(words: list[str]) -> list[dict[str, Any]]:
    matches: list[dict[str, Any]] = []
    verdict: list[dict[str, Any]] = []
    while words:
        option, value = words[0], words[1] if len(words) > 1 else ""
        if option in ("-i", "-o"):
            key = {"meta": {"key": "iifname" if option == "-i" else "oifname"}}
            matches.append({"match": {"op": "==", "left": key, "right": value.replace("+", "*")}})
        elif option in ("-j", "-g"):
            plain = value in ("ACCEPT", "DROP", "REJECT", "RETURN")
            verdict = [{value.lower(): None} if plain else {"jump" if option == "-j" else "goto": {"target": value}}]
        elif option.startswith(("-", "!")):
            matches.append({"xt": option})
        words = words[2:] if option in ("-i", "-o", "-j", "-g") else words[1:]
    return matches + verdict


def _follow(
    name: _Chain, rules: Mapping[_Chain, list[list[dict[str, Any]]]], packet: _Packet, seen: frozenset[_Chain]
) -> str:
    """Return what becomes of a packet in a chain: ``accept``, what drops it, or ``""`` where it falls through."""
    if name in seen:
        return ""
    for number, expressions in enumerate(rules.get(name, ()), 1):
        verdict = _verdict(expressions, packet)
        if "accept" in verdict:
            return "accept"
        if "drop" in verdict or "reject" in verdict:
            return f"rule {number} of chain {name.name} ({'drop' if 'drop' in verdict else 'reject'})"
        if "return" in verdict:
            return ""
        for kind in ("jump", "goto"):
            if kind in verdict:
                target = name._replace(name=verdict[kind]["target"])
                outcome = _follow(target, rules, packet, seen | {name})
                if outcome or kind == "goto":
                    return outcome
    return ""


def _verdict(expressions: list[dict[str, Any]], packet: _Packet) -> dict[str, Any]:
    """Return the verdict of a rule on a packet, ``{}`` where it does not surely match."""
    for expression in expressions:
        if "match" in expression:
            match = expression["match"]
            if not _matches(match["left"], match.get("op", "=="), match["right"], packet):
                return {}
        elif "vmap" in expression:
            return _mapped(expression["vmap"], packet)
        elif "xt" in expression:  # an extension of iptables
            extension = _object(expression["xt"])
            if extension.get("name") == "REJECT":
                return {"reject": None}
            if extension.get("type") != "target":
                return {}
        elif expression.keys() & {"accept", "drop", "reject", "jump", "goto", "return"}:
            return expression
    return {}


def _mapped(vmap: Mapping[str, Any], packet: _Packet) -> dict[str, Any]:
    for key, verdict in _object(vmap["data"]).get("set", ()):
        if _matches(vmap["key"], "==", key, packet):
            return _object(verdict)
    return {}


def _matches(left: Any, operator: str, right: Any, packet: _Packet) -> bool:
    """Return whether a new connection's packet surely matches."""
    actual = _known(_object(left), packet)
    if actual is None or (isinstance(right, str) and right.startswith("@")):
        return False
    several: list[Any] = _object(right).get("set", right if isinstance(right, list) else [right])
    equal = any(fnmatch.fnmatchcase(actual, str(value)) for value in several)
    return equal != (operator == "!=")


def _known(left: dict[str, Any], packet: _Packet) -> str | None:
    if _object(left.get("ct")).get("key") == "state":
        return "new"
    known = {
        "iifname": packet.enters,
        "iif": packet.enters,
        "oifname": packet.leaves,
        "oif": packet.leaves,
        "nfproto": "ipv4",
        "protocol": "ip",
    }
    return known.get(str(_object(left.get("meta")).get("key")))


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _remedy(name: _Chain, chains: set[_Chain], device: str) -> str:
    """Return the one command that lets our packets pass, in the words of whoever owns the chain."""
    if name.table == "firewalld":
        return f"firewall-cmd --permanent --zone=trusted --add-interface={device} && firewall-cmd --reload"
    if name._replace(name="ufw-user-forward") in chains:
        return f"ufw route allow in on {device} && ufw route allow out on {device}"
    user = name._replace(name="DOCKER-USER")
    family, table, chain = user if user in chains else name
    if family == _LEGACY:
        return f"iptables-legacy -I {chain} -i {device} -j ACCEPT && iptables-legacy -I {chain} -o {device} -j ACCEPT"
    insert = f"insert rule {family} {table} {chain}"
    return f'nft \'{insert} iifname "{device}" accept; {insert} oifname "{device}" accept\''


def _legacy_tables() -> bool:
    """Return whether the kernel holds rules of the old iptables, which nft does not show."""
    try:
        return bool(Path("/proc/net/ip_tables_names").read_text().strip())
    except OSError:
        return False
