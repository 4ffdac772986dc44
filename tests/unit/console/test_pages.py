from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.console.pages import MissingPagesError, Pages

if TYPE_CHECKING:
    from pathlib import Path


def test_pages_that_nobody_built_say_how_they_are(tmp_path: Path) -> None:
    with pytest.raises(MissingPagesError, match="build them with `make web`"):
        Pages.read(tmp_path)


def test_a_file_is_known_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "terminal.html").write_text("<html>2")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-1.js").write_text("1")
    assert Pages.read(tmp_path).files == {
        "index.html": b"<html>",
        "terminal.html": b"<html>2",
        "index-1.js": b"1",
    }
