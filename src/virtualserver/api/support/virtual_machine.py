"""The fields of a VirtualMachine that is not a VirtualServer's, and of its instance. Source: KubeVirt API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api.support.field import SERIAL_BYTES, Effect, Field, Limit, Table
from virtualserver.api.support.probe import at, probe_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["INSTANCE", "VIRTUAL_MACHINE"]

_TRUE: Final = ("", True)
"""What is so in any case: to ask for it asks for nothing."""
_VIRTIO: Final = ("", "virtio")
_TEMPLATE: Final = "spec.template.spec"
_OTHER_VOLUME: Final = "use dataVolume or persistentVolumeClaim"
_FIRST_START: Final = "read at each start; what cloud-init makes of it is made once"


def _limit(path: str, words: str, applies: Callable[[Mapping[str, Any]], bool], when: str) -> Limit:
    """Return a limit of a machine's description, which stands at a path of a manifest."""
    return Limit(words, lambda manifest: applies(at(manifest, path) or {}), when)


def _has_loose_volume(spec: Mapping[str, Any]) -> bool:
    """Return whether a volume has no disk of its name, so that the guest does not see it."""
    disks = {one.get("name") for one in at(spec, "domain.devices.disks") or ()}
    return any(one.get("name") not in disks for one in at(spec, "volumes") or ())


def _has_long_serial(spec: Mapping[str, Any]) -> bool:
    disks = at(spec, "domain.devices.disks") or ()
    return any(len(str(one.get("serial") or "").encode()) > SERIAL_BYTES for one in disks)


def _has_ipv6_nameserver(spec: Mapping[str, Any]) -> bool:
    return any(":" in str(one) for one in at(spec, "dnsConfig.nameservers") or ())


def _has_both_strategies(vm: Mapping[str, Any]) -> bool:
    return all(at(vm, f"spec.{field}") is not None for field in ("running", "runStrategy"))


def _is_alone(spec: Mapping[str, Any]) -> bool:
    """Return whether a machine has no NIC on the cluster network."""
    networks = at(spec, "networks") or ()
    no_card = at(spec, "domain.devices.autoattachPodInterface") is False and not at(spec, "domain.devices.interfaces")
    return no_card or (bool(networks) and not any("pod" in one for one in networks))


def _reserves(spec: Mapping[str, Any]) -> bool:
    """Return whether resources say more than how much the guest sees, which `domain.cpu` and `memory` may say too."""
    requests, limits = (_keys(spec, f"domain.resources.{kind}") for kind in ("requests", "limits"))
    said = {key for key, path in (("cpu", "domain.cpu"), ("memory", "domain.memory.guest")) if at(spec, path)}
    return bool((requests | limits) & said or requests & limits or (requests | limits) - {"cpu", "memory"})


def _keys(spec: Mapping[str, Any], path: str) -> set[str]:
    return {str(key) for key in at(spec, path) or ()}


def _domain(path: str) -> tuple[Field, ...]:
    spec, domain = path, f"{path}.domain"
    reserved = _limit(
        spec, f"{domain}.resources", _reserves, "what it says beyond the guest's own processors and memory"
    )
    return (
        Field(f"{domain}.machine.type", Effect.NAMED, "it is a q35", usual=("", "q35")),
        Field(
            f"{domain}.resources.requests",
            Effect.NEXT_START,
            "the guest's memory and processors, where `memory` and `cpu` do not say them",
            limits=(reserved,),
        ),
        Field(f"{domain}.resources.limits", Effect.NEXT_START, "the same, where there are no requests"),
        Field(f"{domain}.resources.overcommitGuestOverhead", Effect.NAMED),
        *(Field(f"{domain}.cpu.{one}", Effect.NEXT_START) for one in ("cores", "sockets", "threads")),
        Field(f"{domain}.cpu.model", Effect.NAMED, usual=("", "host-model", "host-passthrough")),
        Field(f"{domain}.memory.guest", Effect.NEXT_START),
        Field(f"{domain}.features.acpi", Effect.NAMED, "it is there", usual=_TRUE),
        Field(f"{domain}.features.smm", Effect.NAMED),
        Field(f"{domain}.firmware.bootloader.bios", Effect.NEXT_START),
        Field(f"{domain}.firmware.bootloader.bios.useSerial", Effect.NAMED),
        Field(f"{domain}.firmware.bootloader.efi", Effect.NEXT_START),
        Field(f"{domain}.firmware.bootloader.efi.persistent", Effect.NAMED, "each start begins with fresh variables"),
        Field(f"{domain}.firmware.bootloader.efi.secureBoot", Effect.NAMED),
        Field(f"{domain}.firmware.serial", Effect.NEXT_START),
        Field(f"{domain}.firmware.uuid", Effect.NEXT_START),
    )


