"""All about one server on one page: pure, from its objects."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.api.conditions import ConditionType, in_full
from virtualserver.api.remedies import remedy
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from virtualserver.kube.objects import Manifest

__all__ = ["Concern", "DiskState", "Happening", "Objects", "Page", "Port", "page"]

_EVENTS: Final = 8
_DOMAIN: Final = "svc.cluster.local"
_RESTART: Final = re.compile(r"\(restart needed: (.*?)\)(?:;|$)")
"""What the operator says in Ready of what the guest has after its next start."""


@dataclasses.dataclass(frozen=True, slots=True)
class Objects:
    """What there is of a server.

    Attributes:
        server: The VirtualServer.
        machine: Its VirtualMachine, None where there is none.
        instance: Its VirtualMachineInstance, None where there is none.
        disk: The DataVolume of its root disk, None where there is none.
        claim: The claim of that, None where there is none.
        services: Its Services, and those whose address floats to it.
        events: Of all objects that have its name.
    """

    server: Manifest
    machine: Manifest | None = None
    instance: Manifest | None = None
    disk: Manifest | None = None
    claim: Manifest | None = None
    services: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """A port at which others reach a server.

    Attributes:
        service: The Service that publishes it.
        address: The address.
        protocol: ``TCP`` or ``UDP``.
        port: The number.
        answer: What came of asking it, in words; ``""`` where nobody did.
    """

    service: str
    address: str
    protocol: str
    port: int
    answer: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class DiskState:
    """The root disk.

    Attributes:
        name: Of its DataVolume.
        size: As the manifest asks for it.
        has: As it is; ``""`` where it is not there yet.
        source: The image, as NAMESPACE/NAME.
        state: ``made``, or the DataVolume's phase, and why where it has a reason.
        ephemeral: Whether each start begins from the image again.
    """

    name: str
    size: str
    has: str
    source: str
    state: str
    ephemeral: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Concern:
    """A condition that is not as one wishes.

    Attributes:
        type: The condition's.
        status: The same.
        reason: The same.
        message: The same.
        remedy: What to do next; ``""`` where the message says it, or waiting is all.
    """

    type: str
    status: str
    reason: str
    message: str
    remedy: str


@dataclasses.dataclass(frozen=True, slots=True)
class Happening:
    """An Event.

    Attributes:
        time: When it was last, in RFC 3339.
        count: How often.
        type: ``Normal`` or ``Warning``.
        reason: One word.
        about: The object, as KIND/NAME.
        message: A sentence.
    """

    time: str
    count: int
    type: str
    reason: str
    about: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """All about one server.

    Attributes:
        name: Its name.
        namespace: Its namespace.
        uid: Of this very server: another one of its name has another.
        status: Of its Ready condition.
        reason: The same.
        message: The same.
        since: When Ready changed last, in RFC 3339.
        runs_since: When its guest was started; ``""`` where it does not run.
        run_strategy: What becomes of the guest when it ends.
        addresses: By what they are: ``external``, ``internal`` (the guest's own), ``service``, ``floating``.
        ports: What is published.
        names: The DNS names that other servers know it by.
        users: Whom it lets log in.
        disk: Its root disk.
        restart_needed: The fields that the guest has after its next start.
        concerns: What is not as one wishes, Ready first.
        events: The last ones, the oldest first.
    """

    name: str
    namespace: str
    uid: str
    status: str
    reason: str
    message: str
    since: str
    runs_since: str
    run_strategy: str
    addresses: Mapping[str, str]
    ports: tuple[Port, ...]
    names: tuple[str, ...]
    users: tuple[str, ...]
    disk: DiskState
    restart_needed: tuple[str, ...]
    concerns: tuple[Concern, ...]
    events: tuple[Happening, ...]

    @property
    def runs(self) -> bool:
        """Whether its guest runs."""
        return bool(self.runs_since)


def page(objects: Objects, *, where: str = "") -> Page:
    """Return the page; nobody has asked the ports yet.

    Args:
        objects: What there is of the server.
        where: The option that names its namespace in commands, with a space before it; ``""`` for none.
    """
    server, instance = objects.server, objects.instance or {}
    name, namespace = server["metadata"]["name"], server["metadata"]["namespace"]
    ready = condition_of(server, ConditionType.READY) or {}
    told = in_full(fields.items(server, "status", "conditions"))
    restart = _RESTART.search(told)
    runs = fields.status_of(instance).get("phase") == "Running"
    return Page(
        name=name,
        namespace=namespace,
        uid=str(server["metadata"]["uid"]),
        status=str(ready.get("status") or "Unknown"),
        reason=str(ready.get("reason") or "Initializing"),
        message=told,
        since=str(ready.get("lastTransitionTime") or ""),
        runs_since=str(instance["metadata"]["creationTimestamp"]) if runs else "",
        run_strategy=str(fields.mapping(objects.machine or server, "spec").get("runStrategy") or ""),
        addresses=dict(_addresses(server)),
        ports=tuple(_ports(objects.services)),
        names=tuple(_names(objects.services, server)),
        users=tuple(str(user.get("username")) for user in fields.items(server, "spec", "users")),
        disk=_disk(objects),
        restart_needed=tuple(restart[1].split(", ")) if restart else (),
        concerns=tuple(_concerns(server, name, where)),
        events=tuple(_happenings(objects.events))[-_EVENTS:],
    )


def _names(services: Iterable[Manifest], server: Manifest) -> Iterator[str]:
    """Yield the names of the server's own Services; a name of one whose address floats means that Service."""
    for service in services:
        if fields.labels_of(service).get(names.UID) == server["metadata"]["uid"]:
            yield f"{service['metadata']['name']}.{service['metadata']['namespace']}.{_DOMAIN}"


def _addresses(server: Manifest) -> Iterator[tuple[str, str]]:
    network = fields.mapping(server, "status", "network")
    for what in ("external", "internal", "service"):
        if address := network.get(f"{what}IP"):
            yield what, str(address)
    if floating := fields.mapping(network, "floatingIPs"):
        yield "floating", ", ".join(str(address) for address in floating.values())


def _ports(services: Iterable[Manifest]) -> Iterator[Port]:
    """Yield what load balancers publish; direct attach and floating addresses have ports that mean nothing."""
    for service in services:
        if not fields.mapping(service, "spec", "selector"):
            continue
        for address in fields.load_balancer_addresses(service):
            for port in fields.items(service, "spec", "ports"):
                name, protocol = service["metadata"]["name"], str(port.get("protocol") or "TCP")
                yield Port(name, address, protocol, int(port["port"]))


def _disk(objects: Objects) -> DiskState:
    root = fields.mapping(objects.server, "spec", "storage", "root")
    source = fields.mapping(root, "source", "pvc")
    made = fields.status_of(objects.disk or {})
    why = condition_of(objects.disk or {}, "Ready") or {}
    told = str(why.get("message") or "") if why.get("status") != "True" else ""
    phase = str(made.get("phase") or "to be made")
    state = "made" if phase == "Succeeded" else f"{phase} {made.get('progress') or ''}".rstrip()
    return DiskState(
        name=objects.server["metadata"]["name"],
        size=str(root.get("size") or ""),
        has=str(fields.mapping(objects.claim or {}, "status", "capacity").get("storage") or ""),
        source="/".join(str(source.get(part) or "") for part in ("namespace", "name")) if source else "",
        state=f"{state}: {told}" if told else state,
        ephemeral=root.get("ephemeral") is True,
    )


def _concerns(server: Manifest, name: str, where: str) -> Iterator[Concern]:
    """Yield the conditions that are not True; what two of them say alike is said once."""
    said: set[str] = set()
    conditions = fields.items(server, "status", "conditions")
    for condition in conditions:
        reason, message = str(condition.get("reason") or ""), str(condition.get("message") or "")
        if condition.get("type") == ConditionType.READY:
            message = in_full(conditions)
        if condition.get("status") == "True" or {reason, message} & said:
            continue
        said |= {reason, message}
        next_step = remedy(reason, message, name=name, where=where)
        yield Concern(str(condition["type"]), str(condition.get("status")), reason, message, next_step)


def _happenings(events: Iterable[Manifest]) -> Iterator[Happening]:
    found = [_happening(event) for event in events]
    yield from sorted(found, key=lambda one: one.time)


def _happening(event: Manifest) -> Happening:
    about: Mapping[str, Any] = fields.mapping(event, "involvedObject")
    return Happening(
        time=str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]),
        count=int(event.get("count") or 1),
        type=str(event.get("type") or "Normal"),
        reason=str(event.get("reason") or ""),
        about=f"{about.get('kind')}/{about.get('name')}",
        message=str(event.get("message") or ""),
    )
