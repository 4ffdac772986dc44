"""The fields of a VirtualServer. Those of a Secret that is referred to follow what refers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.api import names
from virtualserver.api.support.field import SERIAL_BYTES, Effect, Field, Limit, Table
from virtualserver.api.support.probe import at, probe_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.virtualserver import VirtualServer

__all__ = ["STORAGE_CLASS", "VIRTUAL_SERVER", "written"]

STORAGE_CLASS: Final = "spec.storage.root.storageClassName"
"""Which of its values have an effect, the site says."""

_NO_SUCH_KEY: Final = "names and keys that no Secret can have"
_FIRST_START: Final = "the guest is told once, at its first start; a change is named"
_OWN_NETWORK: Final = (
    "its `network` at each start, where the image's cloud-init looks then: that of `vs image build debian` does"
)
_KEEP: Final = ("true", "false")
_ALONE: Final = "with `disableK8sNetworking`"


def _alone(manifest: Mapping[str, Any]) -> bool:
    """Return whether a server has no cluster NIC: whoever has none asks no DHCP of ours, and is reached by nobody."""
    return bool(at(manifest, "spec.network.disableK8sNetworking"))


def _without_cluster(path: str) -> Limit:
    """Return the limit of a field that only a server on the cluster network has something of."""
    return Limit(path, lambda manifest: _alone(manifest) and bool(at(manifest, path)), _ALONE)


def _has_ipv6_nameserver(manifest: Mapping[str, Any]) -> bool:
    """Return whether a server is named by an IPv6 address, as only those have colons (RFC 4291, 2.2)."""
    return any(":" in str(one) for one in at(manifest, "spec.network.dnsConfig.nameservers") or ())


def _is_windows_with_options(manifest: Mapping[str, Any]) -> bool:
    return at(manifest, "spec.os.type") == "windows" and bool(at(manifest, "spec.network.dnsConfig.options"))


VIRTUAL_SERVER: Final[Table] = (
    Field("metadata.labels", Effect.NOW, "the machine has them too, while it runs, so that Services select it by them"),
    Field(
        "metadata.annotations",
        Effect.NOW,
        "`keep-disk`, and those that `site.yaml` passes on; others that are meant for Services and machines are named",
        limits=(
            Limit(
                f"metadata.annotations[{names.KEEP_DISK}]",
                lambda server: (server["metadata"]["annotations"].get(names.KEEP_DISK) or "true") not in _KEEP,
                "other words than `true` and `false`, so that the site's default counts",
            ),
        ),
    ),
    Field(
        "spec.region",
        Effect.NOW,
        "chooses the address pool, where regions have pools of their own here: one that has none is named, and the "
        "default pool serves it",
    ),
    Field("spec.affinity", Effect.NAMED, "there is one machine"),
    Field(
        "spec.os.type",
        Effect.NEXT_START,
        "decides what the guest is told at its first start, and how long it may take to shut down",
        refused="other words than `linux` and `windows`",
    ),
    Field("spec.os.definition", Effect.NAMED, "there is one", usual=("a",)),
    Field("spec.os.enableUEFIBoot", Effect.NEXT_START, template=r"domain\.firmware\.bootloader"),
    Field("spec.resources.definition", Effect.NAMED, "there is one", usual=("a",)),
    Field("spec.resources.cpu.count", Effect.NEXT_START, refused="less than 1", template=r"domain\.cpu"),
    Field("spec.resources.cpu.type", Effect.NAMED, "the machine's own is used", refused="beside `gpu.type`"),
    Field("spec.resources.gpu", Effect.OBSTACLE, refused="a count of less than 1; `type` beside `cpu.type`"),
    Field("spec.resources.memory", Effect.NEXT_START, refused="what is no quantity", template=r"domain\.memory"),
    Field(
        "spec.storage.root.size",
        Effect.NEXT_START,
        "it grows before the guest starts, and the guest's file system at its start; one below its image's is named",
        refused="less than before: a disk never shrinks; what is no quantity",
    ),
    Field(
        "spec.storage.root.source",
        Effect.NEW_MACHINE,
        refused="none, or several",
    ),
    Field(
        "spec.storage.root.source.pvc",
        Effect.NEW_MACHINE,
        "an image of `vs image list`, or a disk of the namespace, copied; a change after the disk was made is named",
        refused="names that no claim or namespace can have; a claim that its user may not clone",
    ),
    *(
        Field(f"spec.storage.root.source.{kind}", Effect.OBSTACLE, even_empty=True)
        for kind in ("blank", "http", "imageio", "registry", "s3", "upload", "vddk")
    ),
    Field(STORAGE_CLASS, Effect.NAMED, "any is accepted; those that `site.yaml` lists (`local`) are served as asked"),
    Field(
        "spec.storage.root.volumeMode",
        Effect.NAMED,
        "the guest has a disk in either mode",
        refused="unknown words",
        usual=("Block",),
    ),
    Field("spec.storage.root.accessMode", Effect.NAMED, refused="unknown words", usual=("ReadWriteOnce",)),
    Field(
        "spec.storage.root.ephemeral",
        Effect.NEXT_START,
        refused="without a `pvc` source",
        template=r"volumes\[0\]",
    ),
    Field(
        "spec.storage.root.serial",
        Effect.NEXT_START,
        limits=(
            Limit(
                f"what follows the first {SERIAL_BYTES} bytes of spec.storage.root.serial",
                lambda server: len(str(at(server, "spec.storage.root.serial") or "").encode()) > SERIAL_BYTES,
                "a virtio disk has no room for more",
            ),
        ),
        template=r"domain\.devices\.disks\[0\]\.serial",
    ),
    Field("spec.storage.additionalDisks", Effect.OBSTACLE),
    Field("spec.storage.filesystems", Effect.OBSTACLE),
    Field("spec.storage.swap", Effect.NAMED, refused="what is no quantity"),
    Field(
        "spec.users[].username",
        Effect.NEW_MACHINE,
        f"{_FIRST_START}; entries of one name are one account, with the keys of all",
        refused="an empty one; with `os.type: linux` what no account can be called, and names of system accounts",
    ),
    Field(
        "spec.users[].password",
        Effect.NEW_MACHINE,
        f"{_FIRST_START}; a new server waits where one name has two",
        refused="beside `passwordSecretRef`",
    ),
    Field("spec.users[].sshpublickey", Effect.NEW_MACHINE, _FIRST_START),
    Field("spec.users[].passwordSecretRef", Effect.NEW_MACHINE, _FIRST_START, refused=_NO_SUCH_KEY),
    Field("spec.users[].sshPublicKeysSecretRef", Effect.NEW_MACHINE, _FIRST_START, refused=_NO_SUCH_KEY),
    Field(
        "spec.network.public",
        Effect.NOW,
        "where nothing is exposed, Ready says that it has no effect yet; beside `directAttachLoadBalancerIP` at the "
        "next start",
    ),
    Field(
        "spec.network.directAttachLoadBalancerIP",
        Effect.NEXT_START,
        refused="beside ports",
    ),
    Field("spec.network.tcp.ports", Effect.NOW, refused="outside 1 to 65535; repeated; more than 10"),
    Field("spec.network.udp.ports", Effect.NOW, refused="outside 1 to 65535; repeated; more than 10"),
    Field("spec.network.floatingIPs", Effect.NOW, refused="what is neither a Service's name nor an address"),
    Field(
        "spec.network.macAddress",
        Effect.NEXT_START,
        refused="what is no local unicast address in one of the two forms",
        limits=(_without_cluster("spec.network.macAddress"),),
        template=r"domain\.devices\.interfaces\[0\]\.macAddress",
    ),
    Field(
        "spec.network.dnsPolicy",
        Effect.NEXT_START,
        refused="unknown words; `None` without name servers",
        limits=(_without_cluster("spec.network.dnsPolicy"),),
        template=r"dnsPolicy",
    ),
    Field(
        "spec.network.dnsConfig",
        Effect.NEXT_START,
        "by DHCP; what that has no room for is named",
        limits=(
            _without_cluster("spec.network.dnsConfig"),
            Limit(
                "IPv6 addresses in spec.network.dnsConfig.nameservers", _has_ipv6_nameserver, "guests have IPv4 only"
            ),
        ),
        template=r"dnsConfig",
    ),
    Field("spec.network.dnsConfig.nameservers", Effect.NEXT_START),
    Field("spec.network.dnsConfig.searches", Effect.NEXT_START),
    Field(
        "spec.network.dnsConfig.options",
        Effect.NEW_MACHINE,
        f"by cloud-init: {_FIRST_START}",
        # Only cloud-init can set them in the guest, and Windows has none.
        limits=(Limit("spec.network.dnsConfig.options", _is_windows_with_options, "with `os.type: windows`"),),
    ),
    Field("spec.network.headless", Effect.NOW, refused=_ALONE),
    Field(
        "spec.network.vpcs",
        Effect.NEXT_START,
        refused="repeated; more than 10",
        # All NICs but the first are on VPCs, and the guest is told of its NICs where it is on any.
        template=r"domain\.devices\.interfaces|networks|volumes\[1\]",
    ),
    Field(
        "spec.network.disableK8sNetworking",
        Effect.NEXT_START,
        template=r"domain\.devices\.autoattachPodInterface",
    ),
    Field(
        "spec.initializeRunning", Effect.NOW, "set later on too; a stop by a user stands, and is named before it ran"
    ),
    Field(
        "spec.cloudInit",
        Effect.NEW_MACHINE,
        f"{_FIRST_START}; {_OWN_NETWORK}",
        refused="more than 900 KiB; beside `cloudInitSecretRef`",
    ),
    Field("spec.cloudInitSecretRef", Effect.NEW_MACHINE, f"{_FIRST_START}; {_OWN_NETWORK}", refused=_NO_SUCH_KEY),
    Field("spec.runStrategy", Effect.NOW, refused="unknown words"),
    Field(
        "spec.firmware",
        Effect.NEXT_START,
        refused="what is no lower-case UUID",
        template=r"domain\.firmware",
    ),
    Field(
        "spec.useVirtioTransitional",
        Effect.NEXT_START,
        template=r"domain\.devices\.useVirtioTransitional",
    ),
    Field(
        "spec.terminationGracePeriodSeconds",
        Effect.NEXT_START,
        refused="less than 0",
        template=r"terminationGracePeriodSeconds",
    ),
    *probe_fields("spec.livenessProbe", alone=_alone, template=r"livenessProbe"),
    *probe_fields("spec.readinessProbe", alone=_alone, template=r"readinessProbe"),
)


def written(server: VirtualServer) -> dict[str, Any]:
    """Return a server as a user would write it, without what has the kind's default."""
    metadata = {"labels": server.metadata.labels, "annotations": server.metadata.annotations}
    return msgspec.to_builtins({"metadata": metadata, "spec": server.spec})
