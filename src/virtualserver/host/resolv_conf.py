"""Whom this host asks about names. Source: resolv.conf(5)."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FILES", "ResolvConf", "parse", "read"]

FILES: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The resolver's file, and the one in which systemd-resolved names the servers that it asks itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResolvConf:
    """What such a file says.

    Attributes:
        nameservers: In order, without the zones of link-local addresses.
        searches: The search list, without trailing dots.
    """

    nameservers: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...] = ()
    searches: tuple[str, ...] = ()

    @property
    def reachable(self) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
        """The name servers that others than the host itself can ask: guests, and other network namespaces.

        An address of the host's loopback is theirs there, and a link-local one of IPv6 needs a zone.
        """
        return tuple(
            one
            for one in self.nameservers
            if not (one.is_loopback or one.is_unspecified or (one.version == 6 and one.is_link_local))
        )


def parse(text: str) -> ResolvConf:
    """Return what a file says; lines that cannot be read say nothing: pure."""
    nameservers: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    searches: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            with contextlib.suppress(ValueError):
                nameservers.append(ipaddress.ip_address(words[1].partition("%")[0]))
        elif words[0] in ("search", "domain"):
            searches = tuple(word.rstrip(".") for word in words[1:] if word != ".")
    return ResolvConf(tuple(nameservers), searches)


def read(*, family: int | None = None, files: Iterable[Path] = FILES) -> ResolvConf:
    """Return what the first file says that names a reachable server; else what the last one says that exists.

    Args:
        family: 4 or 6: only such a server counts; None: any does.
        files: The files, in this order.
    """
    found = ResolvConf()
    for file in files:
        with contextlib.suppress(OSError):
            found = parse(file.read_text())
        if any(family in (None, one.version) for one in found.reachable):
            break
    return found
