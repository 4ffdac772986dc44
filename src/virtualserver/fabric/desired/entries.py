"""From the values of `desired.state` to the entries that carry them in the kernel and in dnsmasq; pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.desired.names import BRIDGE_PREFIX, PORT_PREFIX, chain_of
from virtualserver.fabric.desired.options import carried, content, domain
from virtualserver.fabric.desired.state import (
    CARRIED,
    GATEWAYS,
    Address,
    GuestLink,
    Link,
    Network,
    PublishedPort,
    ServiceRules,
    VpcLink,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "ADMITTED",
    "ANNOUNCED",
    "BRIDGE",
    "DECIDED",
    "DHCP_HOST",
    "DHCP_OPTIONS",
    "DIRECT",
    "ENDS",
    "FLOATING",
    "FLOATING_SOURCE",
    "FLOATING_TO",
    "GROUP",
    "GUARD_ARP",
    "GUARD_DHCP",
    "GUARD_FRAME",
    "GUARD_IP",
    "GUARD_MAC",
    "GUARD_OWN",
    "LOCAL",
    "MEMBER",
    "MTUS",
    "NAMES",
    "OPEN",
    "PORT",
    "PUBLISHED",
    "PUBLISHED_TO",
    "RESTRICTED",
    "ROUTE",
    "SELF_PAIR",
    "SPREAD",
    "SPREAD_TO",
    "TAP",
    "TAP_UP",
    "TENANT",
    "WITHHELD",
    "decided_of",
    "of_link",
    "of_service",
]

GUARD_MAC: Final = "guard_mac"
GUARD_FRAME: Final = "guard_frame"
"""Of a NIC on a VPC: the MAC that its frames may come from, which is all that is asked of them."""
GUARD_IP: Final = {4: "guard_ip"}
"""By IP version, as all that depends on it."""
GUARD_ARP: Final = "guard_arp"
GUARD_DHCP: Final = "guard_dhcp"
GUARD_OWN: Final = "guard_own"
"""An address as it stands inside a datagram: in a DHCP message, or in what an ICMP error quotes."""
SELF_PAIR: Final = "self_pair"
GROUP: Final = "groups"
"""Key: a tap. Value: the group that its guest belongs to."""
TENANT: Final = "tenants"
"""Key: a tap. Value: the tenant whose guest it is."""
MEMBER: Final = {4: "members"}
"""Key: an address that is a guest's own, and the group that may call it."""
DIRECT: Final = {4: "direct"}
ANNOUNCED: Final = {4: "announced"}
PUBLISHED: Final = {4: "published"}
"""Key: address, protocol and port. Value: the guest's address and port."""
WITHHELD: Final = {4: "withheld"}
PUBLISHED_TO: Final = {4: "published_to"}
"""As `PUBLISHED`, for some clients only. Value: ``CLIENTS : TARGET`` for each of their networks, joined by commas."""
WITHHELD_TO: Final = {4: "withheld_to"}
SPREAD: Final = {4: "spread"}
"""As `PUBLISHED`, where new connections are spread over several targets. Value: ``goto`` and the chain of `ENDS`."""
SPREAD_TO: Final = {4: "spread_to"}
"""As `SPREAD`, for some clients only, as `PUBLISHED_TO`."""
ENDS: Final = {4: "ends"}
"""A chain: the key is that of the port, the value its targets, joined by commas; before them, where a client stays with
one, for how many seconds, and a colon."""
FLOATING: Final = {4: "floating"}
"""Key: a floating address. Value: the address of the guest that has all of its traffic."""
FLOATING_TO: Final = {4: "floating_to"}
"""As `FLOATING`, for some clients only, as `PUBLISHED_TO`."""
FLOATING_SOURCE: Final = {4: "floating_source"}
"""Key: a guest's address. Value: the floating address with which what it sends leaves."""
DECIDED: Final = {4: "decided"}
"""Key: a floating address, protocol and port: whom `PUBLISHED` and `PUBLISHED_TO` do not have goes nowhere."""
OPEN: Final = frozenset({*PUBLISHED.values(), *PUBLISHED_TO.values(), *SPREAD.values(), *SPREAD_TO.values()})
"""Kinds of ports that take new connections, from everybody or from some."""
RESTRICTED: Final = {4: "restricted"}
"""Key: an attached address that only those who are `ADMITTED` may call."""
ADMITTED: Final = {4: "admitted"}
"""Key: an attached address. Value: the networks that may call it, joined by commas."""
ROUTE: Final = "route"
"""Key: an address. Value: the tap it is routed to, or `LOCAL`."""
LOCAL: Final = "local"
TAP: Final = "tap"
"""Key: the device. Value: the UID that may open it."""
TAP_UP: Final = "tap-up"
"""Key: a device that has the gateway's address and is up."""
BRIDGE: Final = "bridge"
"""Key: the bridge of a VPC, which is there as long as a NIC is on it."""
PORT: Final = "port"
"""Key: a tap that is up and a port of a bridge. Value: the bridge, the tap's MTU and the guest's MAC."""
DHCP_HOST: Final = "dhcp-host"
DHCP_OPTIONS: Final = "dhcp-options"
NAMES: Final = "names"
"""These three are files: the key is the file's name, the value its content."""

