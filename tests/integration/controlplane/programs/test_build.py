"""A build with the real Go, of a tiny module that stands for the large one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from virtualserver.controlplane import errors
from virtualserver.controlplane.programs import gobuild, toolchain

GO = toolchain.system((1, 21))
needs_go = pytest.mark.skipif(GO is None, reason="no Go on this machine: `make up` would install one")


def a_module(folder: Path, body: str = "") -> Path:
    (folder / "etcd").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.invalid/tiny\n\ngo 1.21.0\n")
    (folder / "etcd/main.go").write_text(f'package main\n\nfunc main() {{ println("tiny"){body} }}\n')
    return folder


@needs_go
def test_a_program_is_built_with_progress_in_caches_of_our_own(tmp_path: Path) -> None:
    target = tmp_path / "bin"
    target.mkdir()
    told: list[tuple[str, float | None]] = []
    used = gobuild.build(
        target,
        tmp_path / "cache",
        progress=lambda what, share: told.append((what, share)),
        packages=("etcd",),
        folder=a_module(tmp_path / "module"),
    )
    assert used.version >= (1, 21)
    assert os.access(target / "etcd", os.X_OK)
    shares = [share for _, share in told if share is not None]
    assert shares == sorted(shares)
    assert shares[-1] > 0.5
    assert any(what.startswith("building etcd") for what, _ in told)
    assert (tmp_path / "cache/go-build").is_dir()


@needs_go
def test_asking_go_for_its_version_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert toolchain.system((1, 21))
    assert list(tmp_path.iterdir()) == []
    assert not Path("/nonexistent").exists()


@needs_go
def test_a_build_that_fails_says_what_the_compiler_said(tmp_path: Path) -> None:
    target = tmp_path / "bin"
    target.mkdir()
    with pytest.raises(errors.ControlPlaneError, match="undefined: nonsense"):
        gobuild.build(
            target,
            tmp_path / "cache",
            progress=lambda what, share: None,
            packages=("etcd",),
            folder=a_module(tmp_path / "module", "; nonsense()"),
        )
