"""Images are claims in the namespace ``vd-images``, so that manifests name them as on a cluster.

The store holds the bytes, a PersistentVolumeClaim the name; ``docs/architecture.md`` has the annotations.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import shutil
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.controlplane import site
from virtualserver.installation import lock
from virtualserver.kube.fields import annotations_of
from virtualserver.local import making
from virtualserver.local.aliases import grants
from virtualserver.local.errors import ConflictError, LocalError, MissingError
from virtualserver.local.kubectl import Kubectl
from virtualserver.storage import builds, disks, images
from virtualserver.storage.builds import debian_network

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation
    from virtualserver.local.report import Report

__all__ = [
    "KINDS",
    "RELEASES",
    "DiskSource",
    "NamedImage",
    "add",
    "alias",
    "build",
    "claim",
    "collect",
    "is_there",
    "listed",
    "make",
    "named_by",
    "remove",
    "store_of",
]

KINDS: Final = ("busybox", "debian")
"""The images that `build` can make."""

RELEASES: Final = tuple(debian_network.RELEASES)
"""The releases that an image of the kind ``debian`` can have."""


@dataclasses.dataclass(frozen=True, slots=True)
class NamedImage:
    """A name that manifests use, and the image that it stands for.

    Attributes:
        name: The claim's name.
        namespace: The claim's namespace.
        digest: The image's digest; ``""`` where it is not made yet.
        alias_of: ``NAMESPACE/NAME`` of the claim that it is another name of; ``""`` for an image's own.
        image: The image; None where the store does not have it, or does not have it any more.
        progress: How far it is while it is being made, in words; ``""`` for one that nobody makes.
    """

    name: str
    namespace: str
    digest: str
    alias_of: str
    image: images.Image | None
    progress: str = ""

    @property
    def is_abandoned(self) -> bool:
        """Whether whoever made it is gone."""
        return self.progress == names.IMAGE_ABANDONED


@dataclasses.dataclass(frozen=True, slots=True)
class DiskSource:
    """Files that an image is made of.

    Attributes:
        disk: A raw or qcow2 disk.
        kernel: Booted directly; None: the guest boots from its disk.
        initrd: Beside the kernel.
        command_line: The kernel's.
        description: One sentence for people.
    """

    disk: Path
    kernel: Path | None = None
    initrd: Path | None = None
    command_line: str = ""
    description: str = ""


def store_of(installation: Installation) -> images.ImageStore:
    """Return the store of an installation's images."""
    return images.ImageStore(installation.images)


def claim(
    name: str, image: images.Image, *, namespace: str = names.IMAGE_NAMESPACE, alias_of: str = ""
) -> dict[str, Any]:
    """Return the claim that gives an image a name.

    Args:
        name: The claim's name, a DNS label.
        image: What it stands for.
        namespace: Where manifests look for it.
        alias_of: ``NAMESPACE/NAME`` of the claim that it is another name of; ``""`` for an image's own.
    """
    annotations = {names.IMAGE: image.digest}
    if alias_of:
        annotations[names.ALIAS_OF] = alias_of
    if image.modules is not None:
        annotations[names.CLOUD_INIT_MODULES] = ",".join(image.modules)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "volumeMode": "Block",
            "storageClassName": "",
            "resources": {"requests": {"storage": str(image.virtual_size)}},
        },
    }


def is_there(kubectl: Kubectl, name: str) -> bool:
    """Return whether manifests can use an image of that name."""
    return names.IMAGE in annotations_of(kubectl.get("pvc", name, namespace=names.IMAGE_NAMESPACE) or {})


def build(
    installation: Installation, kind: str, *, release: str | None = None, name: str, report: Report
) -> NamedImage:
    """Build an image from the distribution's packages, add it to the store and give it its name.

    Args:
        installation: Whose store.
        kind: One of `KINDS`.
        release: One of `RELEASES`, of the kind ``debian`` only; None: that of this machine.
        name: What manifests call it.
        report: Told each step.

    Raises:
        ConflictError: The name is taken by something else.
        LocalError: The API server does not answer, or a step of the build failed; the store is as it was.
    """
    kubectl = Kubectl(installation)
    with lock.held(installation, report.once), report.step(f"Image {name}") as update:
        return make(installation, kubectl, kind, release=release, name=name, update=update)


def make(
    installation: Installation, kubectl: Kubectl, kind: str, *, release: str | None = None, name: str, update: Update
) -> NamedImage:
    """Do what `build` does, as a step of something longer that holds the installation's lock."""
    _present(kubectl, names.IMAGE_NAMESPACE, name)  # before minutes of work
    installation.create()
    store = store_of(installation)
    with making.claimed(kubectl, store, name):
        with making.telling(kubectl, name, update) as tell:
            image = _built(installation.image_build, store, kind, release=release, name=name, update=tell)
        return _named(kubectl, claim(name, image), image)


