"""A component as the supervisor keeps it: started once others are ready, probed, started again when it has ended."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from virtualserver.controlplane import errors
from virtualserver.controlplane.supervisor import control, logs, probes, processes
from virtualserver.host import pulse, watchdog
from virtualserver.host.files import write_atomically
from virtualserver.host.process import Process, end

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from virtualserver.controlplane.components import Component

__all__ = ["KeptComponent", "wait_for"]

_log = logging.getLogger("supervisor")

_FIRST_DELAY: Final = 0.25
_LONGEST_DELAY: Final = 30.0
_TRACE_SECONDS: Final = 2.0
"""How long a component that stands still may take to write where it does, before it is killed."""
_HEALTHY_SECONDS: Final = 60.0
"""After this long in health, a failure is the first one again."""


async def wait_for(readiness: Mapping[str, asyncio.Event], names: Iterable[str]) -> None:
    """Wait until all of these are ready; those that do not run in this installation are not waited for."""
    for name in names:
        if name in readiness:
            await readiness[name].wait()


class KeptComponent:
    """One component, kept running.

    Args:
        component: What runs.
        records: Where its process is recorded.
        log: Its output.
        readiness: What is ready, by its name; the component's own is set and cleared here.
    """

    def __init__(
        self, component: Component, records: processes.Records, log: Path, readiness: Mapping[str, asyncio.Event]
    ) -> None:
        self.component = component
        self.process: Process | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.ready = readiness[component.name]
        self._records = records
        self._log = log
        self._readiness = readiness
        self._restarts = 0
        self._failures = 0
        self._last_error = ""
        self._silent_seconds = 0.0
        self._broken_off = ""

    def report(self) -> control.ComponentReport:
        """Return how the component is."""
        return control.ComponentReport(
            name=self.component.name,
            pid=self.process.pid if self.process else None,
            version=self.component.version,
            ready=self.ready.is_set(),
            restarts=self._restarts,
            last_error=self._last_error,
            trouble=self._trouble,
        )

    @property
    def _trouble(self) -> str:
        """What is wrong with a process that lives, for people; ``""`` for nothing."""
        if self._silent_seconds < watchdog.DOUBT_SECONDS:
            return ""
        how = "its event loop has stood still" if self.component.pulse else "somebody has stopped it (SIGSTOP)"
        return f"{how} for {self._silent_seconds:.0f} s"

    async def run(self) -> None:
        """Keep the component running, for ever; one that runs already is adopted."""
        name = self.component.name
        self.process = self._records.find(name)
        if self.process and not self._records.is_current(self.component):
            _log.info("%s was started differently: starting it again", name)
            await asyncio.to_thread(end, self.process)
            self.process = None
        elif self.process:
            _log.info("adopted %s, PID %d", name, self.process.pid)
        while True:
            if self.process is None:
                await wait_for(self._readiness, self.component.loads_after or self.component.after)
                self._start()
            if self.process is not None:
                await self._attend(self.process)
            delay = min(_FIRST_DELAY * 2**self._failures, _LONGEST_DELAY)
            self._failures += 1
            self._restarts += 1
            _log.warning("%s: %s; starting it again in %.1f s", name, self._last_error, delay)
            await asyncio.sleep(delay)

    def _start(self) -> None:
        component = self.component
        try:
            if component.database:
                probes.refuse_second_user(component.database)
            self.child = processes.spawn(component, self._records, self._log)
        except (OSError, errors.ControlPlaneError) as error:
            self._last_error = f"cannot be started: {error}"
            return
        self.process = Process.of(self.child.pid)
        if self.process is None:
            self._last_error = _ending(self.child, self._log)
        else:
            _log.info("started %s, PID %d", component.name, self.process.pid)

    async def _attend(self, process: Process) -> None:
        """Probe a running component until it ends, then say how it ended."""
        began = time.monotonic()
        tasks = [asyncio.create_task(do) for do in (self._probe(process), self._release(), self._watch(process))]
        try:
            await _ended(process)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self.ready.is_set() and time.monotonic() - began > _HEALTHY_SECONDS:
            self._failures = 0
        self.ready.clear()
        self.process = None
        ending = _ending(self.child, self._log)
        self._last_error = self._broken_off or ending
        self.child, self._silent_seconds, self._broken_off = None, 0.0, ""

    async def _release(self) -> None:
        """Let a component that was started early begin; one that loses us before, begins by itself."""
        if self.child and self.child.stdin:
            with self.child.stdin:
                await wait_for(self._readiness, self.component.after)

    async def _probe(self, process: Process) -> None:
        probe = probes.make(self.component.probe, process)
        while True:
            if await asyncio.to_thread(probe) and not self._trouble:
                if not self.ready.is_set():
                    _log.info("%s is ready", self.component.name)
                self.ready.set()
                await asyncio.sleep(5)
            else:
                self.ready.clear()
                await asyncio.sleep(0.1)

    async def _watch(self, process: Process) -> None:
        """End a component that stands still, and note at what: its successor leaves that alone."""
        component = self.component
        dog, still, beat = watchdog.Watchdog(process.pid), watchdog.Standstill(process), None
        while self._silent_seconds < watchdog.LIMIT_SECONDS:
            await asyncio.sleep(watchdog.LOOK_SECONDS)
            beat = pulse.read(component.pulse) if component.pulse else None
            self._silent_seconds = dog.look(beat, now=time.monotonic()) if component.pulse else still.look()
            if self._trouble:
                self.ready.clear()
        # Who is stopped from outside stands still at whatever it did at that moment.
        work = beat.work if beat and not process.is_stopped() else ""
        try:
            if component.pulse:
                write_atomically(component.pulse.with_name("held"), work, mode=0o644)
        except OSError as error:
            _log.error("%s: what it stood still at could not be noted: %s", component.name, error)
        self._broken_off = f"{self._trouble}{f' at {work}' if work else ''}, so it was ended: its log says where"
        _log.error("%s: %s", component.name, self._broken_off)
        await asyncio.to_thread(end, process, limit_seconds=_TRACE_SECONDS, by=signal.SIGABRT)


async def _ended(process: Process) -> None:
    loop = asyncio.get_running_loop()
    with process.open() as descriptor:
        if descriptor is None:
            return
        over = asyncio.Event()
        loop.add_reader(descriptor, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(descriptor)


def _ending(child: subprocess.Popen[bytes] | None, log: Path) -> str:
    status = child.wait() if child else None
    if status is None:
        how = "ended"
    elif status < 0:
        how = f"was ended by {signal.Signals(-status).name}"
    else:
        how = f"ended with status {status}"
    return f"{how}; its log, {log}, ends with: {logs.last_line(log)}"
