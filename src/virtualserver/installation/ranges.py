"""Which networks an installation takes at its first start. `choose`, `encode` and `decode` are pure.

The candidates are networks that nobody routes by right: those for documentation (RFC 5737), for benchmarks
(RFC 2544), private ones (RFC 1918) and the shared address space (RFC 6598).
"""

from __future__ import annotations

import dataclasses
import itertools
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.state import Address, Network, Ranges
from virtualserver.fabric.kernel.namespace import apart
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink
from virtualserver.installation.record import RecordedRanges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["RangesExhaustedError", "change", "choose", "decode", "encode", "networks_in_use"]

_WHOLE_WORLD: Final = 8
"""Routes shorter than this (a default route, a VPN's 0.0.0.0/1) are ways to everywhere, not networks in use."""

_PUBLIC: Final = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
_BENCHMARK: Final = IPv4Network("198.18.0.0/16")
_LINK: Final = IPv4Network("198.19.0.0/16")
_PRIVATE: Final = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("100.64.0.0/10"))
_RESERVED: Final = IPv4Network("169.254.0.0/16")


class RangesExhaustedError(ValueError):
    """Every candidate for a range is in use; the message says for which and what to do."""


def choose(
    taken: Iterable[Network],
    *,
    public: tuple[Network, ...] = (),
    private: tuple[Network, ...] = (),
    is_public_host: bool = False,
) -> Ranges:
    """Choose ranges that are free of every network taken; pure.

    The first installation gets public 203.0.113.0/24 and private 198.18.0.0/24; pools that are named win.

    Args:
        taken: Networks of the host's routes and addresses, and those that other installations recorded.
        public: The public pool; chosen where empty.
        private: The private pool; chosen where empty.
        is_public_host: Whether the public pool is the machine's own address instead.

    Raises:
        RangesExhaustedError: There is no free network for one of the ranges.
    """
    used = [network for network in taken if network.prefixlen >= _WHOLE_WORLD]
    used += [_RESERVED, *public, *private]

    def take(purpose: str, candidates: Iterator[IPv4Network], remedy: str) -> IPv4Network:
        for candidate in candidates:
            if not any(candidate.version == network.version and _overlap(candidate, network) for network in used):
                used.append(candidate)
                return candidate
        raise RangesExhaustedError(f"{purpose}: every candidate overlaps a network that this machine uses: {remedy}")

    blocks = _BENCHMARK.subnets(new_prefix=24)
    named = "name one with `vs up --{0}-pool NETWORK`"
    publics = itertools.chain(map(IPv4Network, _PUBLIC), reversed(list(_BENCHMARK.subnets(new_prefix=24))))
    if not public and not is_public_host:
        public_networks: tuple[Network, ...] = (take("public pool", publics, named.format("public")),)
    else:
        public_networks = public
    return Ranges(
        public={"public": public_networks},
        private={"private": private or (take("private pool", blocks, named.format("private")),)},
        guest=(take("guests' network", _from("10.42.0.0/16"), "free a /16 of 10.0.0.0/8 among the routes"),),
        service=(take("Services' network", _from("10.96.0.0/16"), "free a /16 of 10.0.0.0/8 among the routes"),),
        link=(take("link network", _LINK.subnets(new_prefix=30), f"free a /30 of {_LINK} among the routes"),),
        routed=(*public, *private),
        host=("public",) if is_public_host else (),
    )


def encode(ranges: Ranges) -> RecordedRanges:
    """Return what is recorded of ranges; pure."""
    return RecordedRanges(
        public={name: _texts(networks) for name, networks in ranges.public.items()},
        private={name: _texts(networks) for name, networks in ranges.private.items()},
        guest=_texts(ranges.guest),
        service=_texts(ranges.service),
        link=_texts(ranges.link),
        routed=_texts(ranges.routed),
        host=list(ranges.host),
        former={name: _texts(networks) for name, networks in ranges.former.items() if networks},
        uplink=ranges.uplink,
    )


