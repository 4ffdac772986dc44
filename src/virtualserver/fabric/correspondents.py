"""Addresses that this machine talks to although no route of its own names them.

A network for documentation may be in real use: a closed site may resolve its package server to 203.0.113.80, which
only the default route leads to. An instance that took that network would cut the machine off from it.
Tests: ``tests/unit/fabric/test_correspondents.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.state import Address

__all__ = ["correspondents", "hosts_of_sources", "peers_of_connections", "written_addresses"]

_RESOLVING_SECONDS: Final = 3.0
_URL_HOST: Final = re.compile(r"[a-z+]+://(?:[^/@\s]*@)?\[?([A-Za-z0-9.:-]+?)\]?(?::\d+)?(?:[/\s]|$)", re.MULTILINE)
_PROXIES: Final = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


async def correspondents(root: Path = Path("/")) -> set[Address]:
    """Return the addresses of name servers, of hosts written into /etc/hosts, of package sources and of TCP peers.

    A host that is not resolved within 3 seconds counts for nothing.

    Args:
        root: The file system's root; another one in tests.
    """
    found: set[Address] = set()
    for name in ("etc/resolv.conf", "run/systemd/resolve/resolv.conf", "etc/hosts"):
        found |= written_addresses(_text(root / name))
    for name in ("proc/net/tcp", "proc/net/tcp6"):
        found |= peers_of_connections(_text(root / name))
    apt = root / "etc/apt"
    sources = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*")), *sorted(apt.glob("apt.conf.d/*"))]
    proxies = "\n".join(os.environ.get(name, "") for name in _PROXIES)
    hosts = hosts_of_sources("\n".join([*map(_text, sources), proxies]))
    answers = await asyncio.gather(*map(_resolve, sorted(hosts)))
    return found.union(*answers)


def written_addresses(text: str) -> set[Address]:
    """Return every address that stands as a word in lines that are no comments; pure."""
    words = (word for line in text.splitlines() for word in line.partition("#")[0].split())
    return set(_addresses(words))


def hosts_of_sources(text: str) -> set[str]:
    """Return the hosts of all URLs in apt's sources and settings, comments left out; pure."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))
    return {match.strip("[]") for match in _URL_HOST.findall("\n".join(lines))}


def peers_of_connections(table: str) -> set[Address]:
    """Return the far ends of the connections in ``/proc/net/tcp`` or ``tcp6``; pure. Source: proc(5)."""
    found: set[Address] = set()
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 3:
            continue
        # Each 32-bit word is in the machine's byte order, which is little-endian wherever this runs.
        digits = words[2].partition(":")[0]
        octets = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
        address = IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        if int(mapped or address):
            found.add(mapped or address)
    return found


async def _resolve(host: str) -> set[Address]:
    """Return a host's addresses, none where nobody knows it in time."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, UnicodeError, TimeoutError):
        answers = await asyncio.wait_for(loop.getaddrinfo(host, None, type=socket.SOCK_STREAM), _RESOLVING_SECONDS)
        return set(_addresses(str(answer[4][0]) for answer in answers))
    return set()


def _addresses(words: Iterable[str]) -> Iterable[Address]:
    for word in words:
        with contextlib.suppress(ValueError):
            yield ip_address(word.partition("%")[0])


def _text(path: Path) -> str:
    """Return a file's content, nothing where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
