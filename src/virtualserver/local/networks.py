"""Which networks this machine and its other installations use."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver.fabric.kernel import namespace
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink
from virtualserver.host import resolv_conf
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from virtualserver.fabric.desired import state
    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation

__all__ = [
    "all_of",
    "choosing",
    "hosts_of",
    "of_other_installations",
    "on_links",
    "peers_of",
    "servers_in_use",
    "taken",
]


_CONFIGURATION = (
    "etc/resolv.conf",
    "etc/apt/sources.list*",
    "etc/apt/sources.list.d/*",
    "etc/apt/apt.conf*",
    "etc/apt/apt.conf.d/*",
    "etc/pip.conf",
)
_URL = re.compile(r"\bhttps?://(?:[^/\s@\"']*@)?(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+))")
_RESOLVE_SECONDS = 3.0
_CHOOSING_SECONDS = 120.0


@contextlib.contextmanager
def choosing(update: Update, *, place: str = "virtualserver/networks") -> Generator[None]:
    """Keep other installations on this machine from choosing networks meanwhile, whatever folder or root they live in.

    To be held until the chosen networks can be seen as routes. An abstract socket is bound: it has no file, ends with
    its process, and is seen by exactly those who share our routes (unix(7): one name a network namespace). Since
    anybody may bind it, it is waited for two minutes at most.

    Args:
        update: Told what is waited for.
        place: The socket's name; the same for all installations on the machine.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        end = time.monotonic() + _CHOOSING_SECONDS
        while time.monotonic() < end:
            try:
                held.bind(f"\0{place}")
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                update("another instance starts for the first time: waiting until its networks are there", None)
                time.sleep(0.2)
        yield


def taken(installation: Installation) -> list[state.Network]:
    """Return the networks that a new installation must not take.

    They are the host's own, other installations' ranges, and the addresses that the host talks to beyond its gateway:
    a laboratory's package mirror may well have an address that is meant for documentation.
    """
    others = [network for networks in of_other_installations(installation).values() for network in networks]
    beyond = [ipaddress.ip_network(address) for address in servers_in_use()]
    return [*asyncio.run(ranges.networks_in_use()), *others, *beyond]


def on_links() -> dict[str, list[state.Network]]:
    """Return the networks that this machine has on each of its links, where neighbours look for addresses by ARP."""
    return asyncio.run(namespace.apart(_on_links))


def _on_links() -> dict[str, list[state.Network]]:
    with Rtnetlink() as kernel:
        names = {link.index: link.name for link in kernel.links()}
        ends = [(index, end.network) for index, several in kernel.addresses().items() for end in several]
    found: dict[str, list[state.Network]] = {}
    for index, network in ends:
        if names.get(index, "lo") != "lo" and network.prefixlen < network.max_prefixlen:
            found.setdefault(names[index], []).append(network)
    return found


def servers_in_use() -> set[state.Address]:
    """Return the addresses of name servers, of the peers of open connections, and of configured package sources."""
    texts = [
        path.read_text(errors="replace")
        for pattern in _CONFIGURATION
        for path in Path("/").glob(pattern)
        if path.is_file()
    ]
    texts += [value for name, value in os.environ.items() if name.lower().endswith(("_proxy", "_url", "goproxy"))]
    peers = subprocess.run(["ss", "-Htn", "state", "established"], capture_output=True, text=True).stdout
    found = {address for text in peers_of(peers) if (address := _address(text)) is not None}
    asked = {one for text in texts for one in resolv_conf.parse(text).nameservers if not one.is_loopback}
    return found | asked | _resolve(hosts_of(texts))


def hosts_of(texts: Iterable[str]) -> set[str]:
    """Return the hosts of all URLs in configuration files; pure."""
    return {six or name for text in texts for line in _without_comments(text) for six, name in _URL.findall(line)}


def peers_of(connections: str) -> set[str]:
    """Return the peers' addresses in what ``ss -Htn state established`` prints; pure."""
    columns = [line.split() for line in connections.splitlines()]
    return {words[3].rpartition(":")[0].strip("[]").removeprefix("::ffff:") for words in columns if len(words) > 3}


def _without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith(("#", "//", ";"))]


def _address(text: str) -> state.Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return None if address.is_loopback else address


def _resolve(hosts: Iterable[str]) -> set[state.Address]:
    """Look names up, all at once and for a short while: a machine without a name service must not wait for it."""
    found: set[state.Address] = set()

    def look(host: str) -> None:
        with contextlib.suppress(OSError):
            for *_, place in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
                address = _address(str(place[0]))
                if address is not None:
                    found.add(address)

    threads = [threading.Thread(target=look, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    end = time.monotonic() + _RESOLVE_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return set(found)


def of_other_installations(installation: Installation) -> dict[str, list[state.Network]]:
    """Return all networks of each other installation under the same root, by its name."""
    neighbours = installation.neighbours().items()
    return {name: all_of(ranges.decode(record.ranges)) for name, record in neighbours if record.ranges}


def all_of(chosen: state.Ranges) -> list[state.Network]:
    """Return every network of an installation."""
    return [*chosen.pools(4), *chosen.pools(6), *chosen.guest, *chosen.service, *chosen.link]
