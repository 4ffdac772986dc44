"""Images with the real qemu-img."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from virtualserver.storage.images import ImageError, ImageStore

if TYPE_CHECKING:
    from pathlib import Path


def a_disk(path: Path, kind: str, *options: str, size: str = "1M") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, *options, str(path), size], check=True)
    return path


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def test_an_image_is_found_again_under_its_digest(store: ImageStore, tmp_path: Path) -> None:
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_text(name)
    image = store.add(
        disk=a_disk(tmp_path / "d", "qcow2"),
        kernel=tmp_path / "kernel",
        initrd=tmp_path / "initrd",
        command_line="console=ttyS0",
        name="tiny",
        description="words",
    )
    assert store.get(image.digest) == image
    assert store.all() == [image]
    assert (image.name, image.description, image.virtual_size) == ("tiny", "words", 1 << 20)
    assert image.kernel is not None and image.kernel.initrd is not None
    assert image.kernel.image.read_text() + image.kernel.initrd.read_text() == "kernelinitrd"
    assert image.kernel.command_line == "console=ttyS0"


def test_everybody_may_read_an_image_and_nobody_write_it(store: ImageStore, tmp_path: Path) -> None:
    image = store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="x")
    assert image.disk.parent.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in image.disk.parent.iterdir()} == {0o444}


def test_the_same_content_is_one_image(store: ImageStore, tmp_path: Path) -> None:
    one = store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="one")
    before = one.disk.stat().st_ino
    assert store.add(disk=tmp_path / "d", name="two") == one
    assert one.disk.stat().st_ino == before
    assert len(store.all()) == 1


def test_another_command_line_is_another_image(store: ImageStore, tmp_path: Path) -> None:
    disk = a_disk(tmp_path / "d", "qcow2")
    kernel = tmp_path / "kernel"
    kernel.touch()
    digests = {store.add(disk=disk, kernel=kernel, command_line=text, name="x").digest for text in ("a", "b")}
    assert len(digests) == 2


def test_a_raw_disk_becomes_qcow2_with_its_content(store: ImageStore, tmp_path: Path) -> None:
    raw = tmp_path / "disk.img"
    raw.write_bytes(b"content".ljust(1 << 20, b"\0"))
    image = store.add(disk=raw, name="x")
    assert image.disk.read_bytes()[:4] == b"QFI\xfb"
    back = tmp_path / "back"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(image.disk), str(back)], check=True)
    assert back.read_bytes() == raw.read_bytes()


def test_progress_ends_at_one(store: ImageStore, tmp_path: Path) -> None:
    told: list[tuple[str, float | None]] = []
    store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="x", progress=lambda step, done: told.append((step, done)))
    assert told[-1] == ("copying the disk", 1.0)


@pytest.mark.parametrize("named", ["existing", "/etc/passwd", "json:{}"])
def test_a_disk_with_a_backing_file_is_refused(store: ImageStore, tmp_path: Path, named: str) -> None:
    base = a_disk(tmp_path / "existing", "raw")
    target = str(base) if named == "existing" else named
    disk = a_disk(tmp_path / "d", "qcow2", "-u", "-F", "raw", "-b", target)
    with pytest.raises(ImageError, match="backing file"):
        store.add(disk=disk, name="x")
    assert store.all() == []


def test_a_disk_with_an_external_data_file_is_refused(store: ImageStore, tmp_path: Path) -> None:
    disk = a_disk(tmp_path / "d", "qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    with pytest.raises(ImageError, match="external data file"):
        store.add(disk=disk, name="x")


def test_a_broken_disk_is_refused(store: ImageStore, tmp_path: Path) -> None:
    disk = tmp_path / "d"
    disk.write_bytes(b"QFI\xfb" + bytes(1000))
    with pytest.raises(ImageError, match="cannot be read"):
        store.add(disk=disk, name="x")


def test_what_an_interrupted_add_left_is_no_image_and_goes_away(store: ImageStore, tmp_path: Path) -> None:
    left = tmp_path / "images" / ".adding"
    left.mkdir(parents=True)
    (left / "disk.qcow2").touch()
    assert store.all() == []
    store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="x")
    assert not left.exists()


def test_a_removed_image_is_gone_and_removing_it_again_is_no_error(store: ImageStore, tmp_path: Path) -> None:
    image = store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="x")
    store.remove(image.digest)
    store.remove(image.digest)
    assert store.all() == []
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [".lock"]


def test_the_digest_depends_on_the_content_alone(store: ImageStore, tmp_path: Path) -> None:
    image = store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="x")
    other = ImageStore(tmp_path / "other").add(disk=tmp_path / "d", name="another name", description="other words")
    assert image.digest == other.digest
    assert hashlib.sha256(image.disk.read_bytes()).digest() == hashlib.sha256(other.disk.read_bytes()).digest()
