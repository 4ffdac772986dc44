"""The secret under which MAC addresses are derived, made once: ``mac-key.json`` of the state folder, 0600, root's.

The operator runs without root's rights: a start gives it a copy of its own. `api.mac` reads the content.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from typing import TYPE_CHECKING, Final

from virtualserver.host.files import write_atomically
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILE", "hand_over", "make"]

FILE: Final = "mac-key.json"


def make(state: Path) -> None:
    """Make the key of a state folder unless it has one, with the MACs that are recorded there already.

    Those were derived without a key, and stay.
    """
    file = state / FILE
    if not file.exists():
        content = {"key": secrets.token_hex(32), "recorded": _recorded(state / "claims.sqlite")}
        write_atomically(file, json.dumps(content), mode=0o600)


def hand_over(state: Path, copy: Path, owner: int) -> None:
    """Write a component's copy of the key, which it alone can read.

    Args:
        state: The state folder; a new one gets its key.
        copy: Where the copy lies.
        owner: UID and GID of the component.

    Raises:
        InstallationError: The key of an installation that has objects is gone.
    """
    file = state / FILE
    if not file.exists():
        if (state / "etcd" / "member").exists():
            raise InstallationError(
                f"{file} is missing, and servers have MAC addresses that follow from it: restore it from a backup of "
                "the state folder; without one, remove etcd's data with `vs down --purge` and begin anew"
            )
        make(state)
    write_atomically(copy, file.read_text(), mode=0o600)
    os.chown(copy, owner, owner)


def _recorded(claims: Path) -> dict[str, str]:
    """Return the MACs by their owner's UID; none where nothing was ever recorded."""
    if not claims.exists():
        return {}
    with contextlib.closing(sqlite3.connect(claims)) as database:
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'claims'").fetchone()
        rows = database.execute("SELECT owner, value FROM claims WHERE kind = 'mac'") if known else ()
        return {owner: value for owner, value in rows}
