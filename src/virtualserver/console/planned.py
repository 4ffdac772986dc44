"""What would be made of a manifest, as the pages show it: by the same plan that the operator follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import validation, virtualserver
from virtualserver.api.faults import InvalidManifest
from virtualserver.kube import fields
from virtualserver.plan import sites
from virtualserver.plan.preview import preview

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.objects import Manifest

__all__ = ["MOST", "planned"]

MOST: Final = {
    "users": 256,
    "network.floatingIPs": 64,
    "network.tcp.ports": 100,
    "network.udp.ports": 100,
    "network.vpcs": 100,
}
"""The items that each list of the spec may have, as the schema of the CRD says."""
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
    # Nobody but the page says that the API server would store it: whoever is signed in may send any number of VPCs.
    for path, most in MOST.items():
        given = len(fields.items(manifest, "spec", *path.split(".")))
        if given > most:
            raise ValueError(f"spec.{path}: {given} are given, {most} are allowed: remove some")
    try:
        server = virtualserver.decode(manifest)
    except InvalidManifest as error:
        raise ValueError(str(error)) from error
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
