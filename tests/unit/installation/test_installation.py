"""Names, folders and the record of an installation."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from virtualserver.host.files import write_atomically
from virtualserver.installation import installation as installation_module
from virtualserver.installation.errors import InstallationError
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import Record


def an_installation(root: Path) -> Installation:
    return Installation.below(root, "one")


@pytest.mark.parametrize("name", ["", "1a", "a-", "A", "a_b", "a" * 17, "a/b"])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(InstallationError, match="is no instance name"):
        Installation(name)


def test_the_environment_names_the_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VS_INSTANCE", "mine")
    monkeypatch.setenv("VS_STATE", str(tmp_path))
    found = Installation.from_environment()
    assert (found.name, found.state, found.run) == ("mine", tmp_path / "mine", tmp_path / ".run/mine")


def test_without_an_environment_it_is_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VS_INSTANCE", raising=False)
    monkeypatch.delenv("VS_STATE", raising=False)
    found = Installation.from_environment()
    assert (found.state, found.run) == (Path("/var/lib/virtualserver/default"), Path("/run/virtualserver/default"))


@pytest.fixture
def default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stand in for the documented default folders."""
    monkeypatch.setattr(installation_module, "_ROOT", tmp_path / "lib/virtualserver")
    monkeypatch.setattr(installation_module, "_RUN_ROOT", tmp_path / "run/virtualserver")
    monkeypatch.delenv("VS_INSTANCE", raising=False)
    monkeypatch.delenv("VS_STATE", raising=False)
    return tmp_path / "lib/virtualserver"


@pytest.mark.parametrize("exists", [True, False])
def test_fault_40_the_default_folder_is_the_default_installation_however_it_is_written(
    default_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    default = Installation.from_environment()
    assert default.run == tmp_path / "run/virtualserver/default"
    if exists:
        default_root.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "lib")
    for written in (
        default_root,
        f"{default_root}/",
        "lib/virtualserver",
        "./lib/../lib/virtualserver",
        "link/virtualserver",
    ):
        monkeypatch.setenv("VS_STATE", str(written))
        assert Installation.from_environment() == default
        assert Installation.from_environment().environment() == {"VS_INSTANCE": "default"}


def test_fault_40_a_link_in_the_place_of_the_default_folder_is_the_default_too(
    default_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    default_root.parent.mkdir()
    default_root.symlink_to(tmp_path / "data")
    default = Installation.from_environment()
    monkeypatch.setenv("VS_STATE", str(tmp_path / "data"))
    assert Installation.from_environment() == default


def test_fault_40_another_folder_is_one_installation_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    for written in (f"{tmp_path}/mine/", "mine", "link", "mine/../mine"):
        monkeypatch.setenv("VS_STATE", written)
        assert Installation.from_environment() == Installation.below(tmp_path / "mine")


def test_fault_40_what_an_earlier_version_runs_elsewhere_is_found_until_it_is_stopped(
    default_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = Installation.from_environment()
    (default_root / ".run/default").mkdir(parents=True)
    for state in (None, str(default_root)):
        if state:
            monkeypatch.setenv("VS_STATE", state)
        assert Installation.from_environment() == Installation.below(default_root)
    (default_root / ".run/default").rmdir()
    assert Installation.from_environment() == default


def test_the_identifier_stays(tmp_path: Path) -> None:
    first = an_installation(tmp_path).identifier()
    assert an_installation(tmp_path).identifier() == first
    assert len(first) == 6


def test_a_change_keeps_everything_else(tmp_path: Path) -> None:
    installation = an_installation(tmp_path)
    identifier = installation.identifier()
    with installation.changing() as record:
        record.ports = {"etcd": 20000}
    assert an_installation(tmp_path).record() == Record(identifier=identifier, ports={"etcd": 20000})


def test_a_change_that_fails_writes_nothing(tmp_path: Path) -> None:
    installation = an_installation(tmp_path)

    def change() -> None:
        with installation.changing() as record:
            record.identifier = "abcdef"
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        change()
    assert installation.record() == Record()


def test_neighbours_are_the_other_installations_of_the_same_root(tmp_path: Path) -> None:
    one, other = an_installation(tmp_path), Installation.below(tmp_path, "other")
    assert one.neighbours() == {}
    found = other.identifier()
    assert one.identifier() != found
    assert one.neighbours() == {"other": Record(identifier=found)}


def test_an_older_state_is_not_read_before_it_is_taken_over(tmp_path: Path) -> None:
    installation = an_installation(tmp_path)
    installation.create()
    (installation.state / "VERSION").write_text("0\n")
    with pytest.raises(InstallationError, match="run `vs up`"):
        installation.record()


def test_an_atomic_write_replaces_content_and_mode_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    write_atomically(path, "new", mode=0o640)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_atomic_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomically(path, "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_child_process_works_on_the_same_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for installation in (Installation("mine"), an_installation(tmp_path)):
        for name in ("VS_INSTANCE", "VS_STATE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in installation.environment().items():
            monkeypatch.setenv(name, value)
        assert Installation.from_environment() == installation


def test_every_path_is_named_once_and_lies_within_the_installations_folders() -> None:
    installation = Installation("one", Path("/vs"), Path("/vs/.run"))
    names = [name for name, value in vars(Installation).items() if isinstance(value, property)]
    paths = [path for name in names if isinstance(path := getattr(installation, name), Path)]
    assert len(paths) > 25
    assert len(set(paths)) == len(paths)
    folders = (installation.state, installation.run, installation.root)
    assert all(any(path.is_relative_to(folder) for folder in folders) for path in paths)
