from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from virtualserver.machines import descriptions
from virtualserver.machines.spec import SPEC_VERSION, MachineSpec, NewerSpecError, encode_spec

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).mkdir()
    (folder / name / "spec.json").write_bytes(content)


def test_a_description_that_cannot_be_read_is_named_beside_the_others(tmp_path: Path) -> None:
    spec = MachineSpec("b", "ns/b", cpus=1, memory_bytes=1 << 20, accelerator="tcg", user=7)
    write(tmp_path, "a", b"")
    write(tmp_path, "b", encode_spec(spec))
    (tmp_path / "c" / "spec.json").mkdir(parents=True)
    (tmp_path / "d").mkdir()
    found = descriptions.read(tmp_path, tmp_path / "run")
    assert [(files.machine.name, one) for files, one in found.machines] == [("b", spec)]
    assert found.unread.keys() == {"a", "c"}
    assert found.unread["c"] == f"{tmp_path}/c/spec.json: cannot be read: Is a directory"


def test_what_a_newer_program_wrote_is_left_to_it(tmp_path: Path) -> None:
    write(tmp_path, "a", json.dumps({"formatVersion": SPEC_VERSION + 1, "spec": {}}).encode())
    with pytest.raises(NewerSpecError, match="install the newer program"):
        descriptions.read(tmp_path, tmp_path / "run")


def test_no_machines_are_no_fault(tmp_path: Path) -> None:
    assert descriptions.read(tmp_path / "none", tmp_path).machines == []
