"""``vs image``: images are claims in the namespace ``vd-images``, so that manifests name them as on a cluster.

The store holds the bytes, a PersistentVolumeClaim the name; ``docs/architecture.md`` has the annotations.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from virtualserver import controlplane
from virtualserver.api import names
from virtualserver.cli import caller, failures, output, progress
from virtualserver.cli.kubectl import Kubectl
from virtualserver.storage import builds, disks, images

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["build", "claim", "collect", "group", "is_there", "store_of"]

_KINDS = ("busybox", "debian")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


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
    return kubectl.get("pvc", name, namespace=names.IMAGE_NAMESPACE) is not None


def build(
    installation: Installation, kubectl: Kubectl, kind: str, *, name: str, update: progress.Update
) -> images.Image:
    """Build an image, add it to the store and give it its name.

    The caller holds the installation's lock, since all builds share a folder.

    Raises:
        Failure: The name is taken, the API server does not answer, or a step of the build failed; the store is as it
            was.
    """
    _present(kubectl, names.IMAGE_NAMESPACE, name)  # before minutes of work
    installation.create()
    workdir = installation.image_build
    try:
        built = asyncio.run(importlib.import_module(f"{builds.__name__}.{kind}").build(workdir, progress=update))
        update("adding it to the store", None)
        image = store_of(installation).add(
            disk=built.disk,
            kernel=built.kernel,
            initrd=built.initrd,
            command_line=built.command_line,
            name=name,
            description=built.description,
        )
    except builds.ImageBuildError as error:
        raise failures.Failure(f"image {kind!r}: {error}", remedy=f"Try again: vs image build {kind}") from error
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
    _make_claim(kubectl, claim(name, image))
    return image


@click.group("image")
def group() -> None:
    """Make, list and name the images that servers' root disks are cloned from."""


@group.command("build")
@click.argument("kind", type=click.Choice(_KINDS))
@click.option("--name", help="The image's name in manifests; KIND unless given.")
@output.option
@click.pass_obj
def build_command(installation: Installation, kind: str, name: str | None, form: str) -> None:
    """Build an image from the distribution's packages; no image server is needed."""
    caller.require_root(f"vs image build {kind}")
    name = _valid_label(name or kind)
    report = progress.Progress()
    kubectl = Kubectl(installation)
    with controlplane.locked(installation, report.once), report.step(f"Image {name}") as update:
        image = build(installation, kubectl, kind, name=name, update=update)
    _show([_row(claim(name, image), image)], form)


