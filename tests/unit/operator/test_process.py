"""What the operator says where it cannot begin; its work is shown by the integration tests."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import pytest

from virtualserver.host import locks
from virtualserver.operator import process

if TYPE_CHECKING:
    from pathlib import Path


def flags(folder: Path) -> list[str]:
    files = {"kubeconfig": "kubeconfig", "site": "site.yaml", "mac-key": "mac-key.json", "ready-file": "ready"}
    return [f"--{flag}={folder / name}" for flag, name in files.items()] + ["--identity=me"]


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (None, "site.yaml: cannot be read: No such file or directory"),
        ("pools: [{name: publik}]", "site.yaml: site.pools[0].name: 'publik' is no pool's name"),
        ("", "kubeconfig: cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    site: str | None, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if site is not None:
        (tmp_path / "site.yaml").write_text(site)
    (tmp_path / "mac-key.json").write_text('{"key": "00", "recorded": {}}')
    assert process.main(flags(tmp_path)) == 1
    assert f"{tmp_path}/{said}" in caplog.text


def test_a_mac_key_that_cannot_be_used_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "site.yaml").write_text("")
    assert process.main(flags(tmp_path)) == 1
    assert "mac-key.json: cannot be read: No such file or directory" in caplog.text
    (tmp_path / "mac-key.json").write_text("[]")
    assert process.main(flags(tmp_path)) == 1
    assert "mac-key.json: is no MAC key" in caplog.text


def test_a_second_operator_of_an_identity_ends_and_says_who_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "take_soon", functools.partial(locks.take_soon, seconds=0))
    lock = locks.take(tmp_path / "lock")
    assert lock is not None
    try:
        assert process.main(flags(tmp_path)) == 1
    finally:
        os.close(lock)
    assert f"another operator with the identity me, PID {os.getpid()}, runs already" in caplog.text
