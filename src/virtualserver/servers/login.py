"""How one logs in to a server: as whom, and by which way."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING, Final

from virtualserver.servers import show
from virtualserver.servers.errors import ServerError, StateError
from virtualserver.servers.page import Port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.servers.access import ApiAccess
    from virtualserver.servers.page import Page

__all__ = ["PORT", "command", "ssh"]

PORT: Final = 22


async def command(
    access: ApiAccess, name: str, *, user: str, options: Sequence[str], proxy: Sequence[str]
) -> list[str]:
    """Return the command line of ``ssh`` that logs in to a server.

    An address at which port 22 answers from here is used; any other server is reached by the API server, which asks
    for the right to forward ports.

    Args:
        access: Of the caller.
        name: The server's.
        user: Whom to log in as; ``""``: the first of the manifest's users.
        options: More options of ssh.
        proxy: The command that carries its standard input and output to the guest's port 22.

    Raises:
        MissingServerError: There is no such server.
        StateError: Its guest does not run.
        ServerError: The manifest names no user.
    """
    found = await show.show(access, name)
    if not found.runs:
        raise StateError(
            f"{name} does not run: {found.message}", remedy=f"All about it: {access.command('show', name)}"
        )
    who = user or next(iter(found.users), "")
    if not who:
        raise ServerError(
            f"{name}: its manifest names no users.", remedy="Name one of the guest's: vs ssh -l USER NAME"
        )
    if (own := _own_address(found)) and not any(port.port == PORT for port in found.ports):
        port = await show.asked(Port("", own, "TCP", PORT))
        found = dataclasses.replace(found, ports=(*found.ports, port))
    return ssh(found, user=who, options=options, proxy=proxy)


def _own_address(found: Page) -> str:
    """Return an address of which every port leads to the guest, published or not: its card's, or one that floats to it.

    Any other is shared: at the machine's own address, port 22 may be the machine's, or another tenant's.
    """
    external = found.addresses.get("external", "")
    if external and external == found.addresses.get("internal"):
        return external
    return found.addresses.get("floating", "").partition(",")[0]


def ssh(found: Page, *, user: str, options: Sequence[str], proxy: Sequence[str]) -> list[str]:
    """Return the command line, from what the ports answered; arguments as for `command`."""
    addresses = [port.address for port in found.ports if port.port == PORT and port.answer == show.ANSWERS]
    line = ["ssh", *_host_key(found), *options]
    if addresses:
        return [*line, "-l", user, addresses[0]]
    # ssh gives the proxy's command to a shell, having looked for its own marks in it.
    way = shlex.join(proxy).replace("%", "%%")
    return [*line, "-o", f"ProxyCommand={way}", "-l", user, found.name]


def _host_key(found: Page) -> list[str]:
    """Return the options by which a server is known by its UID: an address may be another server's by now."""
    if found.disk.ephemeral:
        # Its host keys are new at each start.
        kept = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    else:
        kept = ["-o", f"HostKeyAlias={found.uid}", "-o", "StrictHostKeyChecking=accept-new"]
    return [*kept, "-o", "LogLevel=ERROR"]