@group.command("add")
@click.argument("disk", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="The image's name in manifests.")
@click.option("--description", default="", help="One sentence for people.")
@click.option("--kernel", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Booted directly.")
@click.option("--initrd", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Beside --kernel.")
@click.option("--command-line", default="", help="Beside --kernel.")
@output.option
@click.pass_obj
def add_command(
    installation: Installation,
    disk: Path,
    name: str,
    description: str,
    kernel: Path | None,
    initrd: Path | None,
    command_line: str,
    form: str,
) -> None:
    """Add a disk image (raw or qcow2) to the store under a name."""
    caller.require_root("vs image add")
    if kernel is None and (initrd or command_line):
        raise click.UsageError("--initrd and --command-line are for a kernel that is booted directly: add --kernel.")
    name = _valid_label(name)
    report = progress.Progress()
    kubectl = Kubectl(installation)
    with controlplane.locked(installation, report.once), report.step(f"Image {name}") as update:
        _present(kubectl, names.IMAGE_NAMESPACE, name)
        update(f"copying {disk}", None)
        image = store_of(installation).add(
            disk=disk, kernel=kernel, initrd=initrd, command_line=command_line, name=name, description=description
        )
        _make_claim(kubectl, claim(name, image))
    _show([_row(claim(name, image), image)], form)


@group.command("list")
@output.option
@click.pass_obj
def list_command(installation: Installation, form: str) -> None:
    """List the images and their other names."""
    stored = {image.digest: image for image in store_of(installation).all()}
    claims = [c for c in Kubectl(installation).list("pvc") if names.IMAGE in c["metadata"].get("annotations", {})]
    _show([_row(c, stored.get(c["metadata"]["annotations"][names.IMAGE])) for c in claims], form)


@group.command("alias")
@click.argument("alias", metavar="NAMESPACE/NAME")
@click.argument("image")
@click.pass_obj
def alias_command(installation: Installation, alias: str, image: str) -> None:
    """Let manifests that name another source use an image of ours: vs image alias vd-images/ubuntu2004 debian."""
    namespace, slash, name = alias.partition("/")
    if not slash:
        raise click.UsageError(f"{alias!r} is no NAMESPACE/NAME; for example vd-images/ubuntu2004-docker-master")
    _valid_label(namespace)
    kubectl = Kubectl(installation)
    stored = _stored(installation, kubectl, image)
    present = kubectl.get("pvc", name, namespace=namespace)
    if present is not None and names.ALIAS_OF not in present["metadata"].get("annotations", {}):
        raise failures.Conflict(
            f"a claim {alias} is there already, and is no alias.", remedy="Choose another name, or remove that claim."
        )
    if not kubectl.run("get", "namespace", namespace, "-o", "name", "--ignore-not-found").strip():
        kubectl.run("create", "namespace", namespace)
    _make_claim(kubectl, claim(name, stored, namespace=namespace, alias_of=f"{names.IMAGE_NAMESPACE}/{image}"))
    click.echo(f"{alias} is another name of {image}")


@group.command("remove")
@click.argument("image")
@click.pass_obj
def remove_command(installation: Installation, image: str) -> None:
    """Remove an image and its other names; disks that were cloned from it keep working."""
    caller.require_root("vs image remove")
    report = progress.Progress()
    kubectl = Kubectl(installation)
    _stored(installation, kubectl, image)  # a wrong name is said at once, whoever else is at work
    with controlplane.locked(installation, report.once):
        source = f"{names.IMAGE_NAMESPACE}/{image}"
        for c in kubectl.list("pvc"):
            metadata = c["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            if key == source or metadata.get("annotations", {}).get(names.ALIAS_OF) == source:
                kubectl.run("delete", "pvc", metadata["name"], "-n", metadata["namespace"])
        collect(installation, kubectl)
    click.echo(f"image {image} is removed")


def collect(installation: Installation, kubectl: Kubectl) -> None:
    """Remove images from the store that no claim names and no server's disk lies over."""
    annotations = [c["metadata"].get("annotations", {}) for c in kubectl.list("pvc")]
    # A disk's claim comes before the disk itself.
    named = {one.get(key) for one in annotations for key in (names.IMAGE, names.BASE_IMAGE)}
    bases = set(disks.DiskStore(installation.disks).bases().values())
    store = store_of(installation)
    for image in store.all():
        if image.digest not in named and image.disk not in bases:
            store.remove(image.digest)


def _stored(installation: Installation, kubectl: Kubectl, name: str) -> images.Image:
    present = kubectl.get("pvc", name, namespace=names.IMAGE_NAMESPACE)
    digest = (present or {}).get("metadata", {}).get("annotations", {}).get(names.IMAGE)
    if digest is None:
        raise failures.NotFound(
            f"there is no image {name!r} in {names.IMAGE_NAMESPACE}.",
            remedy="See `vs image list`; make one with `vs image build debian` or `vs image add`.",
        )
    return store_of(installation).get(digest)


def _present(kubectl: Kubectl, namespace: str, name: str) -> dict[str, Any] | None:
    """Return the claim of an image's name, None where the name is free.

    Raises:
        Conflict: Something that is no image has the name.
    """
    present = kubectl.get("pvc", name, namespace=namespace)
    if present is not None and names.IMAGE not in present["metadata"].get("annotations", {}):
        raise failures.Conflict(
            f"a claim {namespace}/{name} is there already, and is no image.",
            remedy="Choose another name, or remove that claim.",
        )
    return present


def _make_claim(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    """Make a claim; one of the same name for another image is replaced, since a claim's size cannot shrink."""
    metadata = manifest["metadata"]
    present = _present(kubectl, metadata["namespace"], metadata["name"])
    if present and present["metadata"]["annotations"][names.IMAGE] != metadata["annotations"][names.IMAGE]:
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


def _valid_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name: use 1 to 63 lower-case letters, digits and dashes.")
    return name


def _row(c: dict[str, Any], image: images.Image | None) -> dict[str, Any]:
    metadata = c["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "digest": metadata["annotations"][names.IMAGE],
        "aliasOf": metadata["annotations"].get(names.ALIAS_OF, ""),
        "virtualSize": image.virtual_size if image else None,
        "stored": image is not None,
    }


def _show(rows: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        output.as_json(rows)
        return
    output.table(
        ("NAME", "NAMESPACE", "DIGEST", "SIZE", "ALIAS OF"),
        [
            (
                row["name"],
                row["namespace"],
                row["digest"][:19],
                f"{row['virtualSize'] / 2**30:.1f} GiB" if row["stored"] else "missing in the store",
                row["aliasOf"],
            )
            for row in rows
        ],
    )
