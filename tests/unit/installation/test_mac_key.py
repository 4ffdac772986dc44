"""The MAC key of an installation and its copies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from virtualserver.installation import mac_key
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_component_gets_a_copy_that_it_alone_can_read(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    mac_key.hand_over(tmp_path, copy, os.getuid())
    mac_key.hand_over(tmp_path, copy, os.getuid())
    assert copy.read_bytes() == (tmp_path / mac_key.FILE).read_bytes()
    assert copy.stat().st_mode & 0o777 == (tmp_path / mac_key.FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_lost_is_not_made_anew_in_silence(tmp_path: Path) -> None:
    (tmp_path / "etcd" / "member").mkdir(parents=True)
    with pytest.raises(InstallationError, match="is missing, and servers have MAC addresses that follow from it"):
        mac_key.hand_over(tmp_path, tmp_path / "copy", os.getuid())
    assert not (tmp_path / mac_key.FILE).exists()
