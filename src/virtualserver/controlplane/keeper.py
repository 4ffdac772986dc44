"""Keeps the supervisor, as the supervisor keeps everything else: the node's part of that.

Nobody starts a supervisor again that was killed, on a machine without systemd. Its components go on meanwhile, and
the next one adopts them.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
from typing import TYPE_CHECKING, Final

from virtualserver.controlplane import lifecycle
from virtualserver.host import locks, process, watchdog

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["keep_supervisor"]

_LONGEST_PAUSE: Final = 30.0

_log = logging.getLogger(__name__)


async def keep_supervisor(installation: Installation) -> None:
    """Start the supervisor again where it was killed, and end one that somebody has stopped; until cancelled.

    Where a `vs` stops, starts or changes the installation, that one knows better. One that ends at once is started
    again ever more seldom, at least each 30 s.

    Args:
        installation: One whose node the supervisor keeps; another one is left alone.
    """
    pause, still = watchdog.LOOK_SECONDS, None
    while True:
        await asyncio.sleep(pause)
        pid = locks.holder(installation.supervisor_lock)
        supervisor = process.Process.of(pid) if pid else None
        if supervisor is None:
            still = None
            try:
                if await asyncio.to_thread(lifecycle.resume, installation):
                    _log.warning("the supervisor had ended: it is started again")
                    pause = min(pause * 2, _LONGEST_PAUSE)
            except (OSError, subprocess.SubprocessError) as error:
                _log.error("the supervisor has ended, and cannot be started again: %s", error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            continue
        if still is None or still.process != supervisor:
            still = watchdog.Standstill(supervisor)
        silent = still.look()
        if silent >= watchdog.LIMIT_SECONDS:
            _log.error("the supervisor, PID %d, was stopped (SIGSTOP) for %.0f s, so it is ended", pid, silent)
            await asyncio.to_thread(process.end, supervisor, by=signal.SIGKILL)
        elif silent == 0:
            pause = watchdog.LOOK_SECONDS