def _devices(path: str) -> tuple[Field, ...]:
    devices = f"{path}.domain.devices"
    disk, card = f"{devices}.disks[]", f"{devices}.interfaces[]"
    serial = _limit(
        path,
        f"what follows the first {SERIAL_BYTES} bytes of {disk}.serial",
        _has_long_serial,
        "a virtio disk has no room for more",
    )
    return (
        Field(f"{devices}.autoattachGraphicsDevice", Effect.NAMED, "it is there", usual=_TRUE),
        Field(f"{devices}.autoattachMemBalloon", Effect.NAMED, "there is none"),
        Field(f"{devices}.autoattachPodInterface", Effect.NEXT_START),
        Field(f"{devices}.autoattachSerialConsole", Effect.NAMED, "it is there", usual=_TRUE),
        *(Field(f"{devices}.{kind}", Effect.OBSTACLE) for kind in ("filesystems", "gpus")),
        Field(f"{devices}.networkInterfaceMultiqueue", Effect.NAMED),
        Field(f"{devices}.rng", Effect.NEXT_START, "it is there in any case"),
        Field(f"{devices}.useVirtioTransitional", Effect.NEXT_START),
        Field(f"{disk}.name", Effect.NEXT_START),
        Field(f"{disk}.blockSize", Effect.NAMED),
        Field(f"{disk}.bootOrder", Effect.NEXT_START),
        Field(f"{disk}.cache", Effect.NAMED),
        Field(f"{disk}.cdrom", Effect.NAMED, "the guest has a disk that it cannot write", even_empty=True),
        Field(f"{disk}.dedicatedIOThread", Effect.NAMED),
        Field(f"{disk}.disk.bus", Effect.NAMED, "it is virtio", usual=_VIRTIO),
        Field(f"{disk}.disk.pciAddress", Effect.NAMED),
        Field(f"{disk}.disk.readonly", Effect.NEXT_START),
        Field(f"{disk}.lun", Effect.NAMED, "the guest has a plain disk", even_empty=True),
        Field(f"{disk}.serial", Effect.NEXT_START, limits=(serial,)),
        Field(f"{card}.name", Effect.NEXT_START),
        Field(f"{card}.acpiIndex", Effect.NAMED),
        Field(f"{card}.bootOrder", Effect.NAMED, "no guest starts from a network"),
        Field(f"{card}.bridge", Effect.NEXT_START),
        Field(f"{card}.macAddress", Effect.NEXT_START),
        Field(f"{card}.masquerade", Effect.NEXT_START, "as `bridge`: the guest has its own address"),
        Field(f"{card}.passtBinding", Effect.NEXT_START, "as `bridge`"),
        Field(f"{card}.sriov", Effect.NAMED, "the card is a virtio one; on a VPC the machine waits", even_empty=True),
        Field(f"{card}.model", Effect.NAMED, "it is virtio", usual=_VIRTIO),
        Field(f"{card}.pciAddress", Effect.NAMED),
        Field(f"{card}.ports", Effect.NAMED, "the guest is reached at all ports"),
        Field(f"{card}.state", Effect.NAMED, usual=("", "up")),
        Field(f"{card}.tag", Effect.NAMED),
    )


def _volumes(path: str) -> tuple[Field, ...]:
    volume = f"{path}.volumes[]"
    loose = _limit(path, f"{path}.volumes without a disk of their name", _has_loose_volume, "the guest sees disks")
    obstacles = ("containerDisk", "emptyDisk", "secret")
    return (
        Field(f"{volume}.name", Effect.NEXT_START, limits=(loose,)),
        Field(f"{volume}.cloudInitNoCloud", Effect.NEXT_START, _FIRST_START),
        *(Field(f"{volume}.{kind}", Effect.OBSTACLE, _OTHER_VOLUME, even_empty=True) for kind in obstacles),
        Field(f"{volume}.dataVolume.name", Effect.NEXT_START),
        Field(f"{volume}.dataVolume.hotpluggable", Effect.NAMED),
        Field(f"{volume}.ephemeral", Effect.NEXT_START, "what is written is lost at the machine's end"),
        Field(f"{volume}.persistentVolumeClaim.claimName", Effect.NEXT_START),
        Field(f"{volume}.persistentVolumeClaim.readOnly", Effect.NEXT_START),
        Field(f"{volume}.persistentVolumeClaim.hotpluggable", Effect.NAMED),
    )


