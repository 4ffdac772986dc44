"""The rules between a VirtualServer's fields: the same ones that the CRD and its policy hold at apply.

They are here a second time for objects that are older than the rules, and for clients that want all faults before
they send anything; a property test against the real kube-apiserver keeps the two equal. What a rule says of one
field names that field, its value, the reason and the remedy.

Source: the seed document, and "Refused at apply" in the agreements on this API.
"""

from __future__ import annotations

import collections
import ipaddress
import re
from typing import TYPE_CHECKING, Final

from virtualserver.api import names, quantity
from virtualserver.api.faults import Fault
from virtualserver.api.virtualserver import DNSPolicy, Network, SecretKey, Spec, VirtualServer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

__all__ = ["CLOUD_INIT_LIMIT", "validate"]

CLOUD_INIT_LIMIT: Final = 900 * 1024
"""Bytes of ``cloudInit``: with the users it must fit in a Secret of 1 MiB."""

_MOST: Final = 10
"""Items in each list of ports, and VPCs."""

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SECRET_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{2}){5}|[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def validate(server: VirtualServer, *, old: VirtualServer | None = None) -> list[Fault]:
    """Return everything that is wrong with a server, in the order of its fields; nothing is looked up.

    Args:
        server: As decoded: its fields exist and have the right types.
        old: What the server was before a change, None for a new one.
    """
    spec = server.spec
    return [
        *_name(server.metadata.name),
        *_resources(spec),
        *_storage(spec, old.spec if old else None),
        *_users(spec),
        *_network(spec.network),
        *_guest(spec),
    ]


def _name(name: str) -> Iterator[Fault]:
    if len(name) > names.NAME_LIMIT:
        yield Fault(
            "metadata.name",
            f"{name!r} has {len(name)} characters, {names.NAME_LIMIT} are allowed, because Services are named after "
            "the server: choose a shorter name",
        )
    if not _DNS_LABEL.fullmatch(name):
        yield Fault(
            "metadata.name",
            f"{name!r} is no DNS label that a Service can be named after: use lower-case letters, digits and dashes, "
            "beginning and ending with a letter or digit",
        )


def _resources(spec: Spec) -> Iterator[Fault]:
    resources = spec.resources
    for kind, count in (("cpu", resources.cpu.count), ("gpu", resources.gpu and resources.gpu.count)):
        if count is not None and count < 1:
            yield Fault(f"spec.resources.{kind}.count", f"{count} is less than 1: ask for at least one")
    if resources.cpu.type and resources.gpu and resources.gpu.type:
        yield Fault(
            "spec.resources",
            f"cpu.type {resources.cpu.type!r} and gpu.type {resources.gpu.type!r} exclude each other, because the GPU "
            "decides the machine: remove one",
        )
    yield from _quantity("spec.resources.memory", resources.memory)


def _quantity(path: str, value: str | int | None) -> Iterator[Fault]:
    if value is None:
        return
    try:
        amount = quantity.parse(value)
    except quantity.QuantityError as error:
        yield Fault(path, str(error))
    else:
        if amount <= 0:
            yield Fault(path, f"{value!r} is not more than nothing: write an amount such as 8Gi")


def _storage(spec: Spec, old: Spec | None) -> Iterator[Fault]:
    root = spec.storage.root
    size_faults = list(_quantity("spec.storage.root.size", root.size))
    yield from size_faults
    if old is not None and not size_faults and _shrinks(old.storage.root.size, root.size):
        yield Fault(
            "spec.storage.root.size",
            f"{root.size!r} is less than the {old.storage.root.size!r} that the disk has, and a disk cannot shrink: "
            "keep the size, or make a new server",
        )
    if len(root.source.kinds) != 1:
        given = ", ".join(root.source.kinds) or "none"
        yield Fault("spec.storage.root.source", f"{given} given: name exactly one source, such as pvc")
    if root.source.pvc is not None:
        yield from _object_name("spec.storage.root.source.pvc.name", root.source.pvc.name)
        yield from _namespace_name("spec.storage.root.source.pvc.namespace", root.source.pvc.namespace)
    if root.ephemeral and root.source.pvc is None:
        yield Fault(
            "spec.storage.root.ephemeral",
            "true needs a pvc source, because only a claim can lie under an ephemeral disk: use source.pvc, or remove "
            "ephemeral",
        )
    yield from _quantity("spec.storage.swap", spec.storage.swap)


def _shrinks(old: str | int, new: str | int) -> bool:
    try:
        return quantity.parse(new) < quantity.parse(old)
    except quantity.QuantityError:
        return False


def _users(spec: Spec) -> Iterator[Fault]:
    for index, user in enumerate(spec.users):
        path = f"spec.users[{index}]"
        if not user.username:
            yield Fault(f"{path}.username", "is empty: name the user")
        if user.password and user.password_secret_ref:
            yield Fault(path, "password and passwordSecretRef exclude each other: remove the password")
        yield from _secret(f"{path}.passwordSecretRef", user.password_secret_ref)
        yield from _secret(f"{path}.sshPublicKeysSecretRef", user.ssh_public_keys_secret_ref)


def _secret(path: str, reference: SecretKey | None) -> Iterator[Fault]:
    if reference is None:
        return
    if not reference.name:
        yield Fault(f"{path}.name", "is empty: name a Secret of this namespace")
    else:
        yield from _object_name(f"{path}.name", reference.name)
    if reference.key and not _SECRET_KEY.fullmatch(reference.key):
        message = "is no key that a Secret can have: use letters, digits, dashes, dots and underscores"
        yield Fault(f"{path}.key", f"{_short(reference.key)} {message}")


def _object_name(path: str, name: str) -> Iterator[Fault]:
    if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        message = (
            "is no name that an object can have: use lower-case letters, digits, dashes and dots, beginning and ending "
            "with a letter or digit"
        )
        yield Fault(path, f"{_short(name)} {message}")


def _namespace_name(path: str, name: str) -> Iterator[Fault]:
    if not names.DNS_LABEL.fullmatch(name):
        message = (
            "is no name that a namespace can have: use at most 63 lower-case letters, digits and dashes, beginning and "
            "ending with a letter or digit"
        )
        yield Fault(path, f"{_short(name)} {message}")


def _short(text: str) -> str:
    """Return a text in quotes, which may be of any length."""
    return repr(text if len(text) <= 100 else f"{text[:100]}...")


def _network(network: Network) -> Iterator[Fault]:
    path = "spec.network"
    if network.direct_attach and (network.tcp.ports or network.udp.ports):
        yield Fault(
            path,
            f"{_ports_given(network)} may not be set with directAttachLoadBalancerIP, because direct attach "
            "lets every port in: remove the ports, or directAttachLoadBalancerIP",
        )
    for protocol, ports in (("tcp", network.tcp.ports), ("udp", network.udp.ports)):
        yield from _ports(f"{path}.{protocol}.ports", ports)
    yield from _floating(network)
    yield from _mac(network.mac_address)
    if network.dns_policy is DNSPolicy.NONE and not network.dns_config.get("nameservers"):
        yield Fault(
            f"{path}.dnsPolicy",
            "None needs dnsConfig.nameservers, because the guest would have no resolver: add nameservers, or choose "
            "another policy",
        )
    yield from _most(f"{path}.vpcs", [vpc.name for vpc in network.vpcs], "VPC")
    for index, vpc in enumerate(network.vpcs):
        if not vpc.name:
            yield Fault(f"{path}.vpcs[{index}].name", "is empty: name a VPC")
        elif not names.DNS_SUBDOMAIN.fullmatch(vpc.name):
            yield Fault(
                f"{path}.vpcs[{index}].name",
                f"{vpc.name!r} is no name of a NetworkAttachmentDefinition: use lower-case letters, digits, dashes and "
                "dots; a VPC is one of the server's own namespace",
            )
    yield from _without_cluster_network(network)


def _ports_given(network: Network) -> str:
    given = (("tcp.ports", network.tcp.ports), ("udp.ports", network.udp.ports))
    return " and ".join(f"{field} {list(ports)}" for field, ports in given if ports)


def _ports(path: str, ports: tuple[int, ...]) -> Iterator[Fault]:
    for index, port in enumerate(ports):
        if not 1 <= port <= 65535:
            yield Fault(f"{path}[{index}]", f"{port} is no port: use 1 to 65535")
    yield from _most(path, ports, "port")


def _most(path: str, items: Iterable[Hashable], word: str) -> Iterator[Fault]:
    counted = collections.Counter(items)
    if (total := counted.total()) > _MOST:
        yield Fault(path, f"{total} {word}s are given, {_MOST} are allowed: remove some")
    repeated = sorted(str(item) for item, count in counted.items() if count > 1)
    if repeated:
        yield Fault(path, f"{', '.join(repeated)} repeated: name each {word} once")


def _floating(network: Network) -> Iterator[Fault]:
    for index, item in enumerate(network.floating_ips):
        is_text = isinstance(item, str)
        name = item if is_text else item.get("serviceName") if len(item) == 1 else None
        if not isinstance(name, str) or not _is_floating(name, literal=is_text):
            yield Fault(
                f"spec.network.floatingIPs[{index}]",
                f"{item!r} is no floating address: write {{serviceName: NAME}}, the bare NAME of a Service of this "
                "namespace, or an IPv4 or IPv6 address",
            )


def _is_floating(text: str, *, literal: bool) -> bool:
    if names.DNS_LABEL.fullmatch(text):
        return True
    if not literal or "%" in text:
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped)