def decode(recorded: RecordedRanges) -> Ranges:
    """Return the ranges that `encode` recorded; pure."""
    routed = recorded.routed
    if isinstance(routed, bool):
        # As earlier versions wrote it: all pools are routed, or none is.
        pools = [*recorded.public.values(), *recorded.private.values()]
        routed = [network for networks in pools for network in networks] if routed else []
    return Ranges(
        public={name: _networks(networks) for name, networks in recorded.public.items()},
        private={name: _networks(networks) for name, networks in recorded.private.items()},
        guest=_networks(recorded.guest),
        service=_networks(recorded.service),
        link=_networks([recorded.link] if isinstance(recorded.link, str) else recorded.link),
        routed=_networks(routed),
        host=tuple(recorded.host),
        former={name: _networks(networks) for name, networks in recorded.former.items()},
        uplink=recorded.uplink,
    )


def change(
    ranges: Ranges,
    *,
    public: tuple[Network, ...] | None = None,
    private: tuple[Network, ...] | None = None,
    is_public_host: bool = False,
    uplink: str | None = None,
    held: Iterable[Address] = (),
) -> Ranges:
    """Return the ranges of an installation whose owner names other pools; pure.

    Args:
        ranges: As they are.
        public: The public pool from now on; None: as it is, unless it becomes the machine's own address.
        private: The private pool from now on; None: as it is.
        is_public_host: Whether the public pool is the machine's own address from now on.
        uplink: Where named public pools are answered for from now on, ``""`` for nowhere; None: as it is.
        held: The load balancer addresses that are held: their networks stay as former ones.
    """
    addresses = list(held)
    asked = {"public": () if is_public_host else public, "private": private}
    before = {**ranges.public, **ranges.private}
    former: dict[str, tuple[Network, ...]] = {}
    for name, networks in before.items():
        now = asked.get(name)
        now = networks if now is None else now
        known = dict.fromkeys((*ranges.former.get(name, ()), *networks))
        kept = tuple(one for one in known if one not in now and any(address in one for address in addresses))
        if kept:
            former[name] = kept
    routed = dict.fromkeys([*ranges.routed, *(public or ()), *(private or ())])
    result = dataclasses.replace(
        ranges,
        public=ranges.public if asked["public"] is None else {**ranges.public, "public": asked["public"]},
        private=ranges.private if private is None else {**ranges.private, "private": private},
        host=("public",) if is_public_host else () if public is not None else ranges.host,
        uplink=ranges.uplink if uplink is None else uplink,
        former=former,
    )
    return dataclasses.replace(result, routed=tuple(one for one in routed if one in result.pools(one.version)))


async def networks_in_use() -> list[Network]:
    """Return the networks of this machine's routes and addresses, of both families; for `choose`."""
    found = await apart(_networks_in_use)
    return sorted(found, key=lambda network: (network.version, int(network.network_address), network.prefixlen))


def _networks_in_use() -> set[Network]:
    with Rtnetlink() as kernel:
        routes = [route.destination for version in (4, 6) for route in kernel.routes(version)]
        ends = [end for version in (4, 6) for some in kernel.addresses(version).values() for end in some]
    return {network for network in routes if network.prefixlen} | {end.network for end in ends}


def _overlap(one: IPv4Network, other: Network) -> bool:
    return isinstance(other, IPv4Network) and one.overlaps(other)


def _texts(networks: Iterable[Network]) -> list[str]:
    return [str(network) for network in networks]


def _networks(recorded: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ip_network(network) for network in recorded)


def _from(first: str) -> Iterator[IPv4Network]:
    """Yield /16 networks: from the first to the end of its block, then from the other private blocks."""
    start = IPv4Network(first)
    for block in _PRIVATE:
        yield from (network for network in block.subnets(new_prefix=16) if block != _PRIVATE[0] or network >= start)
    yield from (network for network in _PRIVATE[0].subnets(new_prefix=16) if network < start)
