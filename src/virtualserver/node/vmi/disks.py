"""What disks, and what seed of cloud-init, a VirtualMachineInstance (VMI) asks for: pure.

Source: KubeVirt API v1.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Any, Final, Literal

from virtualserver.api import names
from virtualserver.api.support.field import field_of
from virtualserver.api.support.virtual_machine import INSTANCE
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CloudInit", "DiskWish", "disks_of"]

_CLOUD_INIT: Final = ("cloudInitNoCloud", "cloudInitConfigDrive")
_DISK_SOURCES: Final = ("dataVolume", "persistentVolumeClaim", "ephemeral")


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
    volumes = {volume["name"]: volume for volume in fields.items(spec, "volumes")}
    wishes: list[tuple[int, DiskWish]] = []
    cloud_init: CloudInit | None = None
    for disk in fields.items(spec, "domain", "devices", "disks"):
        name = disk["name"]
        if not names.DNS_LABEL.fullmatch(name):
            # An ephemeral disk's file is called so.
            faults.append(
                f"spec.domain.devices.disks[{name!r}]: no DNS label: use lower-case letters, digits and dashes"
            )
            continue
        volume = volumes.get(name)
        if volume is None:
            faults.append(f"spec.domain.devices.disks[{name}] has no volume of its name in spec.volumes")
            continue
        source = next((field for field in volume if field != "name"), "")
        if source in _CLOUD_INIT:
            cloud_init = _cloud_init(volume[source], f"spec.volumes[{name}].{source}", faults)
        elif source in _DISK_SOURCES:
            wishes.append((disk.get("bootOrder") or 1 << 20, _disk(disk, source, volume[source])))
        elif field_of(INSTANCE, f"spec.volumes[].{source}") is None:
            faults.append(f"spec.volumes[{name}].{source} is not known: use dataVolume or persistentVolumeClaim")
    wishes.sort(key=lambda wish: wish[0])
    return tuple(wish for _, wish in wishes), cloud_init


def _disk(disk: Mapping[str, Any], source: Any, volume: Mapping[str, Any]) -> DiskWish:
    claim = volume["persistentVolumeClaim"] if source == "ephemeral" else volume
    return DiskWish(
        name=disk["name"],
        claim=claim["name"] if source == "dataVolume" else claim["claimName"],
        source=source,
        read_only=bool(fields.mapping(disk, "disk").get("readonly") or volume.get("readOnly") or disk.get("cdrom")),
        serial=disk.get("serial"),
    )


def _cloud_init(source: Mapping[str, Any], path: str, faults: list[str]) -> CloudInit:
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
