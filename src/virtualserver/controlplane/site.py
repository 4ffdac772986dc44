"""The site of an installation: what the administrator says of it, and what holds.

The administrator's file is ``site.yaml``. It is judged by whoever reads it (a start, the node each time it changes);
what was found to be without fault is written down with the pools that the installation recorded, and that file is what
holds, also over restarts: a faulty ``site.yaml`` changes nothing. The operator reads the second file only.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.api.faults import Fault, InvalidManifest
from virtualserver.controlplane import errors
from virtualserver.host.files import write_atomically
from virtualserver.plan import sites

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.installation.installation import Installation
    from virtualserver.installation.record import Record
    from virtualserver.plan.sites.site import Site

__all__ = ["SiteFound", "SiteUnknown", "faults", "look", "renew"]

_HEADER: Final = "# What holds, from site.yaml and instance.json. Do not write here: write site.yaml.\n"
_USUAL: Final = ("public", "private")


class SiteUnknown(errors.ControlPlaneError, ValueError):
    """The administrator's file is faulty, and what held before it is not known; the message has every fault."""


@dataclasses.dataclass(frozen=True, slots=True)
class SiteFound:
    """The site of an installation.

    Attributes:
        site: What holds.
        faults: What is wrong with the administrator's file, so that what held before it goes on holding.
    """

    site: Site
    faults: tuple[Fault, ...] = ()


def faults(installation: Installation) -> tuple[Fault, ...]:
    """Return what is wrong with the administrator's file; nothing where there is none."""
    return _judge(installation)[1]


def look(installation: Installation) -> SiteFound:
    """Return what holds; nothing is written.

    Raises:
        SiteUnknown: The administrator's file is faulty, and what held before it is not known.
    """
    site, found = _judge(installation)
    return SiteFound(site or _before(installation, found), found)


def renew(installation: Installation) -> SiteFound:
    """Return what holds, and write it for the operator, whose user can read it, unless it stands there already.

    Raises:
        SiteUnknown: The administrator's file is faulty, and what held before it is not known.
        OSError: It cannot be written.
    """
    found = look(installation)
    text = _HEADER + sites.dump(found.site)
    if not installation.effective_site.exists() or installation.effective_site.read_text() != text:
        write_atomically(installation.effective_site, text, mode=0o644)
    return found


def _judge(installation: Installation) -> tuple[Site | None, tuple[Fault, ...]]:
    try:
        text = installation.site_file.read_text()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        return None, (Fault("site", f"cannot be read ({reason}): mend or remove {installation.site_file}"),)
    try:
        return sites.load(text, installed=_pools(installation.record())), ()
    except InvalidManifest as error:
        return None, error.faults


def _before(installation: Installation, found: Iterable[Fault]) -> Site:
    """Return what held before the administrator's file became faulty."""
    try:
        before = sites.load(installation.effective_site.read_text())
    except (OSError, ValueError):
        listed = "\n".join(f"{installation.site_file}: {fault}" for fault in found)
        raise SiteUnknown(listed) from None
    return dataclasses.replace(before, pools=frozenset(_pools(installation.record())))


def _pools(record: Record) -> tuple[str, ...]:
    ranges = record.ranges
    return (*ranges.public, *ranges.private) if ranges else _USUAL
