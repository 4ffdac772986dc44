"""The fields of a DataVolume, and of a PersistentVolumeClaim that none made. Source: CDI API v1beta1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api.support.field import Effect, Field, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["DATA_VOLUME", "PERSISTENT_VOLUME_CLAIM", "served_classes"]

_FORMS: Final = ("spec.storage", "spec.pvc")
"""Where a DataVolume describes its claim: either way."""
_SOURCES: Final = ("blank", "gcs", "http", "imageio", "registry", "s3", "snapshot", "upload", "vddk")


def served_classes(classes: Collection[str]) -> dict[str, Collection[str]]:
    """Return what `field.without_effect` is to know of the storage classes that a place serves."""
    return {f"{form}.storageClassName": classes for form in _FORMS}


def _claim(form: str) -> Iterator[Field]:
    yield Field(f"{form}.accessModes[]", Effect.NAMED, "one machine has it", usual=("ReadWriteOnce",))
    yield Field(
        f"{form}.resources.requests",
        Effect.NEXT_START,
        "`storage`: more of it grows the disk before its machine's next start",
        refused="`storage`: less than before, once the disk is made: a disk never shrinks; more than 64 characters",
    )
    yield Field(f"{form}.resources.limits", Effect.NAMED)
    yield Field(f"{form}.storageClassName", Effect.NAMED, "any is accepted; those that `site.yaml` lists are served")
    yield Field(f"{form}.volumeMode", Effect.NAMED, "the guest has a disk in either mode", usual=("Block",))


DATA_VOLUME: Final[Table] = (
    Field("spec.contentType", Effect.NAMED, usual=("", "kubevirt")),
    Field("spec.finalCheckpoint", Effect.NAMED),
    Field("spec.preallocation", Effect.NAMED, "disks are thin"),
    Field("spec.priorityClassName", Effect.NAMED, "no pod makes it"),
    Field(
        "spec.source.pvc",
        Effect.NEW_MACHINE,
        "an image of `vs image list`, or a disk of the namespace, which is copied",
        refused="a claim of another namespace that its user may not clone; another source once the disk is made",
    ),
    *(Field(f"spec.source.{kind}", Effect.OBSTACLE, even_empty=True) for kind in _SOURCES),
    *(field for form in _FORMS for field in _claim(form)),
)

PERSISTENT_VOLUME_CLAIM: Final[Table] = (
    Field(
        "spec",
        Effect.OBSTACLE,
        "no disk is made for a claim alone: make a DataVolume, which makes its claim",
        even_empty=True,
    ),
)
