"""When a machine that could not be started is tried again: ever more seldom, whoever asks. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["Attempts"]

_FIRST_SECONDS: Final = 5.0
_LONGEST_SECONDS: Final = 300.0


class _Failed(NamedTuple):
    times: int
    due: float


class Attempts:
    """The failed starts of VMIs, by UID, since this process began.

    A start that QEMU refuses costs a process each time, and a tenant can ask for many machines that QEMU refuses.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._failed: dict[str, _Failed] = {}

    def rest(self, uid: str, now: float) -> float:
        """Return for how many seconds a VMI is not to be started yet; 0 where it may be.

        Args:
            uid: The VMI's.
            now: Seconds of a clock that nobody sets.
        """
        failed = self._failed.get(uid)
        return max(0.0, failed.due - now) if failed else 0.0

    def failed(self, uid: str, now: float) -> float:
        """Take in that a start failed, and return for how many seconds there is to be no other."""
        times = self._failed[uid].times + 1 if uid in self._failed else 1
        pause = min(_FIRST_SECONDS * 2.0 ** min(times - 1, 16), _LONGEST_SECONDS)
        self._failed[uid] = _Failed(times, now + pause)
        return pause

    def forget(self, uid: str) -> None:
        """Forget a VMI that started, or is gone."""
        self._failed.pop(uid, None)
