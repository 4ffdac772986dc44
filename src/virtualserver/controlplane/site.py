"""Writes the site profile that an installation's operator reads: what the installation recorded of its pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.host.files import write_atomically
from virtualserver.plan import sites
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation
    from virtualserver.installation.record import Record

__all__ = ["site_of", "write"]

_HEADER: Final = "# Written at each start, from what instance.json records.\n"


def write(installation: Installation) -> None:
    """Write the profile, readable by the operator's user."""
    profile = sites.dump(site_of(installation.record()))
    write_atomically(installation.site_profile, _HEADER + profile, mode=0o644)


def site_of(record: Record) -> Site:
    """Return the site of an installation from its record; one with the usual pools where no ranges are recorded."""
    ranges = record.ranges
    return Site(pools=frozenset((*ranges.public, *ranges.private))) if ranges else Site()