def _built(
    workdir: Path, store: images.ImageStore, kind: str, *, release: str | None, name: str, update: Update
) -> images.Image:
    """Build an image and add it to the store."""
    try:
        builder = importlib.import_module(f"{builds.__name__}.{kind}")
        chosen = {} if release is None else {"release": release}
        built = asyncio.run(builder.build(workdir, progress=update, **chosen))
        update("adding it to the store", None)
        return store.add(
            disk=built.disk,
            kernel=built.kernel,
            initrd=built.initrd,
            command_line=built.command_line,
            name=name,
            description=built.description,
            modules=built.modules,
        )
    except builds.ImageBuildError as error:
        again = f"vs image build {kind}" + ("" if release is None else f" --release {release}")
        raise LocalError(f"image {kind!r}: {error}", remedy=f"Try again: {again}") from error
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def add(installation: Installation, source: DiskSource, *, name: str, report: Report) -> NamedImage:
    """Add an image to the store and give it its name.

    Raises:
        ConflictError: The name is taken by something else.
        ImageError: The disk is refused.
    """
    kubectl = Kubectl(installation)
    store = store_of(installation)
    with lock.held(installation, report.once), report.step(f"Image {name}") as update:
        _present(kubectl, names.IMAGE_NAMESPACE, name)
        with making.claimed(kubectl, store, name):
            with making.telling(kubectl, name, update) as tell:
                image = store.add(**dataclasses.asdict(source), name=name, progress=tell)
            return _named(kubectl, claim(name, image), image)


def listed(installation: Installation) -> list[NamedImage]:
    """Return the images and their other names."""
    stored = {image.digest: image for image in store_of(installation).all()}
    namespaces = {names.IMAGE_NAMESPACE, *site.look(installation).site.image_namespaces}
    return named_by(Kubectl(installation).list("pvc"), stored, namespaces=namespaces)


def named_by(
    claims: Iterable[dict[str, Any]],
    stored: Mapping[str, images.Image],
    *,
    namespaces: Container[str] = frozenset({names.IMAGE_NAMESPACE}),
) -> list[NamedImage]:
    """Return the images and other names that claims stand for, and the images that are being made: pure.

    An annotation alone says nothing, since who owns a claim may have written it. A claim of a namespace of images
    counts; one elsewhere counts as another name of such a claim, where it stands for an image of the store: for an
    older one than that claim where nobody could give it the new one.

    Args:
        claims: Of all namespaces.
        stored: The store's images by digest.
        namespaces: Those of images.
    """
    marked = [claim for claim in claims if making.is_of_image(claim)]
    found = [_of_claim(claim, stored.get(annotations_of(claim).get(names.IMAGE, ""))) for claim in marked]
    own = {f"{one.namespace}/{one.name}" for one in found if one.namespace in namespaces}
    return [one for one in found if one.namespace in namespaces or (one.image is not None and one.alias_of in own)]


def alias(installation: Installation, image: str, *, namespace: str, name: str) -> None:
    """Give an image another name, so that manifests that name another source use it.

    Raises:
        MissingError: There is no such image.
        ConflictError: The name is taken by something that is no other name of an image.
    """
    kubectl = Kubectl(installation)
    stored = _stored(installation, kubectl, image)
    present = kubectl.get("pvc", name, namespace=namespace)
    if present is not None and names.ALIAS_OF not in present["metadata"].get("annotations", {}):
        raise ConflictError(
            f"a claim {namespace}/{name} is there already, and is no alias.",
            remedy=f"Choose another name, or delete that claim: kubectl delete pvc {name} -n {namespace}",
        )
    if not kubectl.run("get", "namespace", namespace, "-o", "name", "--ignore-not-found").strip():
        kubectl.run("create", "namespace", namespace)
    _make_claim(kubectl, claim(name, stored, namespace=namespace, alias_of=f"{names.IMAGE_NAMESPACE}/{image}"))
    if granted := grants(name, namespace=namespace):
        kubectl.apply(granted)


