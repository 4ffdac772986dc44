"""How a state folder goes from version to version."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.installation import migrations
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from pathlib import Path


def version(state: Path) -> str:
    return (state / "VERSION").read_text()


def test_there_is_a_step_from_every_version_that_was_released() -> None:
    assert set(migrations.MIGRATIONS) == set(range(1, migrations.STATE_VERSION))


def test_a_new_folder_gets_the_version_without_any_step(tmp_path: Path) -> None:
    migrations.migrate(tmp_path)
    assert version(tmp_path) == f"{migrations.STATE_VERSION}\n"


def test_every_step_runs_once_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("1\n")
    seen: list[tuple[int, str]] = []
    steps: dict[int, migrations.Migration] = {
        1: lambda state: seen.append((1, version(state))),
        2: lambda state: seen.append((2, version(state))),
    }
    migrations.migrate(tmp_path, steps=steps, to=3)
    migrations.migrate(tmp_path, steps=steps, to=3)
    assert seen == [(1, "1\n"), (2, "2\n")]
    assert version(tmp_path) == "3\n"


def test_a_step_that_fails_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("1\n")
    tries: list[Path] = []

    def step(state: Path) -> None:
        tries.append(state)
        if len(tries) == 1:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        migrations.migrate(tmp_path, steps={1: step}, to=2)
    assert version(tmp_path) == "1\n"
    migrations.migrate(tmp_path, steps={1: step}, to=2)
    assert version(tmp_path) == "2\n"


def test_a_version_without_a_way_on_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("1\n")
    with pytest.raises(InstallationError, match="no way from version 1 to 2"):
        migrations.migrate(tmp_path, steps={}, to=2)


def test_a_newer_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text(f"{migrations.STATE_VERSION + 1}\n")
    for look in (migrations.migrate, migrations.is_older):
        with pytest.raises(InstallationError, match="install the newer program again"):
            look(tmp_path)


def test_a_damaged_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("two")
    with pytest.raises(InstallationError, match="is no version"):
        migrations.version_of(tmp_path)


@pytest.mark.parametrize(("routed", "listed"), [(True, ["192.0.2.0/24", "198.18.0.0/24"]), (False, [])])
def test_the_first_step_lists_the_networks_that_version_1_wrote_otherwise(
    tmp_path: Path, routed: bool, listed: list[str]
) -> None:
    (tmp_path / "VERSION").write_text("1\n")
    pools = {"public": {"public": ["192.0.2.0/24"]}, "private": {"private": ["198.18.0.0/24"]}}
    others = {"guest": ["10.42.0.0/16"], "service": ["10.96.0.0/16"]}
    before = {"identifier": "0000a1", "ranges": {**pools, **others, "link": "198.19.0.0/30", "routed": routed}}
    (tmp_path / "instance.json").write_text(json.dumps(before))
    migrations.migrate(tmp_path)
    after = json.loads((tmp_path / "instance.json").read_bytes())
    ranges = {**pools, **others, "link": ["198.19.0.0/30"], "routed": listed, "host": [], "former": {}, "uplink": ""}
    assert after == {"identifier": "0000a1", "ranges": ranges}
    written = (tmp_path / "instance.json").read_bytes()
    (tmp_path / "VERSION").write_text("1\n")  # as where it was interrupted before the version was written
    migrations.migrate(tmp_path)
    assert (tmp_path / "instance.json").read_bytes() == written
    assert version(tmp_path) == f"{migrations.STATE_VERSION}\n"


def test_the_second_step_leaves_the_site_file_to_the_administrator(tmp_path: Path) -> None:
    generated = "# Written at each start, from what instance.json records.\npools:\n- name: private\n- name: public\n"
    for before, after in ((generated, None), ("defaults: {keepDisk: true}\n", "defaults: {keepDisk: true}\n")):
        (tmp_path / "VERSION").write_text("2\n")
        (tmp_path / "site.yaml").write_text(before)
        migrations.migrate(tmp_path)
        file = tmp_path / "site.yaml"
        assert (file.read_text() if file.exists() else None) == after
        (tmp_path / "VERSION").write_text("2\n")  # as where it was interrupted before the version was written
        migrations.migrate(tmp_path)
        assert (file.read_text() if file.exists() else None) == after


def test_the_third_step_makes_a_mac_key_once_and_keeps_what_was_given_without_one(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("3\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "claims.sqlite")) as claims, claims:
        claims.execute("CREATE TABLE claims (owner TEXT, purpose TEXT, kind TEXT, value TEXT)")
        rows = [("server", "mac", "mac", "82:b3:ad:e9:d0:0c"), ("server", "tap", "tap", "tap1")]
        claims.executemany("INSERT INTO claims VALUES (?, ?, ?, ?)", rows)
    migrations.migrate(tmp_path)
    file = tmp_path / "mac-key.json"
    assert file.stat().st_mode & 0o777 == 0o600
    written = json.loads(file.read_bytes())
    assert written["recorded"] == {"server": "82:b3:ad:e9:d0:0c"}
    assert len(bytes.fromhex(written["key"])) == 32
    (tmp_path / "VERSION").write_text("3\n")  # as where it was interrupted before the version was written
    migrations.migrate(tmp_path)
    assert json.loads(file.read_bytes()) == written
    assert version(tmp_path) == f"{migrations.STATE_VERSION}\n"


def test_the_third_step_passes_where_nothing_was_recorded(tmp_path: Path) -> None:
    for number, statement in enumerate(("", "CREATE TABLE other (name TEXT)")):
        state = tmp_path / str(number)
        state.mkdir()
        (state / "VERSION").write_text("3\n")
        with contextlib.closing(sqlite3.connect(state / "claims.sqlite")) as claims:
            claims.execute(statement)
        migrations.migrate(state)
        assert json.loads((state / "mac-key.json").read_bytes())["recorded"] == {}


def test_the_fourth_step_says_what_no_pool_was_before(
    tmp_path: Path,
) -> None:
    cases: list[tuple[dict[str, Any] | None, dict[str, Any] | None]] = [
        ({"public": {}}, {"public": {}, "host": [], "former": {}, "uplink": ""}),
        (None, None),
    ]
    for ranges, after in cases:
        (tmp_path / "VERSION").write_text("4\n")
        (tmp_path / "instance.json").write_text(json.dumps({"ranges": ranges}))
        for _ in range(2):  # as where it was interrupted before the version was written
            (tmp_path / "VERSION").write_text("4\n")
            migrations.migrate(tmp_path)
            assert json.loads((tmp_path / "instance.json").read_bytes()) == {"ranges": after}
