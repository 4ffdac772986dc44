"""Which machines there are: their descriptions on disk, and those of them that cannot be read."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.host import locks
from virtualserver.machines.files import Files
from virtualserver.machines.spec import MachineSpec, NewerSpecError, SpecError, decode_spec

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

__all__ = ["Described", "read", "remove", "remove_undescribed", "stand_in"]

_NOBODY: Final = 65534


class Described(NamedTuple):
    """The machines that were launched and not discarded.

    Attributes:
        machines: Each with its files.
        unread: Why a description cannot be read, by the machine's identifier.
    """

    machines: list[tuple[Files, MachineSpec]]
    unread: dict[str, str]


def read(machines: Path, run: Path) -> Described:
    """Read all descriptions.

    Args:
        machines: The folder of the machines' descriptions.
        run: The folder of their sockets.

    Raises:
        NewerSpecError: A newer program wrote one: it knows the others better, too.
    """
    found = Described([], {})
    for folder in sorted(machines.iterdir()) if machines.is_dir() else []:
        files = Files(machine=folder, run=run / folder.name)
        try:
            found.machines.append((files, decode_spec(files.spec.read_bytes(), path=files.spec)))
        except FileNotFoundError:
            continue  # the node may discard it while somebody else looks
        except NewerSpecError:
            raise
        except SpecError as error:
            found.unread[folder.name] = str(error)
        except OSError as error:
            found.unread[folder.name] = f"{files.spec}: cannot be read: {error.strerror}"
    return found


def remove(files: Files) -> None:
    """Remove the files of a machine that has ended."""
    for folder in (files.run, files.machine):
        shutil.rmtree(folder, ignore_errors=True)


def remove_undescribed(machines: Path, run: Path, *, running: Container[str]) -> None:
    """Remove the folders of which no description tells, and which nobody uses.

    Args:
        machines: As for `read`; nobody is launching a machine.
        run: As for `read`.
        running: Identifiers of machines whose processes live although their descriptions are lost.
    """
    for folder in [one for parent in (machines, run) if parent.is_dir() for one in parent.iterdir() if one.is_dir()]:
        files = Files(machine=machines / folder.name, run=run / folder.name)
        if folder.name in running or files.spec.exists():
            continue
        if not files.machine.is_dir():
            remove(files)
        elif (lock := locks.take(files.lock)) is not None:
            remove(files)
            os.close(lock)


def stand_in(identifier: str) -> MachineSpec:
    """Return what stands for a description that cannot be read: enough to end its machine."""
    return MachineSpec(identifier, identifier, cpus=1, memory_bytes=0, accelerator="tcg", user=_NOBODY)
