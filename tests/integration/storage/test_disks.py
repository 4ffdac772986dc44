"""Disks with the real qemu-img."""

from __future__ import annotations

import asyncio
import os
import subprocess
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from virtualserver.machines.overlays import make_overlay
from virtualserver.machines.spec import Disk
from virtualserver.storage.disks import DiskError, DiskStore
from virtualserver.storage.space import Space

if TYPE_CHECKING:
    from pathlib import Path

USER = 64_090
MEBIBYTE = 1 << 20

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to other users needs root")


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "disks")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "8M"], check=True)
    path.chmod(0o444)
    return path


def test_a_disk_lies_over_its_base_and_belongs_to_its_user(store: DiskStore, base: Path) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (USER, USER, 0o600)
    assert store.size("one") == 16 * MEBIBYTE
    assert store.bases() == {"one": base}


def test_a_disk_without_a_base_is_empty(store: DiskStore) -> None:
    store.create("one", base=None, size_bytes=MEBIBYTE, user=USER)
    assert (store.size("one"), store.bases()) == (MEBIBYTE, {})


def test_a_disk_that_goes_while_the_bases_are_read_has_none(
    store: DiskStore, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for identifier in ("one", "two"):
        store.create(identifier, base=base, size_bytes=16 * MEBIBYTE, user=USER)
    listed = store.all()
    store.remove("one")
    monkeypatch.setattr(store, "all", lambda: listed)
    assert store.bases() == {"two": base}


def test_making_a_disk_again_keeps_what_is_on_it(store: DiskStore, base: Path) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 4096", str(path)], check=True, capture_output=True)
    before = path.read_bytes()
    assert store.create("one", base=base, size_bytes=8 * MEBIBYTE, user=USER + 1) == path
    assert path.read_bytes() == before
    assert path.stat().st_uid == USER + 1


def test_a_copy_has_what_was_written_and_the_same_base(store: DiskStore, base: Path) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 64k", str(path)], check=True, capture_output=True)
    shares: list[float] = []
    asyncio.run(store.copy("two", source="one", base=base, size_bytes=32 * MEBIBYTE, progress=shares.append))
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert store.bases() == {"one": base, "two": base}
    assert (store.size("one"), store.size("two")) == (16 * MEBIBYTE, 32 * MEBIBYTE)
    subprocess.run(["qemu-img", "compare", "-q", str(path), str(store.path("two"))], check=True)
    assert store.path("two").stat().st_mode & 0o777 == 0o600


def test_a_disk_that_a_machine_writes_to_or_that_has_no_room_is_not_copied(
    store: DiskStore, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    with subprocess.Popen(["qemu-io", "-f", "qcow2", str(path)], stdin=PIPE, stdout=PIPE) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        writer.stdin.write(b"write 0 512\n")
        writer.stdin.flush()
        writer.stdout.readline()
        with pytest.raises(DiskError, match="Is another process using the image"):
            asyncio.run(store.copy("two", source="one", base=base, size_bytes=16 * MEBIBYTE))
        writer.stdin.write(b"quit\n")
        writer.stdin.flush()
    full = Space(total=1 << 40, free=1 << 30)
    monkeypatch.setattr(store, "space", lambda: full)
    with pytest.raises(DiskError, match="a copy takes 0 MiB, for which there is no room"):
        asyncio.run(store.copy("two", source="one", base=base, size_bytes=16 * MEBIBYTE))
    assert store.all() == ["one"]


def named_by_its_qemu(path: Path, how: str, secret: Path, base: Path) -> None:
    """Write another file's name into a disk, as who breaks out into its QEMU can."""
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if how == "data file":
        data = secret.with_name("made")
        backing = ["-u", "-F", "qcow2", "-b", str(base)]
        subprocess.run([*create, "-o", f"data_file={data}", *backing, str(path), "16M"], check=True)
        subprocess.run(["qemu-io", "-c", "write -P 7 0 64k", str(path)], check=True, capture_output=True)
        data.unlink()
        # The name in its header extension, of the same length.
        path.write_bytes(path.read_bytes().replace(os.fsencode(data), os.fsencode(secret)))
    elif how == "raw data file":
        subprocess.run([*create, "-o", f"data_file={secret},data_file_raw=on", str(path), "16M"], check=True)
    else:
        subprocess.run([*create, "-u", "-F", "raw", "-b", str(secret), str(path), "16M"], check=True)


@pytest.mark.parametrize("how", ["data file", "raw data file", "backing file"])
def test_a_disk_that_names_a_file_of_the_host_is_neither_copied_nor_grown_and_nothing_reads_that(
    store: DiskStore, base: Path, tmp_path: Path, how: str
) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    path.unlink()
    secret = tmp_path / "root"
    named_by_its_qemu(path, how, secret, base)
    secret.write_bytes(b"secret".ljust(MEBIBYTE, b"s"))
    secret.chmod(0o600)
    os.utime(secret, (1, 1))  # so that the next read would be seen
    with pytest.raises(DiskError, match="neither copied nor grown"):
        asyncio.run(store.copy("two", source="one", base=base, size_bytes=16 * MEBIBYTE))
    with pytest.raises(DiskError, match="neither copied nor grown"):
        store.grow("one", 32 * MEBIBYTE, base=base)
    assert (store.all(), store.size("one")) == (["one"], 16 * MEBIBYTE)
    store.bases()
    make_overlay(tmp_path / "overlay", Disk(path, "qcow2", "root", ephemeral=True))
    assert (secret.stat().st_size, secret.stat().st_atime) == (MEBIBYTE, 1)


def test_a_disk_that_is_damaged_says_so(store: DiskStore, base: Path) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    for content in (b"", b"QFI", bytes(1 << 16), b"QFI\xfb\0\0\0\x03" + b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(DiskError, match="no qcow2 disk"):
            store.grow("one", 32 * MEBIBYTE, base=base)


def test_a_disk_smaller_than_its_base_is_refused_with_both_sizes(store: DiskStore, base: Path) -> None:
    with pytest.raises(DiskError, match=r"disk one: 1048576 bytes are less than its image's 8388608"):
        store.create("one", base=base, size_bytes=MEBIBYTE, user=USER)
    assert store.all() == []


def test_a_base_that_is_missing_leaves_nothing(store: DiskStore, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"nowhere\.qcow2: no such disk"):
        store.create("one", base=tmp_path / "nowhere.qcow2", size_bytes=MEBIBYTE, user=USER)
    assert store.all() == []


def test_a_disk_grows_and_never_shrinks(store: DiskStore, base: Path) -> None:
    path = store.create("one", base=base, size_bytes=16 * MEBIBYTE, user=USER)
    assert store.grow("one", 32 * MEBIBYTE, base=base)
    assert not store.grow("one", 32 * MEBIBYTE, base=base)
    assert not store.grow("one", 16 * MEBIBYTE, base=base)
    assert store.size("one") == 32 * MEBIBYTE
    assert path.stat().st_uid == USER


def test_disks_are_listed_and_removed_one_by_one(store: DiskStore) -> None:
    for name in ("two", "one"):
        store.create(name, base=None, size_bytes=MEBIBYTE, user=USER)
    assert store.all() == ["one", "two"]
    store.remove("one")
    assert store.all() == ["two"]


def test_a_disk_half_made_by_a_killed_process_is_no_disk(store: DiskStore, tmp_path: Path) -> None:
    (tmp_path / "disks").mkdir()
    (tmp_path / "disks" / "one.new").write_text("half")
    assert store.all() == []
    store.create("one", base=None, size_bytes=MEBIBYTE, user=USER)
    assert [path.name for path in (tmp_path / "disks").iterdir()] == ["one.qcow2"]
