"""The VirtualServer as Python sees it: every field of the manifest, typed, with its default.

Kubernetes types that only pass through (Affinity, Probe, PodDNSConfig, VolumeSource) stay plain mappings.
Field names are the manifest's in Python's spelling. What each field means is documented once, in the CRD
(``kubectl explain vs.spec``). Rules between fields are in ``validation``.
"""

from __future__ import annotations

import enum
import ipaddress
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from virtualserver.api import conditions, faults, names, quantity
from virtualserver.api.mac import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CPU",
    "GPU",
    "VPC",
    "AccessMode",
    "AdditionalDisk",
    "DNSPolicy",
    "DataVolumeSource",
    "Filesystem",
    "Firmware",
    "FloatingIP",
    "Metadata",
    "Network",
    "NetworkStatus",
    "OSType",
    "OperatingSystem",
    "PVCSource",
    "Ports",
    "Resources",
    "RootDisk",
    "RunStrategy",
    "SecretKey",
    "Spec",
    "Status",
    "Storage",
    "User",
    "VirtualServer",
    "VolumeMode",
    "decode",
]

Quantity = str | int
"""A Kubernetes quantity as the manifest writes it; ``quantity.parse`` reads it."""


class OSType(enum.StrEnum):
    """``spec.os.type``."""

    LINUX = "linux"
    WINDOWS = "windows"


class RunStrategy(enum.StrEnum):
    """``spec.runStrategy``: what KubeVirt does when the guest ends."""

    ALWAYS = "Always"
    RERUN_ON_FAILURE = "RerunOnFailure"
    MANUAL = "Manual"
    HALTED = "Halted"


class VolumeMode(enum.StrEnum):
    """``spec.storage.root.volumeMode``."""

    BLOCK = "Block"
    FILESYSTEM = "Filesystem"


class AccessMode(enum.StrEnum):
    """``spec.storage.root.accessMode``, as for PersistentVolumeClaims."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"


class DNSPolicy(enum.StrEnum):
    """``spec.network.dnsPolicy``, as for pods."""

    CLUSTER_FIRST = "ClusterFirst"
    CLUSTER_FIRST_WITH_HOST_NET = "ClusterFirstWithHostNet"
    DEFAULT = "Default"
    NONE = "None"


class _Struct(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """What all of these types have in common."""


class OperatingSystem(_Struct, frozen=True):
    """``spec.os``."""

    type: OSType
    definition: str = "a"
    enable_uefi_boot: bool = msgspec.field(default=False, name="enableUEFIBoot")


class CPU(_Struct, frozen=True):
    """``spec.resources.cpu``."""

    count: int = 2
    type: str | None = None


class GPU(_Struct, frozen=True):
    """``spec.resources.gpu``."""

    type: str | None = None
    count: int | None = None


class Resources(_Struct, frozen=True):
    """``spec.resources``."""

    definition: str = "a"
    cpu: CPU = CPU()
    gpu: GPU | None = None
    memory: Quantity = "8Gi"

    @property
    def memory_bytes(self) -> int:
        """The guest's memory in bytes.

        Raises:
            quantity.QuantityError: The manifest's text is no quantity.
        """
        return quantity.in_bytes(self.memory)


class PVCSource(_Struct, frozen=True):
    """The claim that a disk is cloned from."""

    namespace: str
    name: str


class DataVolumeSource(_Struct, frozen=True):
    """``spec.storage.root.source``: one of CDI's sources. Only ``pvc`` is read, the others pass through."""

    pvc: PVCSource | None = None
    http: dict[str, Any] | None = None
    registry: dict[str, Any] | None = None
    s3: dict[str, Any] | None = None
    blank: dict[str, Any] | None = None
    upload: dict[str, Any] | None = None
    imageio: dict[str, Any] | None = None
    vddk: dict[str, Any] | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of source that are given; a sound manifest has one."""
        return tuple(field for field in self.__struct_fields__ if getattr(self, field) is not None)


class RootDisk(_Struct, frozen=True):
    """``spec.storage.root``."""

    size: Quantity
    source: DataVolumeSource
    storage_class_name: str
    volume_mode: VolumeMode = VolumeMode.BLOCK
    access_mode: AccessMode = AccessMode.READ_WRITE_ONCE
    ephemeral: bool = False
    serial: str | None = None

    @property
    def size_bytes(self) -> int:
        """The disk's size in bytes.

        Raises:
            quantity.QuantityError: The manifest's text is no quantity.
        """
        return quantity.in_bytes(self.size)


class AdditionalDisk(_Struct, frozen=True):
    """One of ``spec.storage.additionalDisks``; ``spec`` is a KubeVirt VolumeSource."""

    name: str
    spec: dict[str, Any]
    read_only: bool = False
    serial: str | None = None


class Filesystem(_Struct, frozen=True):
    """One of ``spec.storage.filesystems``; ``spec`` is a KubeVirt VolumeSource."""

    name: str
    spec: dict[str, Any]
    mount_point: str | None = None


class Storage(_Struct, frozen=True):
    """``spec.storage``."""

    root: RootDisk
    additional_disks: tuple[AdditionalDisk, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    swap: Quantity | None = None


class SecretKey(_Struct, frozen=True):
    """One key of a Secret in the server's namespace; the default key depends on the field."""

    name: str
    key: str | None = None


class User(_Struct, frozen=True):
    """One of ``spec.users``."""

    username: str
    password: str | None = None
    sshpublickey: str | None = msgspec.field(default=None, name="sshpublickey")
    password_secret_ref: SecretKey | None = None
    ssh_public_keys_secret_ref: SecretKey | None = None


