"""``vs image``: makes, lists and names images; `local.images` does it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from virtualserver.cli import output, progress
from virtualserver.local import caller, images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.installation.installation import Installation
    from virtualserver.local.images import NamedImage

__all__ = ["group", "size_in_words"]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("image")
def group() -> None:
    """Make, list and name the images that servers' root disks are cloned from."""


@group.command("build")
@click.argument("kind", type=click.Choice(images.KINDS))
@click.option("--release", type=click.Choice(images.RELEASES), help="Of Debian; the machine's own unless given.")
@click.option("--name", help="The image's name in manifests; KIND, or KIND-RELEASE, unless given.")
@output.option
@click.pass_obj
def build_command(installation: Installation, kind: str, release: str | None, name: str | None, form: str) -> None:
    """Build an image from the distribution's packages; no image server is needed."""
    if release and kind != "debian":
        raise click.UsageError(f"--release is for debian: {kind} has the kernel of the machine's own release.")
    caller.require_root(f"vs image build {kind}")
    name = _valid_label(name or "-".join(filter(None, (kind, release))))
    _show([images.build(installation, kind, release=release, name=name, report=progress.StepPrinter())], form)


@group.command("add")
@click.argument("disk", type=_FILE)
@click.option("--name", required=True, help="The image's name in manifests.")
@click.option("--description", default="", help="One sentence for people.")
@click.option("--kernel", type=_FILE, help="Booted directly.")
@click.option("--initrd", type=_FILE, help="Beside --kernel.")
@click.option("--command-line", default="", help="Beside --kernel.")
@output.option
@click.pass_obj
def add_command(installation: Installation, name: str, form: str, **files: Any) -> None:
    """Add a disk image (raw or qcow2) to the store under a name."""
    caller.require_root("vs image add")
    source = images.DiskSource(**files)
    if source.kernel is None and (source.initrd or source.command_line):
        raise click.UsageError("--initrd and --command-line are for a kernel that is booted directly: add --kernel.")
    _show([images.add(installation, source, name=_valid_label(name), report=progress.StepPrinter())], form)


@group.command("list")
@output.option
@click.pass_obj
def list_command(installation: Installation, form: str) -> None:
    """List the images and their other names."""
    _show(images.listed(installation), form)


@group.command("alias")
@click.argument("alias", metavar="NAMESPACE/NAME")
@click.argument("image")
@click.pass_obj
def alias_command(installation: Installation, alias: str, image: str) -> None:
    """Let manifests that name another source use an image of ours: vs image alias vd-images/ubuntu2004 debian."""
    namespace, slash, name = alias.partition("/")
    if not slash:
        raise click.UsageError(f"{alias!r} is no NAMESPACE/NAME; for example vd-images/ubuntu2004-docker-master")
    images.alias(installation, image, namespace=_valid_label(namespace), name=name)
    output.say(f"{alias} is another name of {image}")


@group.command("remove")
@click.argument("image")
@click.pass_obj
def remove_command(installation: Installation, image: str) -> None:
    """Remove an image and its other names; disks that were cloned from it keep working."""
    caller.require_root("vs image remove")
    images.remove(installation, image, report=progress.StepPrinter())
    output.say(f"image {image} is removed")


def _valid_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name: use 1 to 63 lower-case letters, digits and dashes.")
    return name


def _encode(named: NamedImage) -> dict[str, Any]:
    return {
        "name": named.name,
        "namespace": named.namespace,
        "digest": named.digest,
        "aliasOf": named.alias_of,
        "virtualSize": named.image.virtual_size if named.image else None,
        "stored": named.image is not None,
        "progress": named.progress or None,
    }


def _show(found: Sequence[NamedImage], form: str) -> None:
    if form == "json":
        output.as_json([_encode(named) for named in found])
        return
    rows = [
        (named.name, named.namespace, named.digest[:19], _size(named), named.alias_of, _made(named)) for named in found
    ]
    output.table(("NAME", "NAMESPACE", "DIGEST", "SIZE", "ALIAS OF", "BEING MADE"), rows)


def _size(named: NamedImage) -> str:
    if named.image:
        return size_in_words(named.image.virtual_size)
    return "missing in the store" if named.digest else ""


def _made(named: NamedImage) -> str:
    """Return how far an image is that is being made."""
    remedy = f": make it again, or vs image remove {named.name}" if named.is_abandoned else ""
    return f"{named.progress}{remedy}"


def size_in_words(size: int) -> str:
    """Return bytes as people write them: of a small image, not 0.0 GiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{-(-size // 2**20)} MiB"
