"""What is true of an installation at every moment: an address has one owner, wherever one looks.

`tests/conftest.py` calls `one_owner` after every test that has a running node, and scenarios call it after their steps.
It reads what the node wrote down and what is in the kernel and in dnsmasq's folder, and compares them with the API:

* the allocations: whose NIC an address, a MAC, a tap or a user number was given to;
* the guard: as whom which tap may send; the routes, and the map of published ports;
* the maps of floating addresses: whose guest has all traffic to one, and with which one it leaves;
* DHCP: which address is to be leased, and is leased, on which tap;
* the machines: under which user number QEMU runs;
* the API: which address which VMI and which Service shows, and which server claims which Service.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import sqlite3
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.waiting import eventually
from virtualserver.controlplane.rest import RestError
from virtualserver.fabric.desired import entries
from virtualserver.fabric.dhcp.leases import parse_leases
from virtualserver.fabric.kernel import elements
from virtualserver.installation import ranges
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of, owner_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from virtualserver.fabric.desired.ledger import Entry
    from virtualserver.installation.installation import Installation

__all__ = ["Seen", "TwoOwners", "doubled", "faults", "one_owner"]

K = TypeVar("K")
V = TypeVar("V")

_GUEST: Final = re.compile(r"guest=([^,]+),")


class TwoOwners(Exception):
    """Two guests have the same; no AssertionError, which would be waited for to pass."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """One look at an installation.

    Attributes:
        allocations: (owner, purpose, kind, value) of each.
        elements: Of the namespace's sets and maps.
        hosts: By tap: the MAC and address that dnsmasq leases there.
        leases: (MAC, address) of each lease that is held.
        routes: (address, device) of each route to one address.
        machines: (guest, user number) of each QEMU process.
        vmis: Of all namespaces.
        services: Of all namespaces.
        servers: VirtualServers of all namespaces.
        slices: EndpointSlices of all namespaces.
        on_host: The machine's own address and where it calls the data plane, where a pool is that address.
    """

    allocations: list[tuple[str, str, str, str]]
    elements: Mapping[Entry, str]
    hosts: Mapping[str, tuple[str, str]]
    leases: list[tuple[str, str]]
    routes: list[tuple[str, str]]
    machines: list[tuple[str, int]]
    vmis: list[dict[str, Any]]
    services: list[dict[str, Any]]
    servers: list[dict[str, Any]]
    slices: list[dict[str, Any]]
    on_host: frozenset[str] = frozenset()


def one_owner(
    installation: Installation, read: Callable[[str], list[dict[str, Any]]], *, enter: Sequence[str] = ()
) -> None:
    """Fail where an address, MAC, tap or user number has not one owner everywhere.

    Two guests with the same fail at once. What two sources say differently may have changed between the two looks, so
    that it fails only where it stays.

    Args:
        installation: A running one.
        read: Returns the objects of a kind (``vmi``, ``service``, ``vs``, ``endpointslice``) of all namespaces.
        enter: The command line before each command, where the installation runs on another machine.

    Raises:
        TwoOwners: Two guests have the same.
        AssertionError: Two sources differ, and go on to; says in what.
    """
    last: list[str] = []

    def agree() -> bool:
        try:
            seen = _look(installation, read, enter)
        except (OSError, RestError, sqlite3.Error, subprocess.CalledProcessError) as error:  # it is started again
            last[:] = [repr(error)]
            return False
        if two := doubled(seen):
            raise TwoOwners("\n".join(two))
        last[:] = faults(seen)
        return not last

    eventually(agree, seconds=60, what=lambda: "one owner everywhere:\n" + "\n".join(last))


def _look(installation: Installation, read: Callable[[str], list[dict[str, Any]]], enter: Sequence[str]) -> Seen:
    def inside(*command: str) -> str:
        line = [*enter, "ip", "netns", "exec", installation.namespace, *command]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    with contextlib.closing(sqlite3.connect(f"file:{installation.allocations}?mode=ro", uri=True)) as database:
        allocations = list(database.execute("SELECT owner, purpose, kind, value FROM claims"))
    hosts: dict[str, tuple[str, str]] = {}
    for file in (installation.fabric_run / entries.DHCP_HOST).glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError):
            mac, _, address = file.read_text().strip().partition(",")
            hosts[file.name] = mac, address
    leases = parse_leases((installation.fabric_run / "leases").read_text())
    return Seen(
        allocations=allocations,
        elements=elements.elements(inside("nft", "--stateless", "list", "ruleset")),
        hosts=hosts,
        leases=[(mac, str(lease.address)) for mac, lease in leases.items()],
        routes=[(route["dst"], route["dev"]) for route in json.loads(inside("ip", "-json", "route")) if "dev" in route],
        machines=list(_machines(installation)),
        vmis=read("vmi"),
        services=read("service"),
        servers=read("vs"),
        slices=read("endpointslice"),
        on_host=_on_host(installation, enter),
    )


def _on_host(installation: Installation, enter: Sequence[str]) -> frozenset[str]:
    recorded = installation.record().ranges
    if recorded is None or not recorded.host:
        return frozenset()
    line = [*enter, "ip", "-j", "route", "get", "9.9.9.9"]
    told = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return frozenset({json.loads(told)[0]["prefsrc"], str(ranges.decode(recorded).node_end().ip)})


def _machines(installation: Installation) -> Iterator[tuple[str, int]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_text()
            guest = _GUEST.search(line)
            if guest and str(installation.state) in line:
                yield guest[1], path.parent.stat().st_uid


def doubled(seen: Seen) -> list[str]:
    """Return what two guests have, in the one moment in which each source was read: pure."""
    return [*_doubled(seen)]


def _doubled(seen: Seen) -> Iterator[str]:
    """An address and a MAC are on one tap, and a user number is one guest's."""
    for address, holders in _guarded(seen).items():
        if len(holders) > 1:
            yield f"guard: {address} may be sent from {sorted(holders)}"
    for mac, devices in _by((mac, device) for device, mac, *_ in _keys(seen, entries.GUARD_MAC)).items():
        if len(devices) > 1:
            yield f"guard: {mac} may be sent from {sorted(devices)}"
    for user, guests in _by((user, guest) for guest, user in seen.machines).items():
        if len(guests) > 1:
            yield f"machines: {sorted(guests)} run under the user number {user}"


