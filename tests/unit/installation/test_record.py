"""The content of ``instance.json``: what the versions before wrote is read, and written as they wrote it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from virtualserver.installation import record
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {
    "controlplane": {
        "options": {
            "bind": "127.0.0.1",
            "components": ["etcd", "kube-apiserver", "kube-controller-manager", "node", "operator"],
            "service_ranges": ["10.96.0.0/16"],
        },
        "programs": "/var/lib/virtualserver/.controlplane/v1.36.3-0123456789ab",
        "version": "0.1.0+0123456789ab",
    },
    "identifier": "0a1b2c",
    "ports": {"etcd": 20001, "etcd-peer": 20002, "kube-apiserver": 20003, "kube-controller-manager": 20004},
    "ranges": {
        "former": {},
        "guest": ["10.42.0.0/16"],
        "host": [],
        "link": "198.19.0.0/30",
        "private": {"private": ["198.18.0.0/24"]},
        "public": {"public": ["203.0.113.0/24"]},
        "routed": [],
        "service": ["10.96.0.0/16"],
        "uplink": "",
    },
    "uids": {"base": 1879048192, "size": 4096},
}


def test_a_record_is_written_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(WRITTEN, indent=2, sort_keys=True))
    before = path.read_bytes()
    record.write(path, record.read(path))
    assert path.read_bytes() == before


def test_what_is_not_chosen_yet_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "instance.json"
    record.write(path, record.Record(identifier="0a1b2c"))
    assert json.loads(path.read_bytes()) == {"identifier": "0a1b2c"}
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_this_program_does_not_know_stays(tmp_path: Path) -> None:
    path = tmp_path / "instance.json"
    path.write_text('{"colour": "blue"}')
    record.write(path, record.Record(identifier="0a1b2c"))
    assert json.loads(path.read_bytes()) == {"colour": "blue", "identifier": "0a1b2c"}


@pytest.mark.parametrize("content", ["", "{", '{"ports": {"etcd": "many"}}'])
def test_a_damaged_record_is_named_with_the_field_and_the_remedy(tmp_path: Path, content: str) -> None:
    path = tmp_path / "instance.json"
    path.write_text(content)
    with pytest.raises(InstallationError, match=r"instance\.json: .*restore it from a backup"):
        record.read(path)
