"""What ``vs image`` keeps and removes, with the real qemu-img."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.claims import Claims as FakeKubectl
from virtualserver.api import names
from virtualserver.installation.installation import Installation
from virtualserver.local import aliases, images, making
from virtualserver.storage.disks import DiskStore
from virtualserver.storage.images import ImageError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from virtualserver.host.progress import Update
    from virtualserver.local.kubectl import Kubectl
    from virtualserver.storage.images import Image


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """An installation without anything in it."""
    made = Installation.below(tmp_path, "images")
    made.create()
    return made


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """The claims of its API server."""
    found = FakeKubectl()

    def kubectl(_installation: Installation) -> FakeKubectl:
        return found

    monkeypatch.setattr(images, "Kubectl", kubectl)
    return found


class Claims:
    """A cluster that has these claims."""

    def __init__(self, *annotations: dict[str, str]) -> None:
        self._annotations = annotations

    def list(self, _kind: str) -> list[dict[str, Any]]:
        return [{"metadata": {"annotations": one}} for one in self._annotations]


def collect(installation: Installation, *annotations: dict[str, str]) -> list[str]:
    """Remove what nobody needs, and return the names of the images that stay."""
    images.collect(installation, cast("Kubectl", Claims({}, *annotations)))
    return sorted(one.name for one in images.store_of(installation).all())


def test_only_images_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "images")
    store = images.store_of(installation)
    made: dict[str, Image] = {}
    for number, name in enumerate(("named", "promised", "used", "unused"), 1):
        path = tmp_path / name
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), f"{number}M"], check=True)
        made[name] = store.add(disk=path, name=name)
    disks = DiskStore(installation.state / "disks")
    disks.create("one", base=made["used"].disk, size_bytes=8 << 20, user=os.getuid())
    claims = ({names.IMAGE: made["named"].digest}, {names.BASE_IMAGE: made["promised"].digest})
    assert collect(installation, *claims) == ["named", "promised", "used"]
    disks.remove("one")
    assert collect(installation) == []


def test_a_damaged_image_is_removed_as_others_are_and_never_while_somebody_needs_it(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "images")
    path = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"], check=True)
    image = images.store_of(installation).add(disk=path, name="damaged")
    image.disk.with_name("image.json").unlink()
    DiskStore(installation.disks).create("one", base=image.disk, size_bytes=8 << 20, user=os.getuid())
    assert collect(installation) == [] and image.disk.exists()
    DiskStore(installation.disks).remove("one")
    assert collect(installation, {names.BASE_IMAGE: image.digest}) == [] and image.disk.exists()
    assert collect(installation) == [] and not image.disk.parent.exists()


def test_everybody_may_clone_an_alias_and_nothing_else_of_its_namespace() -> None:
    role, binding = aliases.grants("debian", namespace="coreweave")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "coreweave"
    assert [rule["resourceNames"] for rule in role["rules"]] == [["debian"]]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert aliases.grants("debian", namespace=names.IMAGE_NAMESPACE) == []


def test_a_disk_that_is_refused_is_told_in_a_sentence(tmp_path: Path) -> None:
    lines = (
        "import sys; from virtualserver.cli import image, main; from virtualserver.storage.images import ImageError",
        "def refuse(*_, **__): raise ImageError('image x: no')",
        "image.list_command.callback = refuse",
        "main.main(['image', 'list'])",
    )
    environment = {**os.environ, "VS_INSTANCE": "images", "VS_STATE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: image x: no"


def test_an_image_that_is_added_is_a_claim_from_the_beginning_and_one_of_the_name_stays_until_then(
    tmp_path: Path, installation: Installation, claims: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_WRITE_SECONDS", 0.001)
    disks = {name: tmp_path / name for name in ("one", "two", "broken")}
    for number, name in enumerate(("one", "two"), 8):
        disks[name].write_bytes(os.urandom(number << 20))
    disks["broken"].write_bytes(b"QFI\xfb no disk")

    def add(name: str) -> str:
        """Add a disk as ``debian``, and return what its claim says."""
        images.add(installation, images.DiskSource(disks[name]), name="debian", report=Quiet())
        assert claims.claims["debian"].keys() == {names.IMAGE}
        return claims.claims["debian"][names.IMAGE]

    with pytest.raises(ImageError):
        add("broken")
    assert claims.claims == {}
    one = add("one")
    assert claims.sizes["debian"] == str(8 << 20)
    assert claims.said and all(
        re.fullmatch(r"(\d+% )?(copying|reading|turning) the disk.*", said) for said in claims.said
    )
    assert add("one") == one
    with pytest.raises(ImageError):
        add("broken")
    assert claims.claims == {"debian": {names.IMAGE: one}}
    assert add("two") != one and claims.sizes["debian"] == str(9 << 20)


def test_an_image_that_is_made_again_takes_its_aliases_along_and_no_other_claim(
    tmp_path: Path, installation: Installation, claims: FakeKubectl
) -> None:
    def add(size: str, name: str = "debian") -> str:
        """Add an empty disk of a size, and return its digest."""
        disk = tmp_path / size
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), size], check=True)
        return images.add(installation, images.DiskSource(disk), name=name, report=Quiet()).digest

    one, other = add("1M"), add("3M", "other")
    images.alias(installation, "debian", namespace="golden", name="ubuntu")
    images.alias(installation, "debian", namespace=names.IMAGE_NAMESPACE, name="d")
    images.alias(installation, "other", namespace="golden", name="else")
    claims.claims["team/promised"] = {names.ALIAS_OF: "vd-images/debian", names.BASE_IMAGE: one}
    two = add("2M")
    assert {key: claims.claims[key].get(names.IMAGE) for key in sorted(claims.claims)} == {
        "d": two,
        "debian": two,
        "golden/else": other,
        "golden/ubuntu": two,
        "other": other,
        "team/promised": None,
    }
    assert claims.claims["golden/ubuntu"][names.ALIAS_OF] == "vd-images/debian"
    assert claims.sizes["golden/ubuntu"] == str(2 << 20)


class Quiet:
    """Tells nobody."""

    @contextlib.contextmanager
    def step(self, title: str) -> Generator[Update]:
        """Begin a step of which nobody hears."""
        del title

        def update(text: str, share: float | None = None) -> None:
            del text, share

        yield update

    def once(self, text: str, share: float | None = None) -> None:
        """Hear of nothing that is waited for."""
        del text, share