def _machine(path: str) -> Table:
    """Return the fields of a machine's description that stands at a path."""
    ipv6 = _limit(
        path, f"IPv6 addresses in {path}.dnsConfig.nameservers", _has_ipv6_nameserver, "guests have IPv4 only"
    )

    def alone(manifest: Mapping[str, Any]) -> bool:
        return _is_alone(at(manifest, path) or {})

    return (
        Field(f"{path}.affinity", Effect.NAMED, "there is one machine"),
        Field(f"{path}.dnsConfig.nameservers", Effect.NEXT_START, "by DHCP", limits=(ipv6,)),
        Field(f"{path}.dnsConfig.searches", Effect.NEXT_START, "by DHCP"),
        Field(f"{path}.dnsConfig.options", Effect.NAMED, "DHCP cannot carry them: write them by cloud-init"),
        Field(f"{path}.dnsPolicy", Effect.NEXT_START),
        Field(f"{path}.evictionStrategy", Effect.NAMED, "nothing is evicted", usual=("", "None")),
        Field(f"{path}.hostname", Effect.NEXT_START),
        Field(f"{path}.nodeSelector", Effect.NAMED, "there is one machine"),
        Field(f"{path}.schedulerName", Effect.NAMED, "there is one machine"),
        Field(f"{path}.startStrategy", Effect.NEXT_START, "`Paused`; the machine waits at any other word"),
        Field(f"{path}.subdomain", Effect.NEXT_START, "a name below a headless Service of that name"),
        Field(f"{path}.terminationGracePeriodSeconds", Effect.NEXT_START),
        Field(f"{path}.tolerations", Effect.NAMED, "there is one machine"),
        *probe_fields(f"{path}.livenessProbe", alone=alone),
        *probe_fields(f"{path}.readinessProbe", alone=alone),
        Field(f"{path}.networks[].name", Effect.NEXT_START),
        Field(f"{path}.networks[].pod", Effect.NEXT_START),
        Field(f"{path}.networks[].pod.vmIPv6NetworkCIDR", Effect.NAMED),
        Field(f"{path}.networks[].pod.vmNetworkCIDR", Effect.NAMED),
        Field(f"{path}.networks[].multus.default", Effect.OBSTACLE, "name the pod network for the cluster's"),
        Field(f"{path}.networks[].multus.networkName", Effect.NEXT_START, "a VPC of the machine's own namespace"),
        *_volumes(path),
        *_domain(path),
        *_devices(path),
    )


INSTANCE: Final = _machine("spec")
"""The fields of a VirtualMachineInstance."""

VIRTUAL_MACHINE: Final[Table] = (
    Field("spec.runStrategy", Effect.NOW),
    Field(
        "spec.running",
        Effect.NOW,
        refused="beside `runStrategy`, where it is new",
        limits=(Limit("spec.running beside spec.runStrategy", _has_both_strategies, "that one counts"),),
    ),
    Field("spec.dataVolumeTemplates[].apiVersion", Effect.NONE, "it is made as `cdi.kubevirt.io/v1beta1`"),
    Field("spec.dataVolumeTemplates[].kind", Effect.NONE, "it is made a DataVolume"),
    Field("spec.dataVolumeTemplates[].metadata.name", Effect.NEW_MACHINE),
    Field("spec.dataVolumeTemplates[].metadata.namespace", Effect.NONE, "it is the machine's"),
    Field("spec.dataVolumeTemplates[].metadata.labels", Effect.NEW_MACHINE, "but for ours"),
    Field("spec.dataVolumeTemplates[].metadata.annotations", Effect.NEW_MACHINE, "but for ours"),
    Field("spec.dataVolumeTemplates[].spec", Effect.NEW_MACHINE, "as a DataVolume's, below, which says it of itself"),
    Field("spec.template.metadata.labels", Effect.NOW, "the instance has them while it runs"),
    Field("spec.template.metadata.annotations", Effect.NEXT_START),
    *_machine(_TEMPLATE),
)
