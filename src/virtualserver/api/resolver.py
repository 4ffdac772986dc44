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

__all__ = ["faults"]

_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")


def faults(config: Mapping[str, Any], *, path: str) -> Iterator[Fault]:
    """Yield what is wrong with a ``dnsConfig``.

    Args:
        config: As the API server has it.
        path: Where it stands, for the faults' paths.
    """
    for index, text in enumerate(config.get("nameservers") or ()):
        try:
            if "%" in text:  # a zone may be any text, and these words end up in files
                raise ValueError
            ipaddress.ip_address(text)
        except ValueError:
            yield Fault(f"{path}.nameservers[{index}]", f"{text!r} is no IP address: write it like 192.0.2.53")
    for index, text in enumerate(config.get("searches") or ()):
        if text != "." and not _NAME.fullmatch(text.removesuffix(".")):
            yield Fault(f"{path}.searches[{index}]", f"{text!r} is no domain name: write it like example.org")
