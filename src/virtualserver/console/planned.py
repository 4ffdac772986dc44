"""What would be made of a manifest, as the pages show it: by the same plan that the operator follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import validation, virtualserver
from virtualserver.api.faults import InvalidManifest
from virtualserver.plan import sites
from virtualserver.plan.preview import preview

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.objects import Manifest

__all__ = ["planned"]

_MOST_USERS: Final = 256
"""So many has the schema of the CRD."""
_NAMED: Final = 10

_OWNED = ("ownerReferences", "labels")
"""Of each object's metadata: whose it is, which is the same for all and says nothing of the network."""


def planned(manifest: Manifest, *, site: Path | None) -> list[dict[str, Any]]:
    """Return the objects that would be made, without what says whose they are.

    Args:
        manifest: A VirtualServer as the API server would store it.
        site: The effective site profile; None, or one that cannot be read: a site of which nothing is known.

    Raises:
        ValueError: The manifest is none, or nothing is made of it; the message says why.
    """
    try:
        server = virtualserver.decode(manifest)
    except InvalidManifest as error:
        raise ValueError(str(error)) from error
    # Nobody but the page says that the API server would store it: whoever is signed in may send any number of VPCs.
    if len(server.spec.users) > _MOST_USERS:
        raise ValueError(f"spec.users: {len(server.spec.users)} are given, {_MOST_USERS} are allowed: remove some")
    if faults := validation.validate(server):
        raise ValueError("; ".join(map(str, faults[:_NAMED])))
    return [_shown(one) for one in preview(server, sites.load(_text(site)))]


def _text(site: Path | None) -> str:
    try:
        return site.read_text() if site else "{}"
    except OSError:
        return "{}"


def _shown(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _OWNED}
    return {**manifest, "metadata": metadata}