MTUS: Final = 68, 65521
"""The least and the greatest MTU of a NIC on a VPC. Source: RFC 791 for the one, the kernel's taps for the other."""
_HOSTNAME: Final = 12  # dnsmasq refuses this option by its name
_DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_PORT: Final = re.compile(rf"{PORT_PREFIX}[A-Za-z0-9_.-]{{1,12}}")
_BRIDGE: Final = re.compile(rf"{BRIDGE_PREFIX}[A-Za-z0-9_.-]{{1,12}}")
_MAC: Final = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}")


def decided_of(entry: Entry) -> str:
    """Return the floating address about a port of which an entry decides, ``""`` for any other entry."""
    return entry.key.partition(" . ")[0] if entry.kind in DECIDED.values() else ""


def of_link(link: Link) -> dict[Entry, str]:
    """Return the entries of one guest's link.

    Raises:
        ValueError: A value would not be safe in a rule or in a file for dnsmasq; the message names the fields.
    """
    return _of_vpc_link(link) if isinstance(link, VpcLink) else _of_guest_link(link)


def _of_vpc_link(link: VpcLink) -> dict[Entry, str]:
    faults = [
        f"{field}: {value!r} does not match {pattern.pattern}: change it"
        for field, value, pattern in (
            ("device", link.device, _PORT),
            ("mac", link.mac, _MAC),
            ("bridge", link.bridge, _BRIDGE),
        )
        if not pattern.fullmatch(value)
    ]
    if not MTUS[0] <= link.mtu <= MTUS[1]:
        faults.append(f"mtu: {link.mtu}: use {MTUS[0]} to {MTUS[1]}")
    if faults:
        raise ValueError("\n".join(faults))
    return {
        Entry(GUARD_FRAME, f"{link.device} . {link.mac}"): "",
        Entry(BRIDGE, link.bridge): "",
        Entry(TAP, link.device): str(link.user),
        Entry(PORT, link.device): f"{link.bridge} {link.mtu} {link.mac}",
    }


