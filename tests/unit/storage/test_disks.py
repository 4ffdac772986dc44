"""What the disk store refuses without making a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.storage.disks import DiskError, DiskStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("identifier", ["", "../x", "a/b", ".hidden", "x" * 300])
def test_what_could_be_no_file_name_is_refused(tmp_path: Path, identifier: str) -> None:
    with pytest.raises(DiskError, match="no disk identifier"):
        DiskStore(tmp_path).path(identifier)


def test_a_store_without_a_folder_is_empty(tmp_path: Path) -> None:
    assert DiskStore(tmp_path / "none").all() == []


def test_removing_a_disk_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    DiskStore(tmp_path).remove("one")


def test_the_size_of_a_disk_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"one\.qcow2: no such disk"):
        DiskStore(tmp_path).size("one")


def test_a_disk_is_known_by_its_file_and_no_other_file_is_one(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "disks")
    (tmp_path / "disks").mkdir()
    files = [store.path("a.disk-1"), tmp_path / "disks/half.new", tmp_path / "elsewhere.qcow2"]
    for file in files:
        file.touch()
    assert [store.identifier_of(file) for file in files] == ["a.disk-1", None, None]
    assert store.identifier_of(store.path("gone")) is None
    assert store.all() == ["a.disk-1"]
