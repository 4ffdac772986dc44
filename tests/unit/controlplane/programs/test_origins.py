"""Finding programs: the named folder, the cache, and what is broken in it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from virtualserver.controlplane import errors
from virtualserver.controlplane.options import Options
from virtualserver.controlplane.programs import gobuild, origins, toolchain
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import ControlPlaneSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No folder is named, and nobody has built anything below the default root, which is another one here."""
    monkeypatch.delenv("VS_CONTROLPLANE", raising=False)
    monkeypatch.setattr("virtualserver.installation.installation._ROOT", tmp_path / "usual")
    return tmp_path / "usual"


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in origins.NAMES:
        (folder / name).write_bytes(b"program")
        (folder / name).chmod(0o755)
    return folder


def a_cache(root: Path) -> tuple[Installation, Path]:
    installation = Installation.below(root, "one")
    digest = gobuild.digest(gobuild.sources())
    folder = fill(installation.shared_binaries / f"{origins.KUBERNETES_VERSION}-{digest}")
    origins.record(folder)
    return installation, folder


def started_with(installation: Installation, folder: Path) -> None:
    with installation.changing() as record:
        record.controlplane = ControlPlaneSettings(str(folder), Options().encode(), "0.1.0")


def test_the_named_folder_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation, _ = a_cache(tmp_path)
    named = fill(tmp_path / "named")
    assert origins.find(installation, named=named) == origins.Programs(named, "named")
    monkeypatch.setenv("VS_CONTROLPLANE", str(named))
    assert origins.find(installation) == origins.Programs(named, "named")


def test_a_named_folder_that_lacks_a_program_is_refused(tmp_path: Path) -> None:
    named = fill(tmp_path / "named")
    (named / "etcd").unlink()
    (named / "kubectl").chmod(0o644)
    with pytest.raises(errors.ControlPlaneError, match="no executable etcd, kubectl"):
        origins.find(Installation("one", tmp_path, tmp_path), named=named)


def test_the_cache_is_found_and_nothing_is_planned_then(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    assert origins.find(installation) == origins.Programs(folder, "cache")
    assert origins.plan_of(installation) == []


def test_the_folder_that_was_named_at_the_last_start_is_remembered_while_it_is_whole(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    named = fill(tmp_path / "named")
    started_with(installation, named)
    assert origins.find(installation) == origins.Programs(named, "named")
    assert origins.plan_of(installation) == []
    (named / "etcd").unlink()
    assert origins.find(installation) == origins.Programs(folder, "cache")


def test_an_old_build_of_the_cache_is_not_remembered(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    old = fill(installation.shared_binaries / "v1.0.0-old")
    started_with(installation, old)
    assert origins.find(installation) == origins.Programs(folder, "cache")


def test_an_empty_cache_is_none_and_the_plan_tells_sizes(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "one")
    assert origins.find(installation) is None
    assert any("GB" in line for line in origins.plan_of(installation))


def quiet(text: str, share: float | None) -> None:
    """Is told what is waited for."""


def test_fault_58_what_was_built_below_the_default_root_is_copied_and_not_built_again(
    tmp_path: Path, usual: Path
) -> None:
    _, folder = a_cache(usual)
    installation = Installation.below(tmp_path / "other", "two")
    assert origins.plan_of(installation) == [], "nothing is downloaded and nothing built"
    copied = installation.shared_binaries / folder.name
    assert origins.obtain(installation, progress=quiet) == origins.Programs(copied, "cache")
    shutil.rmtree(usual)
    assert origins.find(installation) == origins.Programs(copied, "cache")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to other users needs root")
@pytest.mark.parametrize("name", ["", "etcd", "manifest.json"])
@pytest.mark.parametrize("change", ["owner", "mode", "content"])
def test_what_anybody_but_root_could_have_written_is_not_taken(
    tmp_path: Path, usual: Path, name: str, change: str
) -> None:
    _, folder = a_cache(usual)
    if change == "owner":
        os.chown(folder / name, 64_090, 64_090)
    elif change == "mode":
        (folder / name).chmod(0o777)
    else:
        (folder / "etcd").write_bytes(b"prog")
    assert origins.plan_of(Installation.below(tmp_path / "other", "two"))


def test_a_truncated_program_is_not_taken(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    (folder / "etcd").write_bytes(b"prog")
    assert origins.find(installation) is None


def test_a_changed_program_of_the_same_size_is_not_taken(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    (folder / "etcd").write_bytes(b"grampro")
    os.utime(folder / "etcd", ns=(1, 1))
    assert origins.find(installation) is None


def test_a_program_that_was_only_touched_is_taken(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    os.utime(folder / "etcd", ns=(1, 1))
    assert origins.find(installation)


def test_a_build_that_did_not_end_is_not_taken(tmp_path: Path) -> None:
    installation, folder = a_cache(tmp_path)
    (folder / "manifest.json").unlink()
    assert origins.find(installation) is None


def test_the_digest_follows_the_sources(tmp_path: Path) -> None:
    for name in ("go.mod", "go.sum", "binaries.go", "etcd/main.go"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    before = gobuild.digest(tmp_path)
    assert gobuild.digest(tmp_path) == before
    (tmp_path / "go.sum").write_text("two")
    assert gobuild.digest(tmp_path) != before


def test_go_versions_are_read_and_compared() -> None:
    assert toolchain.required("module x\n\ngo 1.26.0\n") == (1, 26, 0)
    assert toolchain.version_of("go1.26.8") == (1, 26, 8)
    assert toolchain.version_of("go1.26.8 X:nocoverageredesign") == (1, 26, 8)
    assert toolchain.version_of("devel +abc") is None
