"""Objects that are set aside: a look at each held up this process until its supervisor ended it.

The supervisor writes down what the loop stood still at, in a file beside the pulse, before it ends a process. The next
process takes the note over into a file of its own, and leaves the object alone: until it is changed, or a time is over
that doubles with each such end.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.host.files import write_atomically
from virtualserver.kube.trouble import SET_ASIDE, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from virtualserver.kube.objects import Manifest

__all__ = ["FIRST_SECONDS", "LAST_SECONDS", "Aside", "mark_of"]

FIRST_SECONDS: Final = 600.0
LAST_SECONDS: Final = 4 * 3600.0
_VERSION: Final = 1

_logger = logging.getLogger(__name__)


class _Case(msgspec.Struct):
    """One object.

    Attributes:
        times: How many processes it has held up.
        until: Seconds since the epoch.
        mark: Of the object as it was at the first look after it was set aside, ``""`` before that.
    """

    times: int
    until: float
    mark: str = ""


class _Record(msgspec.Struct):
    version: int = _VERSION
    objects: dict[str, _Case] = {}


class Aside:
    """What this process leaves alone; only to be made once a process, by the one that owns the folder.

    Args:
        folder: Where the record lies, and the supervisor's note, ``held``.
        now: Tells the seconds since the epoch.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._file = folder / "aside.json"
        self._now = now
        self._objects = _load(self._file)
        note = folder / "held"
        try:
            work = note.read_text(errors="replace")
        except FileNotFoundError:
            return
        if work:
            before = self._objects.get(work, _Case(0, 0.0))
            wait = min(FIRST_SECONDS * 2**before.times, LAST_SECONDS)
            self._objects[work] = _Case(before.times + 1, now() + wait)
            self._save()
            _logger.error("%s held up the process before this one: it is left alone for %.0f s", work, wait)
        note.unlink(missing_ok=True)

    def trouble(self, work: str, live: Manifest | None) -> tuple[Trouble, float] | None:
        """Return why an object is left alone and for how many seconds more; None where it is not.

        Args:
            work: As the pulse names it.
            live: The object as it is; None where it is gone.
        """
        case = self._objects.get(work)
        if case is None or live is None:
            return None
        mark = mark_of(live)
        if not case.mark:
            case.mark = mark
            self._save()
        left = min(case.until - self._now(), LAST_SECONDS)
        if mark != case.mark or left <= 0:
            return None
        until = time.strftime("%H:%M UTC", time.gmtime(case.until))
        message = (
            "the last look at this object held up all others, so it was broken off; it is looked at again when it is "
            f"changed, else at {until}: make it smaller or simpler"
        )
        return Trouble(SET_ASIDE, message), left

    def over(self, work: str) -> None:
        """Say that a look at an object came to its end."""
        if self._objects.pop(work, None) is not None:
            self._save()

    def _save(self) -> None:
        write_atomically(self._file, msgspec.json.encode(_Record(objects=self._objects)))


def mark_of(manifest: Manifest) -> str:
    """Return what is different once somebody changed an object; a status is no change."""
    metadata = {
        key: value
        for key, value in manifest["metadata"].items()
        if key in ("uid", "labels", "annotations", "deletionTimestamp")
    }
    content = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    return hashlib.sha256(msgspec.json.encode([metadata, content], order="sorted")).hexdigest()


def _load(file: Path) -> dict[str, _Case]:
    try:
        record = msgspec.json.decode(file.read_bytes(), type=_Record)
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError:
        _logger.warning("%s: cannot be read: nothing is left alone", file)
        return {}
    return record.objects if record.version == _VERSION else {}