def _mac(mac: str | None) -> Iterator[Fault]:
    if not mac:
        return
    if not _MAC.fullmatch(mac):
        reason = "is no MAC address: write it like A2-1F-EE-09-06-5D or a2:1f:ee:09:06:5d"
    elif mac[1].lower() not in "26ae":
        reason = "is not local unicast, so it could be another device's: make its second digit 2, 6, a or e"
    else:
        return
    yield Fault("spec.network.macAddress", f"{mac!r} {reason}, or leave it out and one is derived")


def _without_cluster_network(network: Network) -> Iterator[Fault]:
    if not network.disable_k8s_networking:
        return
    needing = {
        "tcp.ports": network.tcp.ports,
        "udp.ports": network.udp.ports,
        "directAttachLoadBalancerIP": network.direct_attach,
        "headless": network.headless,
        "floatingIPs": network.floating_ips,
    }
    given = ", ".join(field for field, value in needing.items() if value)
    if given:
        yield Fault(
            "spec.network",
            f"disableK8sNetworking leaves no cluster NIC, which {given} would need: remove one of the two",
        )


def _guest(spec: Spec) -> Iterator[Fault]:
    if spec.cloud_init and spec.cloud_init_secret_ref:
        yield Fault("spec", "cloudInit and cloudInitSecretRef exclude each other: remove one")
    yield from _secret("spec.cloudInitSecretRef", spec.cloud_init_secret_ref)
    size = len(spec.cloud_init.encode())
    if size > CLOUD_INIT_LIMIT:
        yield Fault(
            "spec.cloudInit",
            f"has {size} bytes, {CLOUD_INIT_LIMIT} are allowed, because it must fit in a Secret beside the users: "
            "let the guest fetch the rest itself",
        )
    for field, value in (("uuid", spec.firmware.uuid), ("serial", spec.firmware.serial)):
        if value and not _UUID.fullmatch(value):
            yield Fault(
                f"spec.firmware.{field}",
                f"{value!r} is no lower-case UUID: write it like 5d307ca9-b3ef-428c-8861-06e72d69f223",
            )
    grace = spec.termination_grace_period_seconds
    if grace is not None and grace < 0:
        yield Fault("spec.terminationGracePeriodSeconds", f"{grace} is negative: use 0 or more seconds")
