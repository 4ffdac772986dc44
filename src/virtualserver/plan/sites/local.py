"""One machine, where the node stands in for KubeVirt, CDI and MetalLB: all that is so here and nowhere else.

What is written into Services and templates so that the node understands it, and how it is read back; which conditions
of the node are waited for; which commands help here; what this place does not carry out.
"""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from virtualserver.api import names, quantity
from virtualserver.api.faults import Fault
from virtualserver.api.reasons import Reason
from virtualserver.api.support.field import obstacles, without_effect
from virtualserver.api.support.probe import is_asked_from_outside
from virtualserver.api.support.virtual_server import STORAGE_CLASS, VIRTUAL_SERVER, written
from virtualserver.host.counts import counted
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from virtualserver.api.virtualserver import PVCSource, VirtualServer
    from virtualserver.kube.objects import Manifest

__all__ = ["LEAST_MEMORY", "MOST_CPUS", "AwaitedCondition", "Local", "floats_message"]

MOST_CPUS: Final = 255
"""Processors of a machine: QEMU asks for more than it emulates beyond that, and wraps round at 2**32."""
LEAST_MEMORY: Final = 16 << 20
"""Bytes of a machine's memory: less, such as a number without its unit, starts no guest."""

_DEFAULT_NAMESPACE: Final = "default"


class AwaitedCondition(NamedTuple):
    """A condition of a VirtualMachineInstance that must be True before its server is ready.

    Attributes:
        type: The condition's type.
        reason: Why the server is not ready while it is not True, unless the condition has a reason that we know.
        message: The same for the message.
    """

    type: str
    reason: Reason
    message: str


def floats_message(server: str) -> str:
    """Return what the node says in a Service's `names.FLOATS`: to whose guest its address leads."""
    return f"all traffic goes to VirtualServer {server}"


def _too_little(memory: str | int) -> str:
    if meant := quantity.meant(memory):
        return f"{counted(int(memory), 'byte')} is less than the 16Mi that a guest needs: did you mean {meant}?"
    return f"{memory!r} is less than the 16Mi that a guest needs: write an amount such as 8Gi"