class Ports(_Struct, frozen=True):
    """``spec.network.tcp`` and ``spec.network.udp``."""

    ports: tuple[int, ...] = ()


class VPC(_Struct, frozen=True):
    """One of ``spec.network.vpcs``."""

    name: str


class FloatingIP(_Struct, frozen=True):
    """One of ``spec.network.floatingIPs``, whichever form it was written in: one of the two is given.

    Attributes:
        service_name: A LoadBalancer Service of the server's namespace.
        address: The literal address.
    """

    service_name: str | None = None
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None


class Network(_Struct, frozen=True):
    """``spec.network``."""

    public: bool = True
    direct_attach_load_balancer_ip: bool = msgspec.field(default=False, name="directAttachLoadBalancerIP")
    tcp: Ports = Ports()
    udp: Ports = Ports()
    floating_ips: tuple[str | dict[str, Any], ...] = msgspec.field(default=(), name="floatingIPs")
    mac_address: str | None = None
    dns_policy: DNSPolicy = DNSPolicy.CLUSTER_FIRST
    dns_config: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    headless: bool = False
    vpcs: tuple[VPC, ...] = ()
    disable_k8s_networking: bool = msgspec.field(default=False, name="disableK8sNetworking")

    @property
    def direct_attach(self) -> bool:
        """Whether the load balancer address is the server's own."""
        return self.direct_attach_load_balancer_ip

    @property
    def mac(self) -> str | None:
        """The MAC address in the form ``a2:1f:ee:09:06:5d``, None where the manifest names none."""
        return canonical(self.mac_address) if self.mac_address else None

    @property
    def floating(self) -> tuple[FloatingIP, ...]:
        """The floating addresses, each read from whichever form it has."""
        return tuple(read_floating(item) for item in self.floating_ips)


class Firmware(_Struct, frozen=True):
    """``spec.firmware``."""

    uuid: str | None = None
    serial: str | None = None


class Spec(_Struct, frozen=True):
    """``spec``. Empty lists, mappings and texts mean what absent ones do."""

    os: OperatingSystem
    resources: Resources
    storage: Storage
    region: str = ""
    affinity: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    users: tuple[User, ...] = ()
    network: Network = Network()
    initialize_running: bool = False
    cloud_init: str = ""
    cloud_init_secret_ref: SecretKey | None = None
    run_strategy: RunStrategy = RunStrategy.RERUN_ON_FAILURE
    firmware: Firmware = Firmware()
    use_virtio_transitional: bool = False
    termination_grace_period_seconds: int | None = None
    liveness_probe: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    readiness_probe: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    @property
    def grace_seconds(self) -> int:
        """How long the guest may take to shut down before it is switched off."""
        if self.termination_grace_period_seconds is not None:
            return self.termination_grace_period_seconds
        return 300 if self.os.type is OSType.WINDOWS else 60


_Condition = conditions.Condition


class NetworkStatus(_Struct, frozen=True, omit_defaults=False):
    """``status.network``; the three addresses are always present, ``""`` where there is none."""

    internal_ip: str = msgspec.field(default="", name="internalIP")
    external_ip: str = msgspec.field(default="", name="externalIP")
    service_ip: str = msgspec.field(default="", name="serviceIP")
    floating_ips: dict[str, str] = msgspec.field(default_factory=dict[str, str], name="floatingIPs")


class Status(_Struct, frozen=True, omit_defaults=False):
    """``status``; the conditions stand in the order of ``ConditionType``.

    ``msgspec.to_builtins`` makes the manifest's part of it: without a revision where the manifest had none, without a
    time for a condition that has none yet.
    """

    observed_revision: str | msgspec.UnsetType = msgspec.UNSET
    settled: str | msgspec.UnsetType = msgspec.UNSET
    network: NetworkStatus = NetworkStatus()
    conditions: tuple[_Condition, ...] = ()

    def condition(self, type_: conditions.ConditionType) -> conditions.Condition | None:
        """Return the condition of a type, None where the status has none."""
        return next((condition for condition in self.conditions if condition.type == type_), None)


class Metadata(_Struct, frozen=True):
    """What is read of ``metadata``; times are as the API server writes them."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    annotations: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    deletion_timestamp: str | None = None


class VirtualServer(_Struct, frozen=True):
    """A whole VirtualServer."""

    metadata: Metadata
    spec: Spec
    status: Status = Status()
    api_version: Literal["virtualservers.coreweave.com/v1alpha1"] = names.API_VERSION
    kind: Literal["VirtualServer"] = names.KIND

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """``metadata.namespace``."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """``metadata.uid``, ``""`` before the API server has seen the server."""
        return self.metadata.uid

    @property
    def keep_disk(self) -> bool | None:
        """Whether deleting the server is to leave its root disk; None: as the site has it."""
        asked = self.metadata.annotations.get(names.KEEP_DISK)
        return {"true": True, "false": False}.get(asked or "")


def decode(manifest: Mapping[str, Any]) -> VirtualServer:
    """Read a manifest, with defaults applied; unknown fields are ignored, as the API server prunes them.

    The rules between fields are not checked: ``validation.validate`` does that.

    Raises:
        faults.InvalidManifest: With every missing field and wrong type.
    """
    return faults.convert(faults.without_nulls(manifest), VirtualServer)


def read_floating(item: str | Mapping[str, Any]) -> FloatingIP:
    """Return what one item of ``floatingIPs`` names: a text that is an address is one, any other a Service."""
    if not isinstance(item, str):
        return FloatingIP(service_name=str(item.get("serviceName", "")))
    try:
        return FloatingIP(address=ipaddress.ip_address(item))
    except ValueError:
        return FloatingIP(service_name=item)
