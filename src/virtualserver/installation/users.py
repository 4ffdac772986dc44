"""The numeric users that an installation's unprivileged processes run under.

Every process that does not need root has a UID of its own, so that none can read another's keys. The UIDs have no
names: nothing is added to ``/etc/passwd``, and nothing has to be removed from it.
"""

from __future__ import annotations

import grp
import pwd
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.installation.errors import InstallationError
from virtualserver.installation.record import UidRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from virtualserver.installation.installation import Installation

__all__ = ["SIZE", "choose", "recorded"]

SIZE: Final = 4096
"""UIDs of one installation: 16 for its processes, the rest for guests."""

_SLOTS: Final = 1024
# Where ranges may lie, in order of preference. systemd's "Users, Groups, UIDs and GIDs on systemd systems" leaves the
# first free for everybody; a container often maps 65,536 UIDs only, of which the end of the second is the least used.
_PLACES: Final = (range(0x70000000, 0x70000000 + _SLOTS * SIZE), range(20480, 20480 + 9 * SIZE))


def choose(*, mapped: Sequence[range], taken: Iterable[range], slot: int) -> UidRange:
    """Choose a range of UIDs that nobody uses; pure.

    Args:
        mapped: The UIDs that exist in this user namespace.
        taken: UIDs of accounts, of subordinate ranges, of other installations and of running processes.
        slot: Where to begin to look, 0 or more, so that installations that do not know of each other differ.

    Returns:
        The first free range from that slot on.

    Raises:
        InstallationError: No range is free.
    """
    busy = list(taken)
    for place in _PLACES:
        slots = len(place) // SIZE
        for number in range(slots):
            candidate = range(first := place.start + (slot + number) % slots * SIZE, first + SIZE)
            exists = any(part.start <= candidate.start and candidate.stop <= part.stop for part in mapped)
            if exists and not any(_overlap(candidate, other) for other in busy):
                return UidRange(candidate.start, SIZE)
    raise InstallationError(
        f"no {SIZE} consecutive user IDs are free between {_PLACES[1].start} and {_PLACES[0].stop}: "
        "shorten ranges in /etc/subuid, or record free ones as `uids` in the instance's instance.json"
    )


def recorded(installation: Installation) -> UidRange:
    """Return the installation's UIDs, chosen and recorded at the first call; the caller holds its lock."""
    chosen = installation.record().uids
    if chosen is None:
        mapped = [range(int(a), int(a) + int(n)) for a, _, n in _lines("/proc/self/uid_map")]
        chosen = choose(
            mapped=mapped, taken=_taken(installation), slot=zlib.crc32(str(installation.state).encode()) % _SLOTS
        )
        with installation.changing() as record:
            record.uids = chosen
    return chosen


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _lines(path: str, separator: str | None = None) -> Iterator[list[str]]:
    file = Path(path)
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        fields = line.split("#")[0].strip().split(separator)
        if len(fields) == 3:
            yield fields


def _taken(installation: Installation) -> Iterator[range]:
    for account in pwd.getpwall():
        yield range(account.pw_uid, account.pw_uid + 1)
    for group in grp.getgrall():
        yield range(group.gr_gid, group.gr_gid + 1)
    for path in ("/etc/subuid", "/etc/subgid"):
        for _, first, count in _lines(path, ":"):
            yield range(int(first), int(first) + int(count))
    for other in installation.neighbours().values():
        if other.uids:
            yield range(other.uids.base, other.uids.base + other.uids.size)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            uid = process.stat().st_uid
        except OSError:
            continue  # it has just ended
        yield range(uid, uid + 1)