def _of_guest_link(link: GuestLink) -> dict[Entry, str]:
    _check_link(link)
    device, mac = link.device, link.mac
    entries = {
        Entry(GUARD_MAC, f"{device} . {mac}"): "",
        Entry(GUARD_DHCP, f"{device} . 0x{mac.replace(':', '')}"): "",
        Entry(GUARD_OWN, f"{device} . 0x{0:08x}"): "",  # in the DHCP message of a guest that has no address yet
        Entry(GUARD_ARP, f"{device} . {mac} . {mac} . 0.0.0.0"): "",
        Entry(SELF_PAIR, f"{device} . {device}"): "",
        Entry(GROUP, device): f"0x{link.group:08x}",
        Entry(TENANT, device): f"0x{link.tenant:08x}",
        Entry(TAP, device): str(link.user),
        Entry(TAP_UP, device): "",
        Entry(DHCP_HOST, device): content([f"{mac},{link.addresses[0]}"]),
        Entry(DHCP_OPTIONS, device): _dhcp_options(link),
    }
    for address in link.addresses:
        entries[Entry(GUARD_IP[address.version], f"{device} . {mac} . {address}")] = ""
        entries[Entry(GUARD_OWN, f"{device} . 0x{int(address):08x}")] = ""
        entries[Entry(GUARD_ARP, f"{device} . {mac} . {mac} . {address}")] = ""
        entries[Entry(ROUTE, str(address))] = device
        if link.translated:
            entries[Entry(MEMBER[address.version], f"{address} . 0x{link.group:08x}")] = ""
        else:
            entries[Entry(DIRECT[address.version], str(address))] = ""
    return entries


def of_service(owner: str, rules: ServiceRules) -> dict[Entry, str]:
    """Return the entries of one Service.

    Args:
        owner: The Service's UID; its file of names is called so.
        rules: What the Service asks for.

    Raises:
        ValueError: A value would not be safe in a rule or in a file for dnsmasq; the message names the fields.
    """
    _check_service(owner, rules)
    entries: dict[Entry, str] = {}
    for several in _by_key(rules.ports).values():
        entries |= _published(several)
    for port in rules.withheld:
        entries |= _leading(port, WITHHELD, WITHHELD_TO, _target(port))
    for address in rules.announced:
        entries[Entry(ANNOUNCED[address.version], str(address))] = ""
        entries[Entry(ROUTE, str(address))] = LOCAL
    for one in rules.floating:
        version, key = one.address.version, str(one.address)
        clients = _clients(one.clients, version)
        if clients is None:
            entries[Entry(FLOATING[version], key)] = str(one.target)
        elif clients:
            entries[Entry(FLOATING_TO[version], key)] = ",".join(f"{network} : {one.target}" for network in clients)
        for protocol, port in one.decided:
            entries[Entry(DECIDED[version], f"{key} . {protocol.lower()} . {port}")] = ""
        if one.is_source:
            entries[Entry(FLOATING_SOURCE[version], str(one.target))] = key
    for address, networks in rules.restricted.items():
        clients = _clients(networks, address.version)
        if clients is not None:
            entries[Entry(RESTRICTED[address.version], str(address))] = ""
        if clients:
            entries[Entry(ADMITTED[address.version], str(address))] = ",".join(clients)
    lines = [f"{address} {_reverse(address)} {name}" for name in sorted(rules.names) for address in rules.names[name]]
    if lines:
        entries[Entry(NAMES, owner)] = content(lines)
    return entries


def _by_key(ports: Iterable[PublishedPort]) -> dict[str, list[PublishedPort]]:
    found: dict[str, list[PublishedPort]] = {}
    for port in sorted(ports, key=lambda one: (int(one.target), one.target_port)):
        found.setdefault(_key(port), []).append(port)
    return found


def _published(several: Sequence[PublishedPort]) -> dict[Entry, str]:
    """Return the entries of one port of an address: an element for one target, else a chain and what leads there."""
    first, key = several[0], _key(several[0])
    if len(several) == 1 and first.affinity is None:
        return _leading(first, PUBLISHED, PUBLISHED_TO, _target(first))
    found = _leading(first, SPREAD, SPREAD_TO, f"goto {chain_of(key)}")
    if found:
        stays = "" if first.affinity is None else f"{first.affinity}:"
        found[Entry(ENDS[first.address.version], key)] = stays + ",".join(map(_target, several))
    return found


def _leading(port: PublishedPort, flat: Mapping[int, str], ranged: Mapping[int, str], where: str) -> dict[Entry, str]:
    """Return the entry by which a port leads somewhere, for everybody or for its clients; none where it has none."""
    version = port.address.version
    clients = _clients(port.clients, version)
    if clients is None:
        return {Entry(flat[version], _key(port)): where}
    if not clients:
        return {}
    return {Entry(ranged[version], _key(port)): ",".join(f"{network} : {where}" for network in clients)}


