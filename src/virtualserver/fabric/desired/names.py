"""What an installation's things are called in the kernel: said here, and nowhere else."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BRIDGE_PREFIX",
    "CHAIN_PREFIX",
    "LINK_PREFIX",
    "NAMESPACE_PREFIX",
    "PORT_PREFIX",
    "chain_of",
    "link_of",
    "namespace_of",
]

NAMESPACE_PREFIX: Final = "vs-"
"""With what the names of all installations' namespaces, and of their tables in the host, begin."""

LINK_PREFIX: Final = "vsh-"
"""With what the names of the host's ends of all installations' veth pairs begin."""

BRIDGE_PREFIX: Final = "vpc"
"""With what the names of the bridges of VPCs begin, in an installation's namespace."""

PORT_PREFIX: Final = "nic"
"""With what the names of the taps on VPCs begin there, as those of the cluster's NICs do not."""


CHAIN_PREFIX: Final = "spread_"
"""With what the names of the chains begin that spread a port's connections, as those of no other chain do."""


def namespace_of(installation: str) -> str:
    """Return the name of the network namespace of an installation, and of its nftables table in the host."""
    return f"{NAMESPACE_PREFIX}{installation}"


def link_of(identifier: str) -> str:
    """Return the name of the host's end of the veth pair of the installation of an identifier."""
    return f"{LINK_PREFIX}{identifier}"


def chain_of(key: str) -> str:
    """Return the name of the chain that spreads the connections of a port over its targets.

    Args:
        key: Address, protocol and number, with `` . `` between them.
    """
    return f"{CHAIN_PREFIX}{key.replace(' . ', '_')}"
