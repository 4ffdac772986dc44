"""The state folder of an earlier version; that its servers go on is tests/integration/installation's matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.reports import Unseen
from virtualserver.installation.errors import InstallationError
from virtualserver.installation.installation import Installation
from virtualserver.installation.migrations import STATE_VERSION
from virtualserver.local.takeover import take_over

if TYPE_CHECKING:
    from pathlib import Path


def test_an_earlier_versions_folder_can_be_read_afterwards(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "one")
    installation.state.mkdir()
    (installation.state / "VERSION").write_text("1\n")
    with pytest.raises(InstallationError, match="run `vs up`"):
        installation.record()
    take_over(installation, Unseen())
    assert installation.record().ports == {}
    assert (installation.state / "VERSION").read_text() == f"{STATE_VERSION}\n"


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    take_over(Installation.below(tmp_path, "one"), Unseen())
    assert list(tmp_path.iterdir()) == []


def test_a_newer_folder_stays_as_it_is(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "one")
    installation.state.mkdir()
    (installation.state / "VERSION").write_text("999\n")
    with pytest.raises(InstallationError, match="install the newer program again"):
        take_over(installation, Unseen())
