"""Settings of the machine: changed once, recorded before, put back by the last who needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.host.settings import HostSettings

if TYPE_CHECKING:
    from pathlib import Path

NAME = "net/ipv4/conf/eth0/forwarding"


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    path = tmp_path / "sys" / NAME
    path.parent.mkdir(parents=True)
    path.write_text("0\n")
    for link in ("vsh-1", "vsh-2"):
        (tmp_path / "links" / link).mkdir(parents=True)
    return path


@pytest.fixture
def record(tmp_path: Path, setting: Path) -> HostSettings:
    return HostSettings(tmp_path / "record.json", tmp_path / "sys", tmp_path / "links")


def test_a_setting_is_put_back_by_the_last_who_needs_it(record: HostSettings, setting: Path, tmp_path: Path) -> None:
    assert record.take("vsh-1", {NAME: "1"}) == 1
    assert record.take("vsh-1", {NAME: "1"}) == 0
    assert record.take("vsh-2", {NAME: "1"}) == 0
    assert record.of("vsh-2") == {NAME: "0"}
    record.give_back("vsh-1")
    assert setting.read_text() == "1"
    record.give_back("vsh-2")
    assert setting.read_text() == "0"
    assert not (tmp_path / "record.json").exists()


def test_a_setting_that_has_its_value_already_is_not_ours_to_put_back(record: HostSettings, setting: Path) -> None:
    setting.write_text("1\n")
    assert record.take("vsh-1", {NAME: "1"}) == 0
    record.give_back("vsh-1")
    assert setting.read_text() == "1\n"


def test_a_setting_that_somebody_changed_since_stays(record: HostSettings, setting: Path) -> None:
    record.take("vsh-1", {NAME: "1"})
    setting.write_text("2\n")
    record.give_back("vsh-1")
    assert setting.read_text() == "2\n"


def test_a_user_whose_link_is_gone_holds_nothing(record: HostSettings, setting: Path, tmp_path: Path) -> None:
    record.take("vsh-1", {NAME: "1"})
    record.take("vsh-2", {NAME: "1"})
    (tmp_path / "links" / "vsh-1").rmdir()
    record.give_back("vsh-2")
    assert setting.read_text() == "0"


def test_a_setting_that_is_not_wanted_any_more_is_given_back(record: HostSettings, setting: Path) -> None:
    record.take("vsh-1", {NAME: "1"})
    assert record.take("vsh-1", {}) == 1
    assert setting.read_text() == "0"


def test_a_setting_that_this_kernel_lacks_is_left_out(record: HostSettings) -> None:
    assert record.take("vsh-1", {"net/ipv4/conf/none/forwarding": "1"}) == 0
