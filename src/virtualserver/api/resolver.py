"""What a guest's resolver can be told: the faults of a ``dnsConfig`` (core/v1 PodDNSConfig). Pure.

The same for a VirtualServer and for a machine that somebody made without one, since these words end up in the
DHCP server's files.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["faults", "is_nameserver", "is_search"]

_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")


def faults(config: Mapping[str, Any], *, path: str) -> Iterator[Fault]:
    """Yield what is wrong with a ``dnsConfig``.

    Args:
        config: As the API server has it.
        path: Where it stands, for the faults' paths.
    """
    for index, text in enumerate(config.get("nameservers") or ()):
        if not is_nameserver(text):
            yield Fault(f"{path}.nameservers[{index}]", f"{text!r} is no IP address: write it like 192.0.2.53")
    for index, text in enumerate(config.get("searches") or ()):
        if text != "." and not is_search(text):
            yield Fault(f"{path}.searches[{index}]", f"{text!r} is no domain name: write it like example.org")


def is_nameserver(text: str) -> bool:
    """Return whether a text is an address that a guest can be told; a zone may be any text, so none has one."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_search(text: str) -> bool:
    """Return whether a text is a domain name, with or without the dot at its end."""
    return _NAME.fullmatch(text.removesuffix(".")) is not None
