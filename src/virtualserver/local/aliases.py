"""Who may clone an alias, another name of an image: everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.controlplane import image_sources

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation
    from virtualserver.local.kubectl import Kubectl

__all__ = ["grant_aliases", "grants"]


def grant_aliases(installation: Installation, kubectl: Kubectl) -> None:
    """Let everybody clone the aliases of an earlier version, which asked nobody: once, since `alias` does it now.

    The caller holds the installation's lock.
    """
    if installation.record().aliases_granted:
        return
    found = [claim["metadata"] for claim in kubectl.list("pvc")]
    aliases = [metadata for metadata in found if names.ALIAS_OF in metadata.get("annotations", {})]
    granted = [one for alias in aliases for one in grants(alias["name"], namespace=alias["namespace"])]
    if granted:
        kubectl.apply(granted)
    with installation.changing() as record:
        record.aliases_granted = True


def grants(name: str, *, namespace: str) -> list[dict[str, Any]]:
    """Return what lets everybody clone an alias: pure. In the namespace of images everybody may clone everything."""
    if namespace == names.IMAGE_NAMESPACE:
        return []
    return image_sources.granting({"name": f"virtualserver:alias:{name}", "namespace": namespace}, claim=name)
