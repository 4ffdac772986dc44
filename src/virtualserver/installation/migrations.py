"""The version of an installation's state folder, and the way from each version to the next.

Whoever changes what lies in the state folder so that the program before cannot read it raises `STATE_VERSION` by one
and adds a step to `MIGRATIONS`. `vs up` and `vs down` run the steps that are missing; nothing else changes an older
folder, and nobody touches a newer one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from virtualserver.host.files import write_atomically
from virtualserver.installation import mac_key
from virtualserver.installation.errors import InstallationError

__all__ = ["MIGRATIONS", "STATE_VERSION", "Migration", "is_older", "migrate", "version_of"]

Migration = Callable[[Path], None]
"""Brings a state folder from one version to the next. It may be interrupted and is then run again from its start."""

STATE_VERSION: Final = 5
"""The version that this program writes; docs/state.md describes it."""


def _list_networks(state: Path) -> None:
    """Write the networks of the link to the host, and those that are routed, as lists, as all other networks are.

    Version 1 wrote one network of the link, and at first whether all pools are routed or none is.
    """
    file = state / "instance.json"
    record: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    ranges: dict[str, Any] | None = record.get("ranges")
    if ranges is None:
        return
    if isinstance(ranges["link"], str):
        ranges["link"] = [ranges["link"]]
    if isinstance(ranges["routed"], bool):
        pools = [*ranges["public"].values(), *ranges["private"].values()]
        ranges["routed"] = [network for pool in pools for network in pool] if ranges["routed"] else []
    write_atomically(file, json.dumps(record, indent=2, sort_keys=True), mode=0o644)


def _give_up_the_generated_site(state: Path) -> None:
    """Remove the ``site.yaml`` that each start wrote: from version 3 on the file is the administrator's."""
    file = state / "site.yaml"
    if file.exists() and file.read_text(errors="replace").startswith("# Written at each start, from what"):
        file.unlink()


def _name_what_pools_are(state: Path) -> None:
    """Write that no pool is the machine's own address, had other networks before, or is answered for on an uplink."""
    file = state / "instance.json"
    record: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    if record.get("ranges") is not None:
        record["ranges"] = {"host": [], "former": {}, "uplink": "", **record["ranges"]}
        write_atomically(file, json.dumps(record, indent=2, sort_keys=True), mode=0o644)


MIGRATIONS: Final[Mapping[int, Migration]] = {
    1: _list_networks,
    2: _give_up_the_generated_site,
    3: mac_key.make,
    4: _name_what_pools_are,
}
"""The steps by the version that each begins with."""


def version_of(state: Path, *, known: int = STATE_VERSION) -> int | None:
    """Return the version of a state folder, None where it has none yet.

    Raises:
        InstallationError: The version is newer than the known one, or is no number.
    """
    file = state / "VERSION"
    if not file.exists():
        return None
    text = file.read_text().strip()
    if not text.isdecimal():
        raise InstallationError(f"{file}: {text!r} is no version; restore the file from a backup of the state folder")
    if int(text) > known:
        raise InstallationError(
            f"{file}: the state has version {text}, this program knows {known}: "
            "install the newer program again, or choose another folder with VS_STATE"
        )
    return int(text)


def is_older(state: Path) -> bool:
    """Return whether a state folder has to be migrated before it can be read.

    Raises:
        InstallationError: It is newer than this program, or has a damaged version.
    """
    version = version_of(state)
    return version is not None and version < STATE_VERSION


def migrate(state: Path, *, steps: Mapping[int, Migration] = MIGRATIONS, to: int = STATE_VERSION) -> None:
    """Bring a state folder to a version, step by step; a folder without a version gets it.

    The caller holds the installation's lock.

    Args:
        state: The folder.
        steps: The steps by the version that each begins with.
        to: The version that the folder has afterwards.

    Raises:
        InstallationError: The folder is newer, or there is no step from its version.
    """
    version = version_of(state, known=to)
    while version is not None and version < to:
        if version not in steps:
            raise InstallationError(
                f"{state / 'VERSION'}: there is no way from version {version} to {to}: "
                "start it once with a program in between, or choose another folder with VS_STATE"
            )
        steps[version](state)
        version += 1
        _write(state, version)
    if version is None:
        _write(state, to)


def _write(state: Path, version: int) -> None:
    write_atomically(state / "VERSION", f"{version}\n", mode=0o644)
