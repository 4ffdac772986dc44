"""The NoCloud seed with the real xorriso."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from virtualserver.machines.seed import SeedError, remove_unfinished, write_seed

if TYPE_CHECKING:
    from pathlib import Path

USER = 64_091

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to other users needs root")


def written(path: Path, *, network_config: str | None = None) -> Path:
    write_seed(
        path,
        user_data="#cloud-config\npassword: grüße\n",
        meta_data="instance-id: 1\n",
        network_config=network_config,
        user=USER,
    )
    return path


def content_of(seed: Path, folder: Path) -> dict[str, str]:
    command = ["xorriso", "-no_rc", "-osirrox", "on", "-indev", str(seed), "-extract", "/", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_a_killed_process_left_is_removed_and_seeds_stay(tmp_path: Path) -> None:
    seed = written(tmp_path / "seed.iso")
    left = tmp_path / ".seed-x1y2" / "files"
    left.mkdir(parents=True)
    (left / "user-data").write_text("password: grüße\n")
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [seed]


def test_only_the_machines_user_may_read_it(tmp_path: Path) -> None:
    status = written(tmp_path / "seed.iso").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (USER, USER, 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["seed.iso"]


def test_it_holds_what_cloud_init_looks_for(tmp_path: Path) -> None:
    seed = written(tmp_path / "seed.iso", network_config="version: 2\n")
    assert seed.read_bytes()[0x8028 : 0x8028 + 32].rstrip() == b"cidata"
    assert content_of(seed, tmp_path / "out") == {
        "meta-data": "instance-id: 1\n",
        "user-data": "#cloud-config\npassword: grüße\n",
        "network-config": "version: 2\n",
    }


def test_without_a_network_configuration_there_is_no_such_file(tmp_path: Path) -> None:
    assert "network-config" not in content_of(written(tmp_path / "seed.iso"), tmp_path / "out")


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one = written(tmp_path / "one.iso").read_bytes()
    time.sleep(1.1)  # The dates in an ISO have whole seconds.
    assert written(tmp_path / "two.iso").read_bytes() == one


def test_it_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_text("old")
    assert written(tmp_path / "seed.iso").stat().st_size > 1000


def test_without_xorriso_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SeedError, match=r"apt-get install .*xorriso"):
        written(tmp_path / "seed.iso")
    assert list(tmp_path.iterdir()) == []


def test_what_the_file_system_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"gone/seed\.iso: cannot be written: No such file or directory"):
        written(tmp_path / "gone" / "seed.iso")


def test_user_data_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    packed = gzip.compress(b"#cloud-config\n{}\n", mtime=0)
    seed = tmp_path / "seed.iso"
    write_seed(seed, user_data=packed, meta_data="", network_config=None, user=USER)
    assert packed in seed.read_bytes()
