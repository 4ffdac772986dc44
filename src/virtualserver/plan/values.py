"""What a plan is made from and made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from virtualserver.api.reasons import Reason

__all__ = ["Apply", "Failure", "Manifest", "Observed", "Plan", "Refusal", "Removal"]

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON; nobody changes one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """The API server refused a write in this pass.

    Attributes:
        kind: The object's kind.
        name: The object's name.
        message: What the API server said.
    """

    kind: str
    name: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """What exists, as far as it matters to one server. None and absence mean that there is no such object.

    Whose an object is, the plan decides: an object of a needed name belongs here even if it is not ours.

    Attributes:
        virtual_machine: Of the server's name.
        virtual_machine_instance: Of the server's name.
        data_volume: Of the server's name.
        claim: The PersistentVolumeClaim of the server's name.
        secret: ``NAME-cloud-init``.
        services: By name: ``NAME``, ``NAME-tcp``, ``NAME-udp``.
        referenced_secrets: By name: Secrets that the manifest refers to.
        source: The PersistentVolumeClaim that the root disk is cloned from.
        images: NAMESPACE/NAME of the images that are known, for messages.
        mac_holder: (namespace, name) of another server that the MAC address belongs to.
        failures: Writes that the API server has just refused.
    """

    virtual_machine: Manifest | None = None
    virtual_machine_instance: Manifest | None = None
    data_volume: Manifest | None = None
    claim: Manifest | None = None
    secret: Manifest | None = None
    services: Mapping[str, Manifest] = dataclasses.field(default_factory=dict[str, Manifest])
    referenced_secrets: Mapping[str, Manifest] = dataclasses.field(default_factory=dict[str, Manifest])
    source: Manifest | None = None
    images: tuple[str, ...] = ()
    mac_holder: tuple[str, str] | None = None
    failures: tuple[Failure, ...] = ()

    def of_kind(self, kind: str, name: str) -> Manifest | None:
        """Return the object that a plan would apply, as it exists; None where it does not."""
        if kind == "Service":
            return self.services.get(name)
        return {"VirtualMachine": self.virtual_machine, "DataVolume": self.data_volume, "Secret": self.secret}[kind]


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object, or the whole server, is not carried out; it stands in the conditions.

    Attributes:
        reason: The condition's reason.
        message: Names the field or object, and says what to do.
        kind: The kind of the object that cannot be applied; ``""``: none is applied.
        name: The name of that object.
    """

    reason: Reason
    message: str
    kind: str = ""
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Apply:
    """One object to be as written.

    Attributes:
        manifest: Everything that we want of the object, and nothing else.
        locked: Fields beside it whose value depends on what was observed: written under an optimistic lock.
    """

    manifest: Manifest
    locked: Manifest = dataclasses.field(default_factory=dict[str, Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Removal:
    """One object of ours to be deleted; the UID is a precondition."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one server.

    Attributes:
        stages: Objects to apply. Those of one stage do not depend on each other; each stage follows the one before.
        removals: Objects to delete after all stages.
        status: The whole ``status``, its conditions without times.
    """

    stages: tuple[tuple[Apply, ...], ...]
    removals: tuple[Removal, ...]
    status: Manifest

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """Every object to apply, in order."""
        return tuple(apply.manifest for stage in self.stages for apply in stage)
