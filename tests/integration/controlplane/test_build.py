"""A build with the real Go, of a tiny module that stands for the large one; and a long command that is interrupted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from virtualserver.controlplane import commands, errors, gobuild, toolchain

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
    assert gobuild.discard_cache(tmp_path / "cache") > 0


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


def test_an_interrupted_command_ends_with_all_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def interrupt() -> None:
        if pids.exists() and len(pids.read_text().split()) == 2:
            raise KeyboardInterrupt

    script = f"sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    with pytest.raises(KeyboardInterrupt):
        commands.run(["sh", "-c", script], environment=None, on_line=lambda line: None, progress=interrupt)
    for pid in pids.read_text().split():
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}/stat").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text():
            assert time.monotonic() < end, f"PID {pid} still runs"
            time.sleep(0.05)


def test_output_and_lines_are_told_apart() -> None:
    lines: list[str] = []
    script = "echo out; echo one >&2; echo two >&2"
    output = commands.run(["sh", "-c", script], environment=None, on_line=lines.append, progress=lambda: None)
    assert (output, lines) == ("out\n", ["one", "two"])


def test_a_program_that_is_not_there_is_an_error_for_people() -> None:
    with pytest.raises(errors.ControlPlaneError, match="cannot be started: No such file"):
        commands.run(["/nonexistent"], environment=None, on_line=lambda line: None, progress=lambda: None)
