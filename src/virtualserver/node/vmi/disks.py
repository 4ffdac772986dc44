"""What disks, and what seed of cloud-init, a VirtualMachineInstance (VMI) asks for: pure.

Source: KubeVirt API v1.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
from typing import TYPE_CHECKING, Any, Final, Literal

from virtualserver.api import names
from virtualserver.api.support.field import field_of
from virtualserver.api.support.virtual_machine import INSTANCE
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["CloudInit", "DiskWish", "disks_of", "repeated"]

_CLOUD_INIT: Final = ("cloudInitNoCloud", "cloudInitConfigDrive")
_FORMS: Final = (
    ("userData", "userDataBase64", "secretRef"),
    ("networkData", "networkDataBase64", "networkDataSecretRef"),
)
"""The forms of what cloud-init is told, the last one naming a Secret."""
_CLAIM: Final[Mapping[str, tuple[str, ...]]] = {
    "dataVolume": ("name",),
    "persistentVolumeClaim": ("claimName",),
    "ephemeral": ("persistentVolumeClaim", "claimName"),
}
"""By source of a disk: where it names its claim. No field of a source is sure to be there."""
_USE: Final = "use dataVolume or persistentVolumeClaim"


@dataclasses.dataclass(frozen=True, slots=True)
class DiskWish:
    """One disk.

    Attributes:
        name: The disk's and its volume's name.
        claim: The PersistentVolumeClaim that holds it.
        source: Which kind of volume names the claim.
        read_only: True where the guest cannot write.
        serial: What the guest sees; None: nothing.
    """

    name: str
    claim: str
    source: Literal["dataVolume", "persistentVolumeClaim", "ephemeral"]
    read_only: bool
    serial: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class CloudInit:
    """Where the user data come from.

    Attributes:
        secret: Name of the Secret with key ``userdata``; None: `user_data` is the text.
        user_data: The text, or what its base64 stands for; None where a Secret has it.
        network_data: The network configuration; None: DHCP on the first NIC, as cloud-init does by itself.
        network_secret: Name of the Secret with key ``networkdata``; None: `network_data` is the text.
    """

    secret: str | None
    user_data: str | bytes | None
    network_data: str | bytes | None
    network_secret: str | None = None


def disks_of(spec: Mapping[str, Any], faults: list[str]) -> tuple[tuple[DiskWish, ...], CloudInit | None]:
    """Return the disks of a VMI's ``spec``, in boot order, then in its own, and its seed; None: it asks for none.

    Args:
        spec: The VMI's.
        faults: What this node does not do is added, in words.
    """
    disks, given = fields.items(spec, "domain", "devices", "disks"), fields.items(spec, "volumes")
    for path, entries in (("spec.domain.devices.disks", disks), ("spec.volumes", given)):
        faults.extend(repeated(path, [one["name"] for one in entries]))
    orders = [str(disk["bootOrder"]) for disk in disks if disk.get("bootOrder")]
    faults.extend(repeated("spec.domain.devices.disks", orders, field="bootOrder"))
    volumes = {volume["name"]: volume for volume in given}
    wishes: list[tuple[int, DiskWish]] = []
    seeds: dict[str, CloudInit] = {}
    for disk in disks:
        name = disk["name"]
        if not names.DNS_LABEL.fullmatch(name):
            # An ephemeral disk's file is called so.
            faults.append(
                f"spec.domain.devices.disks[{name!r}]: no DNS label: use lower-case letters, digits and dashes"
            )
            continue
        if name not in volumes:
            faults.append(f"spec.domain.devices.disks[{name}] has no volume of its name in spec.volumes")
            continue
        source = _source(volumes[name], faults)
        if source in _CLOUD_INIT:
            seeds[name] = _cloud_init(volumes[name][source], f"spec.volumes[{name}].{source}", faults)
        elif source in _CLAIM:
            wishes.append((disk.get("bootOrder") or 1 << 20, _disk(disk, source, volumes[name][source], faults)))
    if len(seeds) > 1:
        faults.append(f"spec.volumes: {', '.join(seeds)} are all for cloud-init, which reads one: remove the others")
    wishes.sort(key=lambda wish: wish[0])
    return tuple(wish for _, wish in wishes), next(iter(seeds.values()), None)


def repeated(path: str, given: Sequence[str], *, field: str = "") -> Iterator[str]:
    """Yield, in words, what a list of a manifest has more than once.

    Args:
        path: The list.
        given: Of its entries, what no two have in common.
        field: Where that stands in an entry; ``""``: it is the entry's name.
    """
    for value, count in collections.Counter(given).items():
        if count > 1 and field:
            yield f"{path} has more than one entry with {field} {value}: give each another"
        elif count > 1:
            yield f"{path} has more than one entry {value}: name each once"


def _source(volume: Mapping[str, Any], faults: list[str]) -> str:
    """Return what a volume is made of; ``""``: it does not say so, or this node does not do it."""
    path, sources = f"spec.volumes[{volume['name']}]", [field for field in volume if field != "name"]
    if len(sources) != 1:
        told = f"{' and '.join(sources)} exclude each other: remove all but one" if sources else f"no source: {_USE}"
        faults.append(f"{path}: {told}")
        return ""
    if sources[0] not in (*_CLAIM, *_CLOUD_INIT) and field_of(INSTANCE, f"spec.volumes[].{sources[0]}") is None:
        faults.append(f"{path}.{sources[0]} is not known: {_USE}")
    return sources[0]


def _disk(disk: Mapping[str, Any], source: Any, volume: Mapping[str, Any], faults: list[str]) -> DiskWish:
    path = _CLAIM[source]
    claim = str(fields.mapping(volume, *path[:-1]).get(path[-1]) or "")
    if not claim:
        field = f"spec.volumes[{disk['name']}].{source}.{'.'.join(path)}"
        faults.append(f"{field} is missing: name the {'DataVolume' if source == 'dataVolume' else 'claim'}")
    return DiskWish(
        name=disk["name"],
        claim=claim,
        source=source,
        # `cdrom: {}` has nothing in it, and is one.
        read_only=bool(fields.mapping(disk, "disk").get("readonly") or volume.get("readOnly"))
        or disk.get("cdrom") is not None,
        serial=disk.get("serial"),
    )


def _cloud_init(source: Mapping[str, Any], path: str, faults: list[str]) -> CloudInit:
    for *texts, secret in _FORMS:
        given = [form for form in texts if source.get(form)] + [secret] * (secret in source)
        if len(given) > 1:
            faults.append(f"{path}: {' and '.join(given)} exclude each other: remove all but one")
        if secret in source and not fields.mapping(source, secret).get("name"):
            faults.append(f"{path}.{secret}.name is missing: name the Secret")
    return CloudInit(
        secret=fields.mapping(source, "secretRef").get("name"),
        user_data=_inline(source, "userData", path, faults),
        network_data=_inline(source, "networkData", path, faults),
        network_secret=fields.mapping(source, "networkDataSecretRef").get("name"),
    )


def _inline(source: Mapping[str, Any], field: str, path: str, faults: list[str]) -> str | bytes | None:
    """Return what a field holds, as text or, in the field beside it, as base64."""
    encoded = source.get(f"{field}Base64")
    if not encoded:
        return source.get(field)
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        faults.append(f"{path}.{field}Base64 is no base64 ({error}): write it as `base64 -w0` does")
        return None