class Local:
    """The driver of one machine."""

    awaited: Final = (
        AwaitedCondition(
            names.DATA_PLANE_READY,
            Reason.WAITING_FOR_DATA_PLANE,
            "the addresses and ports are not in the data plane yet",
        ),
        AwaitedCondition(
            names.ADDRESS_TAKEN, Reason.WAITING_FOR_GUEST, "the guest has not taken its address since this start"
        ),
    )
    """Conditions of an instance that only the node writes, in the order in which they come true."""

    shortfalls: Final = (names.NETWORK_DIFFERS, names.RESOLVER_CUT)
    """Conditions of an instance that are there while its guest has less than the manifest asks for."""

    told: Final = (names.FLOWS_BOUNDED, *shortfalls)
    """Conditions of an instance that are there while something is the matter with a guest that runs on all the same:
    their messages stand in the server's Ready, beside whatever it says."""

    reasons: Final[Mapping[str, Reason]] = {
        "WaitingForVolumes": Reason.PROVISIONING,
        "FormerGuestStops": Reason.STOPPING,
        "InstanceRefused": Reason.ERROR,
        "GuestStandsStill": Reason.FAILED,
        "GuestCutOff": Reason.FAILED,
    }
    """Reasons in the node's conditions for which a VirtualServer has a word of its own."""

    disk_refusals: Final = frozenset(
        {
            *("ClaimNotOurs", "ClaimRefused", "InsufficientStorage"),
            *("SizeInvalid", "SizeMissing", "SourceInUse", "SourceNotSupported"),
        }
    )
    """Reasons in a DataVolume's Ready at which its disk is not made before somebody changes something."""

    def service_annotations(self, *, pool: str, sharing_key: str) -> dict[str, str]:
        """Return what asks for an address, in MetalLB's words.

        Args:
            pool: The pool's name.
            sharing_key: Services of one key in one namespace get one address.
        """
        return {names.METALLB_ADDRESS_POOL: pool, names.METALLB_ALLOW_SHARED_IP: sharing_key}

    def pinned_annotations(self, *, address: str) -> dict[str, str]:
        """Return what asks for one address, in MetalLB's words."""
        return {names.METALLB_LOAD_BALANCER_IPS: address}

    def pinned_address(self, service: Manifest) -> str:
        """Return the address that a Service of ours asks for, ``""`` where it asks for none in particular."""
        return fields.annotations_of(service).get(names.METALLB_LOAD_BALANCER_IPS, "")

    def floats_to(self, service: Manifest | None, server: VirtualServer) -> bool:
        """Return whether whoever carries it out says that a Service's address leads to a server's guest."""
        said = condition_of(service or {}, names.FLOATS) or {}
        return said.get("status") == "True" and said.get("message") == floats_message(server.name)

    def service_fields(self) -> dict[str, Any]:
        """Return the fields of a load balancer Service's ``spec`` that depend on who carries it out."""
        # externalTrafficPolicy stays Cluster: the client's own address is kept here anyway, and Local would take one of
        # the node ports for each Service.
        return {"allocateLoadBalancerNodePorts": False}

    def allocated_pool(self, service: Manifest) -> str | None:
        """Return the pool that a Service's address is said to be from, None where nobody says it."""
        return fields.annotations_of(service).get(names.METALLB_ALLOCATED_FROM)

    def address_condition(self, service: Manifest | None) -> Mapping[str, Any]:
        """Return the condition of a Service that says why it has no address, ``{}`` where nobody says it."""
        return condition_of(service or {}, names.ADDRESS_ASSIGNED) or {}

    def template_annotations(self, *, attached_to: str | None) -> dict[str, str]:
        """Return what tells the node whose address the cluster NIC has.

        Args:
            attached_to: The load balancer Service whose address it is; None: one of the guests' range.
        """
        return {names.ATTACH_LOAD_BALANCER: attached_to} if attached_to else {}

    def machine_annotations(self) -> dict[str, str]:
        """Return what virt-controller notes on a VirtualMachine that it has seen: virtctl takes its version from it.

        The node writes it for machines that users made.
        """
        return {names.LATEST_OBSERVED_API_VERSION: "v1", names.STORAGE_OBSERVED_API_VERSION: "v1"}

    def attached_service(self, instance: Manifest | None) -> str | None:
        """Return the Service whose address the cluster NIC of an instance has, None for none."""
        return fields.annotations_of(instance or {}).get(names.ATTACH_LOAD_BALANCER)

    def command(self, server: VirtualServer, verb: Literal["start", "restart", "logs"]) -> str:
        """Return what a person types to start or restart the machine, or to read its console; a start ends a pause."""
        where = "" if server.namespace == _DEFAULT_NAMESPACE else f" -n {server.namespace}"
        return f"vs {verb} {server.name}{where}"

    def image_missing(self, source: PVCSource, images: Sequence[str]) -> str:
        """Say that an image does not exist, and what mends it: another name, or one command for an old manifest.

        The image whose name is most like the one that is asked for comes first; all that there are follow.

        Args:
            source: The claim that is asked for.
            images: NAMESPACE/NAME of the images that there are.
        """
        known = [name.rpartition("/")[2] for name in images]
        image = difflib.get_close_matches(source.name, known, n=1, cutoff=0)[0] if known else "debian"
        wanted = f"{source.namespace}/{source.name}"
        # An administrator types this as root: nothing in it may mean anything to a shell.
        command = shlex.join(["vs", "image", "alias", wanted, image])
        if not known:
            remedy = "there is no image yet: vs image build debian"
            if wanted != f"{names.IMAGE_NAMESPACE}/{image}":
                remedy += f", then {command}"
        elif difflib.get_close_matches(source.name, known, n=1):
            remedy = f"did you mean {image}? (there is {', '.join(known)})"
        else:
            remedy = f"there is {', '.join(known)}: name one of them"
        remedy += f"; to let the name stand for {image}: {command}" if known else ""
        shown = wanted if wanted.isprintable() else repr(wanted)
        return f"spec.storage.root.source.pvc: image {shown} does not exist: {remedy}"

    def unsupported(self, server: VirtualServer) -> list[str]:
        """Return the fields without which the server would be another one than was asked for: it is not started."""
        return list(obstacles(VIRTUAL_SERVER, written(server)))

    def out_of_range(self, server: VirtualServer) -> list[Fault]:
        """Return what of a server no machine here can have, though its fields have the right form."""
        resources, faults = server.spec.resources, list[Fault]()
        if resources.cpu.count > MOST_CPUS:
            message = f"{resources.cpu.count} processors are asked for, {MOST_CPUS} are allowed: ask for fewer"
            faults.append(Fault("spec.resources.cpu.count", message))
        if resources.memory_bytes < LEAST_MEMORY:
            faults.append(Fault("spec.resources.memory", _too_little(resources.memory)))
        return faults

    def without_effect(self, server: VirtualServer, *, storage_classes: Collection[str]) -> list[str]:
        """Return the fields (or what of them) that have no effect here, though the server runs without them.

        Args:
            server: As decoded.
            storage_classes: Those that the site honours.
        """
        return without_effect(VIRTUAL_SERVER, written(server), served={STORAGE_CLASS: storage_classes})

    def honoured_probe(self, server: VirtualServer, probe: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the probe, None where there is none or the node cannot ask: inside the guest, or by no cluster NIC."""
        if server.spec.network.disable_k8s_networking:
            return None
        return probe if is_asked_from_outside(probe) else None
