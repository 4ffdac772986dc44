"""What somebody else took away or changed and was put back, written down for `vs status`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.fabric.desired.contest import Contest
from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from virtualserver.fabric.desired.repair import Repair

__all__ = ["FILE", "RecordedRepair", "read", "record"]

FILE: Final = "repairs.json"
_VERSION: Final = 1
_KEPT: Final = 20


class RecordedRepair(msgspec.Struct, frozen=True):
    """One thing that was put back.

    Attributes:
        time: When, in UTC, as RFC 3339 has it.
        what: In words.
        where: ``host``, or ``namespace NAME``.
    """

    time: str
    what: str
    where: str


class _File(msgspec.Struct):
    version: int = _VERSION
    repairs: list[RecordedRepair] = []


def read(run: Path) -> list[RecordedRepair]:
    """Return what was put back lately, the last one last; none where the file cannot be read.

    Args:
        run: The data plane's run folder.
    """
    try:
        return msgspec.json.decode((run / FILE).read_bytes(), type=_File).repairs
    except (OSError, msgspec.DecodeError):
        return []


def record(run: Path, repairs: Iterable[Repair | Contest], now: datetime.datetime) -> None:
    """Write down what was put back or is fought over, and forget all but the last 20; nothing where there is nothing.

    Args:
        run: The data plane's run folder.
        repairs: What was put back, and over what a fight has begun.
        now: The time, with its zone.
    """
    time = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    new = [
        RecordedRepair(time, f"{one.what}, again and again" if isinstance(one, Contest) else one.what, one.where)
        for one in repairs
    ]
    if not new:
        return
    recorded = [*read(run), *new]
    write_atomically(run / FILE, msgspec.json.encode(_File(repairs=recorded[-_KEPT:])), mode=0o644)