def faults(seen: Seen) -> list[str]:
    """Return what is not as it must be: pure."""
    parts = (_guard, _dhcp, _maps, _floating, _routes, _users, _api)
    return [fault for part in parts for fault in part(seen)]


def _guard(seen: Seen) -> Iterator[str]:
    """The owner of a tap was given the address and the MAC that may be sent from it."""
    given = {(kind, value): owner for owner, purpose, kind, value in seen.allocations if not _is_balancer(purpose)}
    for address, holders in _guarded(seen).items():
        for device, mac in holders:
            owner = given.get(("tap", device))
            whose = given.get(("attached", address)) or given.get(("address", address))
            if owner is None or owner != whose or owner != given.get(("mac", mac)):
                yield f"guard: {address} on {device} {mac}: the tap is {owner}'s, the address {whose}'s"


def _dhcp(seen: Seen) -> Iterator[str]:
    """What is leased on a tap is what may be sent from it."""
    guarded = _guarded(seen)
    for device, (mac, address) in seen.hosts.items():
        if guarded.get(address) != {(device, mac)}:
            yield f"DHCP: {address} is leased to {mac} on {device}, and the guard has {guarded.get(address)}"
    for address, devices in _by((host[1], device) for device, host in seen.hosts.items()).items():
        if len(devices) > 1:
            yield f"DHCP: {address} is to be leased on {sorted(devices)}"
    for mac, address in seen.leases:
        holders = {holder for _, holder in guarded.get(address, set())}
        if holders - {mac}:
            yield f"DHCP: {address} is leased to {mac}, and the guard has {sorted(holders)}"


def _routes(seen: Seen) -> Iterator[str]:
    """What is sent to an address that a NIC has goes to that NIC."""
    guarded = _guarded(seen)
    for address, device in seen.routes:
        if address in guarded and device not in {holder for holder, _ in guarded[address]}:
            yield f"routes: {address} leads to {device}, and the guard has {guarded[address]}"


def _users(seen: Seen) -> Iterator[str]:
    """A machine runs under a number that was given to its owner."""
    given = {value for _, _, kind, value in seen.allocations if kind == "user"}
    for guest, user in seen.machines:
        if str(user) not in given:
            yield f"machines: {guest} runs under {user}, which nobody was given"


def _maps(seen: Seen) -> Iterator[str]:
    """What is announced or published is on no NIC, is granted to Services, and leads to a guest that there is."""
    guarded = _guarded(seen)
    granted = {value for _, purpose, kind, value in seen.allocations if kind == "address" and _is_balancer(purpose)}
    cluster = {ip for service in seen.services for ip in fields.mapping(service, "spec").get("clusterIPs") or ()}
    serving, guests = _namespaces_of_services(seen), _by((address, key[0]) for address, key in _shown(seen))
    ports = {value for _, _, kind, value in seen.allocations if kind == "port"}
    announced = {key for (key,) in _keys(seen, entries.ANNOUNCED[4])}
    for address in announced:
        if address in guarded or address not in granted:
            yield f"announced: {address} is on the NIC {guarded.get(address)}, granted: {address in granted}"
    for key, target in _led(seen):
        (front, protocol, port), leads_to = key.split(" . "), target.split(" . ")[0]
        if front in seen.on_host:
            # One owner for each protocol and port: the table of allocations has each once.
            if f"{protocol.upper()}/{port}" not in ports or leads_to not in guarded:
                yield f"published: {protocol} {port} of the machine is nobody's, or leads to {leads_to}, no guest's"
            continue
        if front in guarded or front not in granted | cluster:
            yield f"published: {front} is on the NIC {guarded.get(front)}, granted: {front in granted}"
        if leads_to not in guarded:
            yield f"published: {front} leads to {leads_to}, which no guest has"
        if not serving.get(front, set()) & guests.get(leads_to, set()):
            yield f"published: {front} is of {serving.get(front)}, and leads to {leads_to} of {guests.get(leads_to)}"


