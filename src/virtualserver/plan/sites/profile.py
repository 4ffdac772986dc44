"""The site profile as a file: ``site.yaml``, which an administrator writes and ``vs up`` makes on one machine.

::

    pools:                        # of addresses; all fields have defaults
    - name: public
    - name: private
    - name: public-ord1           # serves the servers whose spec.region is ORD1
    imageNamespace: vd-images     # images are the PersistentVolumeClaims in it
    storageClasses: [local]       # those that are honoured
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
import yaml

from virtualserver.api import names
from virtualserver.api.faults import Fault, InvalidManifest, convert, without_nulls
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dump", "load"]

_POOL_NAME: Final = re.compile(r"(public|private)(-[a-z0-9]([-a-z0-9]*[a-z0-9])?)?")


class _File(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What the parts of the file have in common."""


class _Pool(_File, frozen=True):
    name: str


class _Profile(_File, frozen=True):
    pools: tuple[_Pool, ...] = (_Pool(name="public"), _Pool(name="private"))
    image_namespace: str = names.IMAGE_NAMESPACE
    storage_classes: tuple[str, ...] = ("local",)


def load(text: str) -> Site:
    """Read a site profile.

    Args:
        text: YAML, as in this module's docstring; an empty text is a site with all defaults.

    Raises:
        InvalidManifest: With every fault, each with its field and what to do.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidManifest([Fault("site", f"is no YAML ({_one_line(error)}): correct it")]) from None
    profile = convert(without_nulls({} if document is None else document), _Profile, path="site")
    faults = list(_faults(profile))
    if faults:
        raise InvalidManifest(faults)
    return Site(
        pools=frozenset(pool.name for pool in profile.pools),
        image_namespace=profile.image_namespace,
        storage_classes=frozenset(profile.storage_classes),
    )


def dump(site: Site) -> str:
    """Return the text that `load` reads as this site."""
    profile = _Profile(
        pools=tuple(_Pool(name=name) for name in sorted(site.pools)),
        image_namespace=site.image_namespace,
        storage_classes=tuple(sorted(site.storage_classes)),
    )
    return yaml.safe_dump(msgspec.to_builtins(profile), sort_keys=False)


def _faults(profile: _Profile) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, pool in enumerate(profile.pools):
        path = f"site.pools[{index}].name"
        if not _POOL_NAME.fullmatch(pool.name):
            message = f"{pool.name!r} is no pool's name: write public or private, or one of them with -REGION"
            yield Fault(path, f"{message} in lower case")
        if pool.name in seen:
            yield Fault(path, f"{pool.name!r} is there twice: remove one")
        seen.add(pool.name)


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
