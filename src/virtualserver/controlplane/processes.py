"""Processes that outlive whoever started them: found again by a record, never by name, and never signalled by mistake.

A PID alone says nothing, because the kernel uses it again: a process is its PID and its start time. A record is
written before the start, with a random token that the process carries in its environment, so that a process whose
parent was killed between the start and the second record is found too.
Tests: ``tests/integration/controlplane/test_supervisor.py``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from virtualserver.instance import write_atomically

if TYPE_CHECKING:
    from collections.abc import Generator

    from virtualserver.controlplane.components import Component

__all__ = ["Process", "Records", "end", "spawn"]

_TOKEN: Final = "VS_COMPONENT_TOKEN"  # noqa: S105 - the name of a variable
_VERSION: Final = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """One process, for all time.

    Attributes:
        pid: Its PID.
        started: Its start time in clock ticks since boot, from ``/proc/PID/stat``.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process that has this PID now, None where none has it or it is only a zombie."""
        try:
            # The command name, which may hold anything, ends with the last parenthesis.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return Process.of(self.pid) == self

    @contextlib.contextmanager
    def open(self) -> Generator[int | None]:
        """Yield a descriptor that stands for this very process, None where it has ended; readable once it ends."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield descriptor if self.is_alive() else None  # looked at after the opening: it cannot be another's by now
        finally:
            os.close(descriptor)


class Records:
    """The records of one instance's running components, one file each.

    Args:
        folder: Where they lie; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def intend(self, component: Component) -> str:
        """Record that a component is about to be started, and return the token for its environment."""
        token = secrets.token_hex(16)
        self._write(component.name, {"token": token, "digest": digest(component)})
        return token

    def started(self, component: Component, process: Process) -> None:
        """Record the process of a component whose start was intended."""
        record = self._read(component.name)
        self._write(component.name, {**record, "pid": process.pid, "started": process.started})

    def find(self, name: str) -> Process | None:
        """Return the running process of a component, None where it does not run."""
        record = self._read(name)
        if record.get("boot") != self._boot:
            return None
        if "pid" in record:
            process = Process(record["pid"], record["started"])
            return process if process.is_alive() else None
        return _with_token(record["token"])

    def is_current(self, component: Component) -> bool:
        """Return whether the recorded process was started as the component is described now."""
        return self._read(component.name).get("digest") == digest(component)

    def all(self) -> dict[str, Process]:
        """Return every running component by name."""
        found = {path.stem: self.find(path.stem) for path in sorted(self._folder.glob("*.json"))}
        return {name: process for name, process in found.items() if process}

    def forget(self, name: str) -> None:
        """Remove the record of a component that has ended."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, Any]:
        path = self._folder / f"{name}.json"
        return json.loads(path.read_bytes()) if path.exists() else {}

    def _write(self, name: str, record: dict[str, Any]) -> None:
        self._folder.mkdir(mode=0o755, exist_ok=True)
        content = {"version": _VERSION, "boot": self._boot, **record}
        write_atomically(self._folder / f"{name}.json", json.dumps(content), mode=0o644)


def digest(component: Component) -> list[Any]:
    """Return what must be the same for a running process to be kept: all that it was told."""
    return [component.version, list(component.argv), dict(sorted(component.environment.items())), component.uid]


def spawn(component: Component, records: Records, log: Path) -> subprocess.Popen[bytes]:
    """Start a component in a session of its own, under its user, recorded before and after.

    Args:
        component: What to start.
        records: Where it is recorded.
        log: Its output is appended to this file, which it keeps open: it goes on writing when we are gone.

    Raises:
        OSError: It cannot be started: no such program, or the user may not execute it.
    """
    token = records.intend(component)
    changes = component.uid != os.geteuid()
    with log.open("ab") as output:
        child = subprocess.Popen(
            component.argv,
            cwd="/",
            env={**component.environment, _TOKEN: token},
            stdin=subprocess.PIPE if component.loads_after else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
            user=component.uid if changes else None,
            group=component.uid if changes else None,
            extra_groups=[] if changes else None,
        )
    process = Process.of(child.pid)
    if process:
        records.started(component, process)
    return child


def end(process: Process, *, limit_seconds: float = 15) -> bool:
    """Ask a process to end, wait, and kill it when the limit has passed; return whether it ended by itself."""
    with process.open() as descriptor:
        if descriptor is None:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if poll.poll(limit_seconds * 1000):
            return True
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll.poll(10_000)
        return False


def _with_token(token: str) -> Process | None:
    wanted = f"{_TOKEN}={token}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                return Process.of(int(path.parent.name))
        except OSError:
            continue  # it has just ended, or is not ours to see
    return None
