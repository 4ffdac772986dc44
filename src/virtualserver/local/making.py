"""Shows in the API that an image is being made: its claim is there from the beginning, and says how far it is.

Whoever makes an image holds the store's lock of its name meanwhile. Where the lock is free and the claim still says
that it is being made, its maker is gone: the node sees that, and says so on the claim.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.host.progress import repeating
from virtualserver.kube.fields import annotations_of
from virtualserver.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from virtualserver.host.progress import Update
    from virtualserver.local.kubectl import Kubectl
    from virtualserver.storage.images import ImageStore

__all__ = ["claimed", "is_of_image", "is_unfinished", "progress_of", "telling", "unfinished"]

_WRITE_SECONDS: Final = 2.0
"""How often the claim is written at most."""

_SIZE: Final = "1Mi"
"""Of a claim whose image is being made: the API wants one, and the image's own is known in the end."""


@contextlib.contextmanager
def claimed(kubectl: Kubectl, store: ImageStore, name: str) -> Generator[None]:
    """Have the claim of an image say that it is being made while the body makes it, and gives it its name.

    However the body ends, the claim does not say so any more: an image that was there before stays as it was, and a
    claim that stands for no image goes.

    Args:
        kubectl: Of the installation.
        store: Where the image comes.
        name: The image's.

    Raises:
        LocalError: The API server does not answer; nothing was begun.
    """
    with store.making(name):
        _begin(kubectl, name)
        try:
            yield
        finally:
            # Where the API server is gone, the node does it.
            with contextlib.suppress(LocalError):
                _end(kubectl, name)


@contextlib.contextmanager
def telling(kubectl: Kubectl, name: str, update: Update) -> Generator[Update]:
    """Yield what is told each step, and writes it into the image's claim every two seconds at most.

    Args:
        kubectl: Of the installation.
        name: The image's.
        update: Is told each step too, at once.
    """
    latest = written = ""

    def tell(step: str, share: float | None = None) -> None:
        nonlocal latest
        latest = progress_of(step, share)
        update(step, share)

    def write() -> None:
        nonlocal written
        if latest != written:
            written = latest
            # An image is made all the same where nobody can be told.
            with contextlib.suppress(LocalError):
                _annotate(kubectl, name, f"{names.IMAGE_PROGRESS}={written}", "--overwrite")

    with repeating(write, first=_WRITE_SECONDS, then=_WRITE_SECONDS):
        yield tell


def progress_of(step: str, share: float | None) -> str:
    """Return what a claim says of a step: pure.

    Args:
        step: What is done, in words.
        share: How much of all is done, 0 to 1; None where nobody knows.
    """
    return step if share is None else f"{share:.0%} {step}"


def unfinished(name: str) -> dict[str, Any]:
    """Return the claim of an image that is being made; the API lets no claim shrink, so its image has another one."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": names.IMAGE_NAMESPACE,
            "annotations": {names.IMAGE_PROGRESS: progress_of("begins", 0.0)},
        },
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "volumeMode": "Block",
            "storageClassName": "",
            "resources": {"requests": {"storage": _SIZE}},
        },
    }


def is_of_image(claim: Mapping[str, Any] | None) -> bool:
    """Return whether there is a claim that stands for an image, or for one that is not made yet."""
    return is_unfinished(claim) or names.IMAGE in annotations_of(claim or {})


def is_unfinished(claim: Mapping[str, Any] | None) -> bool:
    """Return whether there is a claim that stands for no image yet, since that is being made, or was not to its end."""
    annotations = annotations_of(claim or {})
    return names.IMAGE_PROGRESS in annotations and names.IMAGE not in annotations


def _begin(kubectl: Kubectl, name: str) -> None:
    present = kubectl.get("pvc", name, namespace=names.IMAGE_NAMESPACE)
    if present is not None and not is_unfinished(present):
        _annotate(kubectl, name, f"{names.IMAGE_PROGRESS}={progress_of('begins', 0.0)}", "--overwrite")
        return
    if present is not None:
        _delete(kubectl, name)  # with what is said of whoever was killed
    kubectl.apply([unfinished(name)])


def _end(kubectl: Kubectl, name: str) -> None:
    present = kubectl.get("pvc", name, namespace=names.IMAGE_NAMESPACE)
    if is_unfinished(present):
        _delete(kubectl, name)
    elif present is not None and names.IMAGE_PROGRESS in annotations_of(present):
        _annotate(kubectl, name, f"{names.IMAGE_PROGRESS}-")


def _annotate(kubectl: Kubectl, name: str, *what: str) -> None:
    kubectl.run("annotate", "pvc", name, "-n", names.IMAGE_NAMESPACE, *what)


def _delete(kubectl: Kubectl, name: str) -> None:
    kubectl.run("delete", "pvc", name, "-n", names.IMAGE_NAMESPACE, "--ignore-not-found")
