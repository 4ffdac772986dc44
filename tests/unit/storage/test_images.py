"""What the image store refuses without looking into a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.storage.images import ImageError, ImageStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("digest", ["", "sha256:abc", "../../etc", "sha256:" + "g" * 64, "sha256:" + "a" * 64 + "/.."])
def test_what_is_no_digest_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ImageError, match="no image digest"):
        ImageStore(tmp_path).get(digest)


def test_an_image_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no image sha256:a{64} .*vs image list"):
        ImageStore(tmp_path).get("sha256:" + "a" * 64)


def test_a_store_without_a_folder_is_empty(tmp_path: Path) -> None:
    assert ImageStore(tmp_path / "none").all() == []


def test_an_empty_file_is_no_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").touch()
    with pytest.raises(ImageError, match=r"image x: .*disk is empty"):
        ImageStore(tmp_path / "images").add(disk=tmp_path / "disk", name="x")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.qcow2: no such file"):
        ImageStore(tmp_path).add(disk=tmp_path / "nowhere.qcow2", name="x")


def test_an_initrd_without_a_kernel_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ImageError, match="without a kernel"):
        ImageStore(tmp_path).add(disk=file, initrd=file, name="x")


def test_what_is_refused_leaves_nothing_and_its_name_is_quoted(tmp_path: Path) -> None:
    disk = tmp_path / "my disk.vmdk"
    disk.write_bytes(b"KDMV" + bytes(1024))
    with pytest.raises(ImageError, match=r"is a vmdk disk: .*qemu-img convert -O qcow2 '.*/my disk.vmdk'"):
        ImageStore(tmp_path / "store").add(disk=disk, name="x")
    assert ImageStore(tmp_path / "store").all() == []
