"""The site profile as a text, as an administrator writes it: into ``site.yaml`` or, on a cluster, into a ConfigMap.

docs/site.md describes each key; a test compares that page with the types below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from virtualserver.api import names
from virtualserver.api.faults import Fault, InvalidManifest, convert, without_nulls
from virtualserver.plan import bounded_yaml
from virtualserver.plan.sites import annotations
from virtualserver.plan.sites.annotations import AllowedAnnotations
from virtualserver.plan.sites.quotas import AddressQuota, Quotas
from virtualserver.plan.sites.site import DISK_OVERCOMMIT, EVERY_NAMESPACE, BetweenNamespaces, Site, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Profile", "dump", "load"]

_USUAL_POOLS: Final = ("public", "private")
_LARGEST_OVERCOMMIT: Final = 1000
_POOL_NAME: Final = re.compile(r"(public|private)(-[a-z0-9]([-a-z0-9]*[a-z0-9])?)?")


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the parts of the profile have in common."""


class NamedPool(_Part, frozen=True):
    """A pool of addresses, and the namespaces whose servers may ask for one of them in particular."""

    name: str
    namespaces: tuple[str, ...] = ()


class Quota(_Part, frozen=True):
    """What one namespace may hold: of each pool, or by the pool's name."""

    addresses: int | dict[str, int] | None = None


class AllQuotas(Quota, frozen=True):
    """What every namespace may hold, and what some may instead."""

    namespaces: dict[str, Quota] = {}


class Annotations(_Part, frozen=True):
    """Which annotations of a server are passed on, and to what."""

    machines: tuple[str, ...] = AllowedAnnotations().machines
    services: tuple[str, ...] = AllowedAnnotations().services


class Disks(_Part, frozen=True):
    """What holds for the disks of all namespaces together."""

    overcommit: float = DISK_OVERCOMMIT


class Defaults(_Part, frozen=True):
    """What holds for a server whose manifest does not say it."""

    keep_disk: bool = False


class Profile(_Part, frozen=True):
    """The whole text."""

    pools: tuple[NamedPool, ...] | None = None
    image_namespaces: tuple[str, ...] = (names.IMAGE_NAMESPACE,)
    storage_classes: tuple[str, ...] = ("local",)
    between_namespaces: BetweenNamespaces = BetweenNamespaces.OPEN
    quotas: AllQuotas = AllQuotas()
    disks: Disks = Disks()
    verbs: tuple[Verb, ...] = ()
    annotations: Annotations = Annotations()
    defaults: Defaults = Defaults()


def load(text: str, *, installed: Iterable[str] | None = None) -> Site:
    """Read a site profile.

    Args:
        text: YAML; an empty text is a site with all defaults.
        installed: The pools that this place has, where it is not the text that decides about that: the text may name
            no others. None: the text decides, and where it names none there are ``public`` and ``private``.

    Raises:
        InvalidManifest: With every fault, each with its field, its value, the reason and what to do.
    """
    try:
        document = bounded_yaml.load(text)
    except bounded_yaml.YAMLFault as fault:
        raise InvalidManifest([Fault("site", f"{fault}: {fault.remedy}")]) from None
    twice = list(_twice(yaml.compose(text)))
    if twice:
        raise InvalidManifest(twice)
    profile = convert(without_nulls({} if document is None else document), Profile, path="site")
    named = [pool.name for pool in profile.pools or ()]
    pools = frozenset(installed) if installed is not None else frozenset(named or _USUAL_POOLS)
    faults = [*_pool_faults(named, pools), *_namespace_faults(profile), *_quota_faults(profile, pools)]
    faults += [*_annotation_faults(profile), *_disk_faults(profile.disks), *_verb_faults(profile.verbs)]
    if faults:
        raise InvalidManifest(faults)
    return Site(
        pools=pools,
        open_pools={pool.name: frozenset(pool.namespaces) for pool in profile.pools or () if pool.namespaces},
        image_namespaces=profile.image_namespaces,
        storage_classes=frozenset(profile.storage_classes),
        between_namespaces=profile.between_namespaces,
        quotas=Quotas(
            addresses=_decode(profile.quotas),
            namespaces={name: _decode(quota) for name, quota in profile.quotas.namespaces.items()},
        ),
        disk_overcommit=profile.disks.overcommit,
        annotations=AllowedAnnotations(profile.annotations.machines, profile.annotations.services),
        verbs=frozenset(profile.verbs),
        keep_disk=profile.defaults.keep_disk,
    )


def dump(site: Site) -> str:
    """Return the text that `load` reads as this site; defaults stand in it as far as they have no key of their own."""
    profile = {
        "pools": [{"name": name, **_encode_open(site, name)} for name in sorted(site.pools)],
        "imageNamespaces": list(site.image_namespaces),
        "storageClasses": sorted(site.storage_classes),
        "betweenNamespaces": site.between_namespaces.value,
        "quotas": {
            **_encode(site.quotas.addresses),
            "namespaces": {name: _encode(quota) for name, quota in sorted(site.quotas.namespaces.items())},
        },
        "disks": {"overcommit": site.disk_overcommit},
        "annotations": {"machines": list(site.annotations.machines), "services": list(site.annotations.services)},
        "verbs": sorted(verb.value for verb in site.verbs),
        "defaults": {"keepDisk": site.keep_disk},
    }
    return yaml.safe_dump(profile, sort_keys=False)