def _led(seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield each port that leads somewhere, with each of its targets."""
    for entry, value in seen.elements.items():
        if entry.kind in (entries.PUBLISHED[4], entries.WITHHELD[4]):
            yield entry.key, value
        elif entry.kind == entries.ENDS[4]:
            for target in value.rpartition(":")[2].split(","):
                yield entry.key, target


def _floating(seen: Seen) -> Iterator[str]:
    """An address that floats is on no NIC, and goes to the guest of the one server that claims a Service of it."""
    guarded, floats = _guarded(seen), dict(_floats(seen))
    granted = {value for _, purpose, kind, value in seen.allocations if kind == "address" and _is_balancer(purpose)}
    whose = {value: owner for owner, _, kind, value in seen.allocations if kind == "address"}
    whose |= {value: owner for owner, _, kind, value in seen.allocations if kind == "attached"}
    for address, target in floats.items():
        claimants = _claimants(seen, address)
        if address in guarded or address not in granted:
            yield f"floating: {address} is on the NIC {guarded.get(address)}, granted: {address in granted}"
        if target not in guarded or whose.get(target) not in claimants:
            yield f"floating: {address} leads to {target} of {whose.get(target)}, and is claimed by {claimants}"
    for entry, address in seen.elements.items():
        if entry.kind == entries.FLOATING_SOURCE[4] and floats.get(address) != entry.key:
            yield f"floating: {entry.key} leaves with {address}, which leads to {floats.get(address)}"


def _floats(seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield each address that floats, with that of the guest."""
    for entry, value in seen.elements.items():
        if entry.kind == entries.FLOATING[4]:
            yield entry.key, value
        if entry.kind == entries.FLOATING_TO[4]:
            yield entry.key, value.split(",")[0].split(" : ")[1]


def _claimants(seen: Seen, address: str) -> set[str]:
    """Return the UIDs of the living servers that claim a Service which shows an address."""
    living = {server["metadata"]["uid"] for server in seen.servers}
    services = {
        key_of(service)
        for service in seen.services
        if any(one.get("ip") == address for one in fields.items(service, "status", "loadBalancer", "ingress"))
    }
    return {
        uid
        for one in seen.slices
        if (one["metadata"]["namespace"], one["metadata"]["name"].removesuffix("-floating")) in services
        if (uid := owner_uid(one) or "") in living
    }


def _api(seen: Seen) -> Iterator[str]:
    """A VMI that shows an address has it on its NIC; what Services show is granted to their group."""
    guarded = _guarded(seen)
    for address, keys in _by(_shown(seen)).items():
        if len(keys) > 1 or address not in guarded:
            yield f"API: {address} is shown by {sorted(keys)}, and the guard has {guarded.get(address)}"
    for address, owners in _namespaces_of_services(seen).items():
        if len(owners) > 1 and address not in seen.on_host:
            yield f"API: Services of {sorted(owners)} show {address}"


def _shown(seen: Seen) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each address that a VMI shows, with the VMI's key."""
    for vmi in seen.vmis:
        for interface in fields.items(vmi, "status", "interfaces"):
            for address in interface.get("ipAddresses") or ():
                yield address, key_of(vmi)


def _namespaces_of_services(seen: Seen) -> dict[str, set[str]]:
    """Return by address: the namespaces of the Services that show it, or have it as ClusterIP."""
    found: list[tuple[str, str]] = []
    for service in seen.services:
        ingress = [one.get("ip") for one in fields.items(service, "status", "loadBalancer", "ingress")]
        addresses = [*ingress, *(fields.mapping(service, "spec").get("clusterIPs") or ())]
        found += [(address, service["metadata"]["namespace"]) for address in addresses if address not in (None, "None")]
    return _by(found)


def _guarded(seen: Seen) -> dict[str, set[tuple[str, str]]]:
    """Return by address: tap and MAC of each NIC that may send as it."""
    return _by((address, (device, mac)) for device, mac, address in _keys(seen, entries.GUARD_IP[4]))


def _keys(seen: Seen, kind: str) -> Iterator[list[str]]:
    return (entry.key.split(" . ") for entry in seen.elements if entry.kind == kind)


def _by(pairs: Iterable[tuple[K, V]]) -> dict[K, set[V]]:
    found: defaultdict[K, set[V]] = defaultdict(set)
    for key, value in pairs:
        found[key].add(value)
    return dict(found)


def _is_balancer(purpose: str) -> bool:
    return purpose.startswith("load-balancer/")
