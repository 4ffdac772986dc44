"""What users read of the host's files."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from virtualserver.host.paths import pattern_of, without_folders

PATTERN = pattern_of([PurePath("/srv/vs.d")])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            """{"filename": "/srv/vs.d/default/disks/u.qcow2"}: Could not open '/srv/vs.d/default/disks/u.qcow2'""",
            """{"filename": "u.qcow2"}: Could not open 'u.qcow2'""",
        ),
        ("[Errno 2] No such file: '/sys/fs/cgroup/x/y'; /run/netns/vs: busy", "[Errno 2] No such file: 'y'; vs: busy"),
        ("/var/lib is full", "lib is full"),
        (
            "http://10.0.0.1/run/x, team/web, /srv/vs.dx, /runner",
            "http://10.0.0.1/run/x, team/web, /srv/vs.dx, /runner",
        ),
    ],
)
def test_files_are_named_without_their_folders(said: str, told: str) -> None:
    assert without_folders(said, PATTERN) == told