def remove(installation: Installation, image: str, *, report: Report) -> None:
    """Remove an image and its other names, or what is left of one that was not made to its end.

    Disks that were cloned from it keep working.

    Raises:
        MissingError: There is no such image.
    """
    kubectl = Kubectl(installation)
    _known(kubectl, image)  # a wrong name is said at once, whoever else is at work
    with lock.held(installation, report.once):
        source = f"{names.IMAGE_NAMESPACE}/{image}"
        for c in kubectl.list("pvc"):
            metadata = c["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            if key == source or metadata.get("annotations", {}).get(names.ALIAS_OF) == source:
                kubectl.run("delete", "pvc", metadata["name"], "-n", metadata["namespace"])
                for granted in grants(metadata["name"], namespace=metadata["namespace"]):
                    named = (granted["kind"], granted["metadata"]["name"], "-n", metadata["namespace"])
                    kubectl.run("delete", *named, "--ignore-not-found")
        collect(installation, kubectl)


def collect(installation: Installation, kubectl: Kubectl) -> None:
    """Remove images from the store that no claim names and no server's disk lies over."""
    annotations = [c["metadata"].get("annotations", {}) for c in kubectl.list("pvc")]
    # A disk's claim comes before the disk itself.
    named = {one.get(key) for one in annotations for key in (names.IMAGE, names.BASE_IMAGE)}
    bases = set(disks.DiskStore(installation.disks).bases().values())
    store = store_of(installation)
    for digest, disk in store.disks().items():
        if digest not in named and disk not in bases:
            store.remove(digest)


def _stored(installation: Installation, kubectl: Kubectl, name: str) -> images.Image:
    digest = _known(kubectl, name).get(names.IMAGE)
    if digest is None:
        raise MissingError(f"image {name!r} is not made yet.", remedy="`vs image list` shows how far it is.")
    return store_of(installation).get(digest)


def _known(kubectl: Kubectl, name: str) -> Mapping[str, str]:
    """Return the annotations of an image's claim."""
    present = kubectl.get("pvc", name, namespace=names.IMAGE_NAMESPACE)
    if present is None or not making.is_of_image(present):
        raise MissingError(
            f"there is no image {name!r} in {names.IMAGE_NAMESPACE}.",
            remedy="See `vs image list`; make one with `vs image build debian` or `vs image add`.",
        )
    return annotations_of(present)


def _present(kubectl: Kubectl, namespace: str, name: str) -> dict[str, Any] | None:
    """Return the claim of an image's name, or of one that is being made, None where the name is free.

    Raises:
        ConflictError: Something that is no image has the name.
    """
    present = kubectl.get("pvc", name, namespace=namespace)
    if present is not None and not making.is_of_image(present):
        raise ConflictError(
            f"a claim {namespace}/{name} is there already, and is no image.",
            remedy=f"Choose another name, or delete that claim: kubectl delete pvc {name} -n {namespace}",
        )
    return present


def _make_claim(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    """Make a claim; one of the same name for another image is replaced, since a claim's size cannot shrink."""
    metadata = manifest["metadata"]
    present = _present(kubectl, metadata["namespace"], metadata["name"])
    if present and annotations_of(present).get(names.IMAGE) != metadata["annotations"][names.IMAGE]:
        kubectl.run("delete", "pvc", metadata["name"], "-n", metadata["namespace"])
    kubectl.apply([manifest])
    kubectl.run(
        "patch",
        "pvc",
        metadata["name"],
        "-n",
        metadata["namespace"],
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status": {"phase": "Bound"}}',
    )


def _named(kubectl: Kubectl, manifest: dict[str, Any], image: images.Image) -> NamedImage:
    _make_claim(kubectl, manifest)
    _renew_aliases(kubectl, manifest["metadata"]["name"], image)
    return _of_claim(manifest, image)


def _renew_aliases(kubectl: Kubectl, name: str, image: images.Image) -> None:
    """Have the other names of an image that is made again stand for the new one: the node asks them alone."""
    source = f"{names.IMAGE_NAMESPACE}/{name}"
    for found in kubectl.list("pvc"):
        metadata, annotations = found["metadata"], annotations_of(found)
        if annotations.get(names.ALIAS_OF) == source and annotations.get(names.IMAGE, image.digest) != image.digest:
            key = metadata["name"], metadata["namespace"]
            _make_claim(kubectl, claim(key[0], image, namespace=key[1], alias_of=source))


def _of_claim(manifest: dict[str, Any], image: images.Image | None) -> NamedImage:
    metadata = manifest["metadata"]
    annotations = metadata["annotations"]
    return NamedImage(
        name=metadata["name"],
        namespace=metadata["namespace"],
        digest=annotations.get(names.IMAGE, ""),
        alias_of=annotations.get(names.ALIAS_OF, ""),
        image=image,
        progress=annotations.get(names.IMAGE_PROGRESS, ""),
    )
