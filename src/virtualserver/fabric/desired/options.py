"""What of a resolver DHCP carries to a guest, and how long a line for dnsmasq may be; pure."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.state import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST_LINE", "LineTooLong", "carried", "content", "domain"]

LONGEST_LINE: Final = 1000
"""Characters of a line. dnsmasq 2.90 reads 1,024 at a time, and takes what is left for a line of its own: one without
the tag of a guest holds for every guest."""
_MOST_SERVERS: Final = 13
"""Many clients (udhcpc, dhclient) take a message of 576 bytes, of which options have 312, and 192 in fields that have
no other use. With more than 14 servers beside the longest searches and host name, dnsmasq would leave out the host
name, the servers or the guest's routes."""
_MOST_TEXT: Final = 900
"""Characters of the searches together, which leaves room for the longest tag."""
_MOST_BYTES: Final = 255
"""Of one option (RFC 2132), which the search list shares (RFC 3397): dnsmasq refuses a longer one as a whole."""


class LineTooLong(ValueError):
    """A line would not reach dnsmasq as one; the message begins with the line."""


def content(lines: Iterable[str]) -> str:
    """Return the content of a file for dnsmasq.

    Args:
        lines: Without their ends.

    Raises:
        LineTooLong: dnsmasq would read one of them as two, or it is two.
    """
    lines = list(lines)
    for line in lines:
        if len(line.encode()) > LONGEST_LINE or "\n" in line:
            told = f"{line[:60]!r}: a line of {len(line)} characters for dnsmasq"
            raise LineTooLong(f"{told}: {LONGEST_LINE} bytes in one line are allowed, so nothing of it is written")
    return "".join(f"{line}\n" for line in lines)


def carried(resolver: Resolver) -> Resolver:
    """Return what DHCP carries of a resolver: the first that fit, in their order."""
    servers = [address for address in resolver.nameservers if isinstance(address, IPv4Address)]
    return Resolver(tuple(servers[:_MOST_SERVERS]), _fitting(resolver.searches))


def domain(searches: Sequence[str]) -> str:
    """Return what clients that know no search list are told, of searches that DHCP carries; ``""`` for nothing.

    It takes no room that the longest list would not take.
    """
    first = searches[0] if searches else ""
    return first if len(first) + 2 + sum(len(name) + 2 for name in searches) <= _MOST_BYTES else ""


def _fitting(searches: Iterable[str]) -> tuple[str, ...]:
    """Return the searches up to the first that has no room.

    A name that ends like an earlier one takes two bytes for that end. dnsmasq finds the ends of names only up to the
    first one that is shortened so: those after it are counted as if only these were there.
    """
    found: list[str] = []
    ends: set[str] = set()
    is_shortened = False
    size = text = 0
    for name in searches:
        labels = name.split(".")
        tails = [".".join(labels[index:]) for index in range(len(labels))]
        shared = next((index for index, tail in enumerate(tails) if tail in ends), None)
        size += sum(len(label) + 1 for label in labels[:shared]) + (1 if shared is None else 2)
        text += len(name) + 1
        if size > _MOST_BYTES or text > _MOST_TEXT:
            break
        is_shortened |= shared is not None
        if not is_shortened:
            ends.update(tails)
        found.append(name)
    return tuple(found)