def _key(port: PublishedPort) -> str:
    return f"{port.address} . {port.protocol.lower()} . {port.port}"


def _target(port: PublishedPort) -> str:
    return f"{port.target} . {port.target_port}"


def _reverse(address: Address) -> str:
    """Return what an address is called where its name is asked for: the first name of its lines, which tells of nobody.

    Else a guest could ask through all addresses, and read whose servers there are.
    """
    return f"{str(address).replace('.', '-').replace(':', '-')}.ip.cluster.local"


def _clients(networks: tuple[Network, ...] | None, version: int) -> list[str] | None:
    """Return the networks of one family, none of them in another, as nft prints them; None for everywhere."""
    if networks is None:
        return None
    own = [network for network in networks if isinstance(network, IPv4Network) and version == network.version]
    found = list(collapse_addresses(own))
    if found and found[0].prefixlen == 0:
        return None
    return [str(one.network_address if one.prefixlen == one.max_prefixlen else one) for one in found]


def _dhcp_options(link: GuestLink) -> str:
    """Return the option file of one guest; the interface on which it asks is dnsmasq's tag for it."""
    lines, resolver = [f"tag:{link.device},{_HOSTNAME},{link.hostname}"], carried(link.resolver)
    if resolver.nameservers:
        lines.append(f"tag:{link.device},option:dns-server,{','.join(map(str, resolver.nameservers))}")
    if resolver.searches:
        lines.append(f"tag:{link.device},option:domain-search,{','.join(resolver.searches)}")
    if first := domain(resolver.searches):
        lines.append(f"tag:{link.device},option:domain-name,{first}")
    return content(lines)


def _check_link(link: GuestLink) -> None:
    faults = [*_not_carried("addresses", link.addresses)]
    if not link.addresses:
        faults.append("addresses: empty: give the guest at least one address")
    for gateway in set(GATEWAYS) & set(link.addresses):
        faults.append(f"addresses: {gateway} is every guest's gateway: choose another address")
    for field, value, pattern in (
        ("device", link.device, _DEVICE),
        ("mac", link.mac, _MAC),
        ("hostname", link.hostname, _NAME),
        *((f"resolver.searches[{index}]", name, _NAME) for index, name in enumerate(link.resolver.searches)),
    ):
        if not pattern.fullmatch(value):
            faults.append(f"{field}: {value!r} does not match {pattern.pattern}: change it")
    if faults:
        raise ValueError("\n".join(faults))


def _check_service(owner: str, rules: ServiceRules) -> None:
    ports = sorted(rules.ports | rules.withheld, key=lambda port: (str(port.address), port.protocol, port.port))
    faults = [
        *_not_carried("ports.address", (port.address for port in ports)),
        *_not_carried("ports.target", (port.target for port in ports)),
        *_not_carried("announced", rules.announced),
        *_not_carried("restricted", rules.restricted),
        *_not_carried("floating.address", (one.address for one in rules.floating)),
        *_not_carried("floating.target", (one.target for one in rules.floating)),
    ]
    for port in ports:
        if not (1 <= port.port <= 65535 and 1 <= port.target_port <= 65535):
            faults.append(f"ports: {port.port} to {port.target_port}: use ports from 1 to 65535")
    if not _FILE.fullmatch(owner):
        faults.append(f"owner: {owner!r} does not match {_FILE.pattern}: use the UID")
    faults += [f"names: {name!r} is no DNS name: change it" for name in rules.names if not _NAME.fullmatch(name)]
    if faults:
        raise ValueError("\n".join(faults))


def _not_carried(field: str, addresses: Iterable[Address]) -> list[str]:
    return [
        f"{field}: {address}: this data plane carries IPv4 only: leave IPv6 addresses out"
        for address in addresses
        if address.version not in CARRIED
    ]
