"""What ``vs down`` asks before it removes something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from virtualserver.cli import main
from virtualserver.installation.installation import Installation
from virtualserver.local import caller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def always(value: object) -> Callable[..., object]:
    """Return a function that returns the value, whatever it is called with."""

    def answer(*_: object, **__: object) -> object:
        return value

    return answer


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A stopped installation with one disk, whose removal needs no root."""
    monkeypatch.setenv("VS_STATE", str(tmp_path))
    monkeypatch.setenv("VS_INSTANCE", "unit")
    monkeypatch.setattr(caller, "require_root", always(None))
    installation = Installation.from_environment()
    installation.create()
    (installation.state / "disks").mkdir()
    (installation.state / "disks" / "a.qcow2").write_bytes(b"x")
    return installation


def test_a_purge_lists_the_disks_and_asks(stopped: Installation) -> None:
    done = CliRunner().invoke(main.vs, ["down", "--purge"], input="n\n")
    assert done.exit_code == 1
    assert "nothing was removed." in done.stderr
    assert "a.qcow2" in done.stderr
    assert "Remove them for good?" in done.stderr
    assert stopped.state.exists()


def test_a_purge_that_nobody_can_answer_says_how_to_do_without(stopped: Installation) -> None:
    done = CliRunner().invoke(main.vs, ["down", "--purge"], input="")
    assert done.exit_code == 1
    assert "--purge --yes" in done.stderr
    assert stopped.state.exists()


def test_an_installation_that_is_not_there_is_not_made_by_stopping_it(
    stopped: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VS_INSTANCE", "nosuch")
    before = sorted(stopped.root.iterdir())
    done = CliRunner().invoke(main.vs, ["down"])
    assert "no instance 'nosuch'" in done.stdout
    assert sorted(stopped.root.iterdir()) == before


def test_fault_58_a_purge_says_what_instances_share_and_how_that_goes(
    stopped: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped.shared_binaries.mkdir()
    (stopped.shared_binaries / "etcd").write_bytes(b"x" * 60_000_000)
    console = stopped.root / ".console"
    console.mkdir()
    (console / "node").write_bytes(b"x" * 50_000_000)
    purge = ["down", "--purge", "--yes"]
    said = CliRunner().invoke(main.vs, purge).stdout
    assert f"{console} (50 MB), {stopped.shared_binaries} (60 MB)" in said
    assert f"rm -r {console} {stopped.shared_binaries} removes it too" in said
    for name in ("one", "two"):
        monkeypatch.setenv("VS_INSTANCE", name)
        Installation.from_environment().create()
    said = CliRunner().invoke(main.vs, purge).stdout
    assert "instances one use it" in said and "rm -r" not in said


def test_a_purge_that_is_confirmed_removes_the_state(stopped: Installation) -> None:
    done = CliRunner().invoke(main.vs, ["down", "--purge", "--yes", "-o", "json"])
    assert done.exit_code == 0, done.stderr
    assert not stopped.state.exists()


def test_without_purge_disks_stay_and_nothing_is_asked(stopped: Installation) -> None:
    assert CliRunner().invoke(main.vs, ["down"]).exit_code == 0
    assert (stopped.state / "disks" / "a.qcow2").exists()


def test_yes_without_purge_is_a_slip(stopped: Installation) -> None:
    assert CliRunner().invoke(main.vs, ["down", "--yes"]).exit_code == 2
