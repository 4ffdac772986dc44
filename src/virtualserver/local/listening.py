"""Where users of other machines reach the API server: which addresses can be asked for, and which still serve."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.api import names
from virtualserver.fabric.desired.names import LINK_PREFIX
from virtualserver.fabric.kernel import foreign
from virtualserver.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.fabric.desired.state import Address
    from virtualserver.installation.installation import Installation

__all__ = ["Listening", "check", "fault", "names_for", "now", "recorded"]


@dataclasses.dataclass(frozen=True, slots=True)
class Listening:
    """Where the API server is reached from other machines.

    Attributes:
        url: Its URL there.
        fault: Why nobody reaches it now, ``""`` where nothing speaks against it.
    """

    url: str
    fault: str


def now(installation: Installation) -> Listening | None:
    """Return where the API server is reached from other machines, None where it is not to be."""
    address = recorded(installation)
    if address is None:
        return None
    return Listening(controlplane.address_of(installation), fault(address, foreign.addresses()))


def recorded(installation: Installation) -> Address | None:
    """Return the address that is listened on beyond loopback, None where there is none."""
    settings = installation.record().controlplane
    return controlplane.Options.decode(settings.options).listen if settings else None


def check(address: Address) -> None:
    """Refuse an address that the API server cannot be reached at from other machines.

    Raises:
        LocalError: Says why, and which addresses there are.
    """
    present = foreign.addresses()
    if reason := fault(address, present):
        others = [f"{one} ({link})" for one, link in present.items() if not fault(one, present)]
        remedy = f"This machine has: {', '.join(others)}." if others else "This machine has none beyond loopback."
        raise LocalError(f"--listen {address}: {reason}.", remedy=remedy)


def fault(address: Address, present: Mapping[Address, str]) -> str:
    """Return why an address cannot be listened on, ``""`` where it can: pure.

    Args:
        address: The address.
        present: The machine's addresses, each with the name of its link.
    """
    if address.is_unspecified:
        return "it stands for every address, and only one is opened"
    if address.is_loopback:
        return "it is of loopback, where the API server is reached anyway"
    if address.is_link_local:
        return "it holds on one link only, and a URL cannot say which"
    link = present.get(address)
    if link is None:
        return "it is no address of this machine"
    if link.startswith(LINK_PREFIX):
        return f"it is the host's end of a link to guests ({link})"
    return ""


def names_for(address: Address | None) -> tuple[str, ...]:
    """Return what the API server's certificate says for users of other machines: the address and the host's name."""
    if address is None:
        return ()
    name = socket.gethostname().lower()
    is_name = all(map(names.DNS_LABEL.fullmatch, name.split("."))) and len(name) < 254
    return (str(address), name) if is_name else (str(address),)
