from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.installation import lock
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path


def test_an_installations_lock_goes_with_its_state(tmp_path: Path) -> None:
    installation = Installation("web", tmp_path)
    for is_there in (True, False):
        with lock.held(installation):
            assert (tmp_path / ".web.lock").exists()
            if is_there:
                installation.state.mkdir()
            else:
                installation.state.rmdir()
        assert (tmp_path / ".web.lock").exists() == is_there
