"""Which flows end with what a change takes away; pure."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entries, Entry, Ledger
from virtualserver.fabric.kernel import conntrack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.fabric.desired.state import Network

__all__ = ["cuts"]

_FLAT: Final = frozenset(
    (*entries.PUBLISHED.values(), *entries.WITHHELD.values(), *entries.SPREAD.values(), *entries.FLOATING.values())
)
_FLOATING: Final = frozenset((*entries.FLOATING.values(), *entries.FLOATING_TO.values()))
_PORTS: Final = frozenset({*entries.OPEN, *entries.WITHHELD.values(), *entries.WITHHELD_TO.values()})
_ENDS: Final = frozenset(entries.ENDS.values())


class _Port(NamedTuple):
    """What an entry of a port, or of a floating address, says: whom it leads to, and from where; None: everywhere."""

    target: str
    clients: tuple[Network, ...] | None


def cuts(delta: Delta, wanted: Ledger) -> list[conntrack.Flows]:
    """Return the flows of published ports and guests' addresses that a delta takes away.

    So are those of clients that may not call it any more.
    A port that leads elsewhere, or to nobody for a while, is still there: its TCP connections stay where they are until
    they end, or their guest does. A UDP flow, which never ends by itself, follows the port to another guest, unless its
    own is still one of several.
    Source: kube-proxy, which clears the UDP flows of an endpoint that is no longer ready, and no TCP flows.

    A floating address that goes to another guest, or to none, takes no flow along: those that came to it end, and those
    that left with it. So do those to a port of it that is published from now on. Those to a port of it that was
    published, and still is, go on: they never floated.

    Args:
        delta: What changes.
        wanted: What all ask for once it has changed, in groups by `entries.decided_of`.
    """
    found = [*_of_ports(delta)]
    for entry, value in delta.removed.items():
        if entry.kind == entries.ROUTE and value != entries.LOCAL and entry not in delta.added:
            found.append(conntrack.Flows(by=ip_address(entry.key)))
            found.append(conntrack.Flows(answered_by=ip_address(entry.key)))
    found += _floated(delta, wanted)
    # What is not translated was called by this address: flows between guests.
    grouped = {entry.key.partition(" . ")[0] for entry in delta.added if entry.kind in entries.MEMBER.values()}
    for entry in delta.removed:
        address = entry.key.partition(" . ")[0]
        if entry.kind in entries.MEMBER.values() and address in grouped:
            found.append(conntrack.Flows(to=ip_address(address)))
    return found + [
        conntrack.Flows(to=ip_address(address), spared=_admitted(address, wanted))
        for address in _newly_restricted(delta)
    ]


def _of_ports(delta: Delta) -> Iterator[conntrack.Flows]:
    """Yield the flows of ports that are gone, that some may not call any more, or of which a target is gone."""
    ports = {entry.key: _port(entry, value) for entry, value in delta.added.items() if entry.kind in _PORTS}
    targets = _targets(delta.added)
    left = _targets(delta.removed)
    for entry, value in delta.removed.items():
        if entry.kind in _PORTS:
            before, after = _port(entry, value), ports.get(entry.key)
            if after is None:
                left.pop(entry.key, None)
                yield _flows(entry.key)
            elif after.clients is not None and after.clients != before.clients:
                yield dataclasses.replace(_flows(entry.key), spared=after.clients)
    for key, several in left.items():
        flows = _flows(key)
        if flows.protocol == "udp" and key in targets and several - targets[key]:
            stay = sorted(ip_address(one.partition(" . ")[0]) for one in several & targets[key])
            yield dataclasses.replace(flows, kept=tuple(stay))


def _targets(changed: Entries) -> dict[str, set[str]]:
    """Return whom ports lead to, by the port; of one that is spread, what its chain says."""
    found: dict[str, set[str]] = {}
    for entry, value in changed.items():
        if entry.kind in _ENDS:
            found[entry.key] = set(value.rpartition(":")[2].split(","))
        elif entry.kind in _PORTS and not (target := _port(entry, value).target).startswith("goto "):
            found[entry.key] = {target}
    return found


def _flows(port: str) -> conntrack.Flows:
    address, protocol, number = port.split(" . ")
    return conntrack.Flows(to=ip_address(address), protocol=protocol, port=int(number))


def _floated(delta: Delta, wanted: Ledger) -> Iterator[conntrack.Flows]:
    """Yield the flows of floating addresses that lead elsewhere, or that some may not call any more."""
    before = {entry: _port(entry, value) for entry, value in delta.removed.items() if entry.kind in _FLOATING}
    stays = {entry.key: _port(entry, value) for entry, value in delta.added.items() if entry.kind in _FLOATING}
    for entry, port in before.items():
        address, after = ip_address(entry.key), stays.get(entry.key)
        inbound = conntrack.Flows(to=address, apart_from=_published(entry.key, delta, wanted))
        if after is None or after.target != port.target:
            yield inbound
            yield conntrack.Flows(answered_to=address)
        elif after.clients is not None and after.clients != port.clients:
            yield dataclasses.replace(inbound, spared=after.clients)
    begins = {entry.key for entry in delta.added if entry.kind in _FLOATING}
    begins -= {entry.key for entry in delta.removed if entry.kind in _FLOATING}
    for entry in delta.added:
        if (floating := entries.decided_of(entry)) and floating not in begins:
            yield _flows(entry.key)


def _published(address: str, delta: Delta, wanted: Ledger) -> tuple[conntrack.Port, ...]:
    """Return the ports of an address that were published before a change, and are after it.

    Those that floated until then, since nobody had decided about them, are none of them.
    """
    decided = {entry for entry in delta.removed if entries.decided_of(entry) == address}
    decided |= wanted.group(address) - delta.added.keys()
    found: list[conntrack.Port] = []
    for entry in decided:
        if any(Entry(kind, entry.key) in wanted for kind in _PORTS):
            _, protocol, port = entry.key.split(" . ")
            found.append((protocol, int(port)))
    return tuple(sorted(found))


def _newly_restricted(delta: Delta) -> list[str]:
    """Return the attached addresses that somebody may have lost the right to call."""
    restricted, admitted = entries.RESTRICTED.values(), entries.ADMITTED.values()
    free = {entry.key for entry in delta.removed if entry.kind in restricted}
    found = [entry.key for entry in delta.added if entry.kind in restricted]
    found += [entry.key for entry in delta.removed if entry.kind in admitted and entry.key not in free]
    return list(dict.fromkeys(found))


def _admitted(address: str, wanted: Ledger) -> tuple[Network, ...]:
    clients = wanted.get(Entry(entries.ADMITTED[ip_address(address).version], address)) or ""
    return tuple(ip_network(network) for network in clients.split(",") if network)


def _port(entry: Entry, value: str) -> _Port:
    if entry.kind in _FLAT:
        return _Port(value, None)
    parts = [part.partition(" : ") for part in value.split(",")]
    return _Port(parts[0][2], tuple(ip_network(network) for network, _, _ in parts))