def _encode_open(site: Site, pool: str) -> dict[str, Any]:
    namespaces = site.open_pools.get(pool)
    return {"namespaces": sorted(namespaces)} if namespaces else {}


def _decode(quota: Quota) -> AddressQuota:
    asked = quota.addresses
    return AddressQuota(pools=asked) if isinstance(asked, dict) else AddressQuota(each=asked)


def _encode(quota: AddressQuota) -> dict[str, Any]:
    if quota.each is None:
        return {"addresses": dict(sorted(quota.pools.items()))} if quota.pools else {}
    return {"addresses": quota.each}


def _pool_faults(named: list[str], pools: frozenset[str]) -> Iterator[Fault]:
    for index, name in enumerate(named):
        path = f"site.pools[{index}].name"
        if not _POOL_NAME.fullmatch(name):
            message = f"{name!r} is no pool's name: write public or private, or one of them with -REGION"
            yield Fault(path, f"{message} in lower case")
        elif name not in pools:
            yield Fault(path, f"{name!r} is no pool of this place: {_one_of(pools)}")
        if name in named[:index]:
            yield Fault(path, f"{name!r} is there twice: remove one")


def _namespace_faults(profile: Profile) -> Iterator[Fault]:
    yield from _list_faults("site.imageNamespaces", profile.image_namespaces)
    for place, pool in enumerate(profile.pools or ()):
        yield from _list_faults(f"site.pools[{place}].namespaces", pool.namespaces, besides=EVERY_NAMESPACE)
    for name in profile.quotas.namespaces:
        yield from _namespace_fault(f"site.quotas.namespaces.{name}", name)


def _list_faults(path: str, namespaces: tuple[str, ...], *, besides: str = "") -> Iterator[Fault]:
    """Yield what is wrong with a list of namespaces, in which one other word may stand too."""
    for index, name in enumerate(namespaces):
        if name != besides:
            yield from _namespace_fault(f"{path}[{index}]", name)
        if name in namespaces[:index]:
            yield Fault(f"{path}[{index}]", f"{name!r} is there twice: remove one")


def _namespace_fault(path: str, name: str) -> Iterator[Fault]:
    if not names.DNS_LABEL.fullmatch(name):
        yield Fault(
            path, f"{name!r} is no namespace's name: use at most 63 lower-case letters, digits and dashes, no dash last"
        )


def _annotation_faults(profile: Profile) -> Iterator[Fault]:
    for kind, allowed in (("machines", profile.annotations.machines), ("services", profile.annotations.services)):
        for index, message in annotations.faults(allowed):
            yield Fault(f"site.annotations.{kind}[{index}]", message)


def _quota_faults(profile: Profile, pools: frozenset[str]) -> Iterator[Fault]:
    quotas: Mapping[str, Quota] = {
        "site.quotas": profile.quotas,
        **{f"site.quotas.namespaces.{name}": quota for name, quota in profile.quotas.namespaces.items()},
    }
    for path, quota in quotas.items():
        asked = quota.addresses
        counts = asked if isinstance(asked, dict) else {} if asked is None else {"": asked}
        for pool, count in counts.items():
            where = f"{path}.addresses.{pool}" if pool else f"{path}.addresses"
            if pool and pool not in pools:
                yield Fault(where, f"{pool!r} is no pool of this place: {_one_of(pools)}")
            if count < 0:
                yield Fault(where, f"{count} is less than 0: write 0 for no address, or leave it out for no bound")


def _disk_faults(disks: Disks) -> Iterator[Fault]:
    if not 0 < disks.overcommit <= _LARGEST_OVERCOMMIT:  # which no NaN is either
        message = f"{disks.overcommit:g} is no bound: write a number above 0, such as {DISK_OVERCOMMIT:g}"
        yield Fault("site.disks.overcommit", f"{message}, and at most {_LARGEST_OVERCOMMIT}")


def _verb_faults(verbs: tuple[Verb, ...]) -> Iterator[Fault]:
    for index, verb in enumerate(verbs):
        if verb in verbs[:index]:
            yield Fault(f"site.verbs[{index}]", f"{verb.value!r} is there twice: remove one")


def _one_of(pools: Iterable[str]) -> str:
    return f"write one of {', '.join(sorted(pools))}"


def _twice(node: yaml.Node | None) -> Iterator[Fault]:
    """Yield the keys that stand twice in a mapping: of each the first would be lost without a word."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if str(key.value) in lines:
                yield Fault("site", f"{key.value!r} stands in line {lines[key.value]} and in line {line}: remove one")
            lines[str(key.value)] = line
            yield from _twice(value)
