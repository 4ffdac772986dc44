"""Code that changed is other code, also at the same version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import virtualserver
from virtualserver.controlplane import sources

if TYPE_CHECKING:
    from pathlib import Path


def a_package(folder: Path) -> Path:
    (folder / "part").mkdir()
    (folder / "part" / "code.py").write_text("answer = 41\n")
    (folder / "schema.yaml").write_text("{}\n")
    return folder


def test_a_changed_added_or_renamed_file_changes_the_digest(tmp_path: Path) -> None:
    package = a_package(tmp_path)
    seen = {sources.digest(package)}
    (package / "part" / "code.py").write_text("answer = 42\n")
    seen.add(sources.digest(package))
    (package / "schema.yaml").rename(package / "other.yaml")
    seen.add(sources.digest(package))
    (package / "part" / "more.py").write_text("")
    seen.add(sources.digest(package))
    assert len(seen) == 4


def test_what_python_makes_of_the_files_does_not(tmp_path: Path) -> None:
    package = a_package(tmp_path)
    before = sources.digest(package)
    (package / "part" / "__pycache__").mkdir()
    (package / "part" / "__pycache__" / "code.cpython-311.pyc").write_bytes(b"\0")
    assert sources.digest(package) == before


def test_the_version_says_both() -> None:
    version, _, digest = sources.version().partition("+")
    assert version == virtualserver.__version__
    assert len(digest) == 12
