"""Images with the real qemu-img."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
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


@pytest.mark.parametrize("left", [65536, 262_144, 1_000_000])
def test_fault_37_a_qcow2_disk_that_is_cut_off_is_refused(store: ImageStore, tmp_path: Path, left: int) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(os.urandom(2 << 20))
    whole = tmp_path / "whole"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(whole)], check=True)
    cut = tmp_path / "cut"
    cut.write_bytes(whole.read_bytes()[:left])
    with pytest.raises(ImageError, match=r"is cut off or damaged .*download it again"):
        store.add(disk=cut, name="x")
    assert store.all() == []
    assert store.add(disk=whole, name="x").virtual_size == 2 << 20


def test_fault_37_a_packed_disk_is_refused_with_the_command_that_unpacks_it(store: ImageStore, tmp_path: Path) -> None:
    """harvester/harvester#610: what was packed became an image that does not boot."""
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(1 << 20))
    subprocess.run(["xz", "-k", str(raw)], check=True)
    with pytest.raises(ImageError, match=r"disk\.raw\.xz is packed by xz: unpack it: `xz -dk .*/disk\.raw\.xz`"):
        store.add(disk=tmp_path / "disk.raw.xz", name="x")


def test_fault_37_other_forms_of_qcow2_and_raw_disks_of_odd_size_go_on_working(
    store: ImageStore, tmp_path: Path
) -> None:
    """harvester/harvester#6267: a qcow2 disk packed with zstd never started."""
    raw = tmp_path / "raw"
    raw.write_bytes(b"\xeb\x63" + os.urandom(70_001))
    assert store.add(disk=raw, name="odd").virtual_size == 70_144
    packed = tmp_path / "packed"
    options = ("-c", "-o", "compression_type=zstd")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", *options, "-f", "raw", str(raw), str(packed)], check=True)
    assert store.add(disk=packed, name="zstd").virtual_size == 70_144
    old = a_disk(tmp_path / "old", "qcow2", "-o", "compat=0.10")
    assert store.add(disk=old, name="old").virtual_size == 1 << 20


def test_fault_38_the_holes_of_a_sparse_disk_are_not_read(store: ImageStore, tmp_path: Path) -> None:
    raw = tmp_path / "sparse"
    with raw.open("wb") as file:
        file.truncate(64 << 30)
        file.seek(40 << 30)
        file.write(b"content")
    before = time.monotonic()
    image = store.add(disk=raw, name="sparse")
    assert time.monotonic() - before < 5
    assert image.virtual_size == 64 << 30


def test_fault_38_a_hole_is_as_good_as_zeros_and_its_place_counts(store: ImageStore, tmp_path: Path) -> None:
    digests: dict[str, str] = {}
    for name, place, whole in (("sparse", 5 << 20, False), ("whole", 5 << 20, True), ("other", 6 << 20, False)):
        with (tmp_path / name).open("wb") as file:
            file.write(bytes(8 << 20) if whole else b"")
            file.truncate(8 << 20)
            file.seek(place)
            file.write(b"content")
        digests[name] = store.add(disk=tmp_path / name, name=name).digest
    assert digests["sparse"] == digests["whole"] != digests["other"]


def test_what_an_interrupted_add_left_is_no_image_and_goes_away(store: ImageStore, tmp_path: Path) -> None:
    left = tmp_path / "images" / ".adding"
    left.mkdir(parents=True)
    (left / "disk.qcow2").touch()
    assert store.all() == []
    store.add(disk=a_disk(tmp_path / "d", "qcow2"), name="x")
    assert not left.exists()


def test_a_process_that_is_killed_makes_no_image_any_more(store: ImageStore, tmp_path: Path) -> None:
    program = (
        "import pathlib, time; from virtualserver.storage.images import ImageStore\n"
        f"with ImageStore(pathlib.Path({str(tmp_path / 'images')!r})).making('debian'):\n"
        "    print('begun', flush=True); time.sleep(600)"
    )
    for _ in range(2):
        assert not store.is_being_made("debian")
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as maker:
            assert maker.stdout is not None and maker.stdout.readline() == b"begun\n"
            assert store.is_being_made("debian") and not store.is_being_made("busybox")
            maker.kill()
    with store.making("debian"):
        assert store.is_being_made("debian"), "the next one takes over what it left"
    assert store.all() == [] and not store.is_being_made("debian")


@pytest.mark.parametrize("damage", ["empty", "missing"])
def test_a_damaged_image_hides_no_other_one_and_adding_its_files_again_makes_it_whole(
    store: ImageStore, tmp_path: Path, damage: str
) -> None:
    disks = [a_disk(tmp_path / name, "qcow2", size=size) for name, size in (("good", "1M"), ("bad", "2M"))]
    good, bad = (store.add(disk=disk, name=disk.name) for disk in disks)
    record = bad.disk.with_name("image.json")
    record.unlink()
    if damage == "empty":
        record.touch()
    assert store.all() == [good]
    assert store.disks() == {one.digest: one.disk for one in (good, bad)}
    again = store.add(disk=disks[1], name="again")
    assert (again.digest, again.name, again.virtual_size) == (bad.digest, "again", 2 << 20)
    assert {image.digest for image in store.all()} == {good.digest, bad.digest}
    assert {path.stat().st_mode & 0o777 for path in bad.disk.parent.iterdir()} == {0o444}
    bad.disk.unlink()
    assert store.add(disk=disks[1], name="again").disk.is_file()


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
