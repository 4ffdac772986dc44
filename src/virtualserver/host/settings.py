"""Settings of the host that installations change: what they were, and who still needs them changed.

They are shared: while one installation needs an uplink to forward, another's end must not take that away. So the record
is one file for the machine, in /run because a restart of the machine forgets both the settings and the record.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.host import locks
from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["HostSettings"]

_VERSION: Final = 1


class _Setting(msgspec.Struct):
    was: str
    now: str
    users: list[str]


class _Record(msgspec.Struct):
    version: int = _VERSION
    settings: dict[str, _Setting] = {}


class HostSettings:
    """The changed settings of this machine.

    Attributes:
        file: Where they are recorded, for all installations.
    """

    def __init__(
        self,
        file: Path = Path("/run/virtualserver-host.json"),
        settings: Path = Path("/proc/sys"),
        links: Path = Path("/sys/class/net"),
    ) -> None:
        """Name the record.

        Args:
            file: Where it is kept, for all installations.
            settings: Under which settings are read and written by their names.
            links: Holds an entry for each link; a user whose link is gone needs nothing any more.
        """
        self.file = file
        self._settings = settings
        self._links = links

    def take(self, user: str, wanted: Mapping[str, str]) -> int:
        """Change settings for a user, recorded before they are changed, and return how many were written.

        Settings that this user took before and does not want any more are given back.

        Args:
            user: Who needs them; an installation's link name.
            wanted: Values by path below ``/proc/sys``. A setting that has its value already and is in nobody's record
                is not ours to put back, so it is not recorded.
        """
        with self._record() as record:
            changes = self._release(record, user, keep=set(wanted))
            todo: dict[str, str] = {}
            for name, value in wanted.items():
                current = self._read(name)
                known = record.settings.get(name)
                if current is None or (known is None and current == value):
                    continue
                if known is None:
                    known = record.settings[name] = _Setting(was=current, now=value, users=[])
                if user not in known.users:
                    known.users.append(user)
                if current != value:
                    todo[name] = value
            self._write(record)
            for name, value in todo.items():
                (self._settings / name).write_text(value)
        return changes + len(todo)

    def give_back(self, user: str) -> None:
        """Put back what only this user needed changed; a setting that somebody else changed since stays."""
        if not self.file.exists():
            return
        with self._record() as record:
            self._release(record, user, keep=set())
            self._write(record)

    def of(self, user: str) -> dict[str, str]:
        """Return the settings that a user needs changed, and what they were before."""
        if not self.file.exists():
            return {}
        with self._record() as record:
            return {name: setting.was for name, setting in record.settings.items() if user in setting.users}

    def _release(self, record: _Record, user: str, *, keep: set[str]) -> int:
        written = 0
        for name, setting in list(record.settings.items()):
            setting.users = [other for other in setting.users if other == user or (self._links / other).exists()]
            if name in keep:
                continue
            setting.users = [other for other in setting.users if other != user]
            if setting.users:
                continue
            del record.settings[name]
            if self._read(name) == setting.now:
                (self._settings / name).write_text(setting.was)
                written += 1
        return written

    def _read(self, name: str) -> str | None:
        try:
            return (self._settings / name).read_text().strip()
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _record(self) -> Generator[_Record, None, None]:
        with locks.wait_for(self.file.parent):
            yield msgspec.json.decode(self.file.read_bytes(), type=_Record) if self.file.exists() else _Record()

    def _write(self, record: _Record) -> None:
        if record.settings:
            write_atomically(self.file, msgspec.json.encode(record))
        else:
            self.file.unlink(missing_ok=True)
