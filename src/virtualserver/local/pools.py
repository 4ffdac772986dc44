"""Other address pools than at the first start: what is changed, who keeps a former address, and how one moves."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from virtualserver.installation import ranges
from virtualserver.local import networks
from virtualserver.local.errors import ConflictError
from virtualserver.node.allocation import allocations
from virtualserver.node.allocation.pools import pools_of
from virtualserver.node.services import balancing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from virtualserver.fabric.desired.state import Address, Network, Ranges
    from virtualserver.installation.installation import Installation

__all__ = ["Staying", "changed", "check", "check_links", "links_of", "networks_of", "reach", "staying"]

_LINKS = Path("/sys/class/net")


@dataclasses.dataclass(frozen=True, slots=True)
class Staying:
    """Who has an address of a network that its pool had before; it goes on working.

    Attributes:
        address: The address.
        pool: The pool's name.
        holder: Kind, namespace and name, such as ``VirtualServer shop/web``.
        command: What an administrator types to move it to an address that the pool has now.
    """

    address: Address
    pool: str
    holder: str
    command: str


def networks_of(asked: Sequence[Network | Literal["host"]]) -> tuple[Network, ...]:
    """Return the networks among what was asked for as a pool."""
    return tuple(network for network in asked if network != "host")


def check(public: Sequence[Network | Literal["host"]], uplink: str | None) -> None:
    """Refuse what contradicts itself or this machine.

    Raises:
        ConflictError: The message says what, and what to do.
    """
    named = networks_of(public)
    if "host" in public and (named or uplink):
        other = ", ".join(map(str, named)) or f"--uplink {uplink}"
        raise ConflictError(
            f"--public-pool: host and {other} exclude each other.", remedy="Name networks, or host alone."
        )
    if uplink and (uplink == "lo" or not (_LINKS / uplink).exists()):
        there = ", ".join(sorted(link.name for link in _LINKS.iterdir() if link.name != "lo"))
        raise ConflictError(f"--uplink {uplink}: this machine has no such link.", remedy=f"Name one of {there}.")


def reach(chosen: Ranges, address: Address) -> str:
    """Return from where an address of a pool is reached, as a part of a sentence; pure."""
    network = next((one for one in chosen.routed if one.version == address.version and address in one), None)
    if network is None:
        return "this machine only"
    if network in chosen.answered(network.version):
        return f"this machine and those on link {chosen.uplink}"
    return f"this machine, and from where routes to {network} lead to it"


def check_links(
    public: Sequence[Network], private: Sequence[Network], uplink: str, links: Mapping[str, Sequence[Network]]
) -> None:
    """Refuse a pool in a network that this machine has on a link, where nobody would answer for its addresses; pure.

    Args:
        public: Networks that were asked for as the public pool.
        private: The same of the private pool.
        uplink: The link on which the public pool is answered for, ``""`` for none.
        links: The networks on each link.

    Raises:
        ConflictError: The message says which, and what to do.
    """
    asked = [("--public-pool", network) for network in public]
    for option, network in [*asked, *(("--private-pool", network) for network in private)]:
        there = links_of(network, links)
        if option == "--public-pool" and uplink in there:
            continue
        for link in there:
            remedy = f"Add --uplink {link}, or name" if option == "--public-pool" else "Name"
            elsewhere = f", since --uplink {uplink} is another link" if option == "--public-pool" and uplink else ""
            raise ConflictError(
                f"{option} {network}: is a part of the network of link {link}, whose machines look for its "
                f"addresses by ARP, and nobody would answer{elsewhere}.",
                remedy=f"{remedy} a network that your router sends to this machine.",
            )


def links_of(network: Network, links: Mapping[str, Sequence[Network]]) -> list[str]:
    """Return the links whose networks have a part of a network, by name; pure."""
    return sorted(
        link
        for link, others in links.items()
        if any(network.version == other.version and network.overlaps(other) for other in others)  # type: ignore[arg-type]
    )


def changed(
    installation: Installation,
    present: Ranges,
    *,
    public: Sequence[Network | Literal["host"]],
    private: tuple[Network, ...],
    uplink: str | None,
) -> Ranges:
    """Return the ranges of an installation as its owner names them now; what is held stays.

    Args:
        installation: The installation.
        present: Its ranges.
        public: As asked for; empty: as it is.
        private: The same.
        uplink: The same; None: as it is.

    Raises:
        ConflictError: A network is in use otherwise, here or by another installation.
    """
    named = networks_of(public)
    _check_overlaps(installation, present, named, private)
    return ranges.change(
        present,
        public=named or None,
        private=private or None,
        is_public_host="host" in public,
        uplink=uplink,  # where held addresses of a pool that becomes the machine's own are answered for as before
        held=[address for address, _ in _held(installation)],
    )


def staying(installation: Installation) -> Iterator[Staying]:
    """Yield who has an address of a former network of its pool."""
    recorded = installation.record().ranges
    if recorded is None:
        return
    named = pools_of(ranges.decode(recorded))
    for address, held in _held(installation):
        for pool, one in named.items():
            if one.was_of(address):
                command = balancing.leaving_of(held.claimant, address)
                yield Staying(address, pool, str(held.claimant), command)


def _held(installation: Installation) -> list[tuple[Address, allocations.Allocation]]:
    if not installation.allocations.exists():
        return []
    recorded = allocations.read(installation.allocations)
    found = [one for one in recorded if one.kind == "address" and one.is_balancer]
    return sorted(((ip_address(one.value), one) for one in found), key=lambda pair: (pair[0].version, int(pair[0])))


def _check_overlaps(
    installation: Installation, present: Ranges, public: tuple[Network, ...], private: tuple[Network, ...]
) -> None:
    elsewhere = networks.of_other_installations(installation)
    for option, asked, others in (
        ("--public-pool", public, private or tuple(one for pool in present.private.values() for one in pool)),
        ("--private-pool", private, public or tuple(one for pool in present.public.values() for one in pool)),
    ):
        own = (*others, *present.guest, *present.service, *present.link)
        taken = [(network, "this instance") for network in own]
        taken += [(network, f"instance {name!r}") for name, several in elsewhere.items() for network in several]
        for network in asked:
            for other, whose in taken:
                if other.version == network.version and other.overlaps(network):  # type: ignore[arg-type]
                    raise ConflictError(
                        f"{option} {network}: {whose} has {other} already.", remedy="Name a network that is free."
                    )
