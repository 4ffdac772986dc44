"""Processes that outlive whoever started them: found again by a record, never by name, and never signalled by mistake.

A PID alone says nothing, because the kernel uses it again: a process is its PID and its start time. A record is
written before the start, with a random token that the process carries in its environment, so that a process whose
parent was killed between the start and the second record is found too.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from virtualserver.controlplane.options import NAMES
from virtualserver.host import confined, locks
from virtualserver.host.files import make_folder, write_atomically
from virtualserver.host.process import Process, boot_id
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.controlplane.components import Component

__all__ = ["TOKEN", "Records", "spawn", "strays"]

TOKEN: Final = "VS_COMPONENT_TOKEN"  # noqa: S105 - the name of a variable
"""What a component has in its environment, and hands to no process of its own."""
_VERSION: Final = 1


class Records:
    """The records of one installation's running components, one file each.

    Args:
        folder: Where they lie; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = boot_id()

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
        try:
            return json.loads((self._folder / f"{name}.json").read_bytes())
        except FileNotFoundError:  # maybe since it was listed: the supervisor forgets what has ended
            return {}

    def _write(self, name: str, record: dict[str, Any]) -> None:
        make_folder(self._folder, 0o700)
        content = {"version": _VERSION, "boot": self._boot, **record}
        write_atomically(self._folder / f"{name}.json", json.dumps(content))


def digest(component: Component) -> list[Any]:
    """Return what must be the same for a running process to be kept: all that it was told."""
    told = [component.version, list(component.argv), dict(sorted(component.environment.items())), component.uid]
    return [*told, confined.VERSION] if component.uid else told


def spawn(component: Component, records: Records, log: Path) -> subprocess.Popen[bytes]:
    """Start a component in a session of its own, under its user and confined to it, recorded before and after.

    Args:
        component: What to start.
        records: Where it is recorded.
        log: Its output is appended to this file, which it keeps open: it goes on writing when we are gone.

    Where the program itself cannot be started, the child says so in the log and ends.

    Raises:
        OSError: Nothing can be started.
    """
    token = records.intend(component)
    argv = component.argv if component.uid == os.geteuid() else confined.argv(component.uid, component.argv)
    with log.open("ab") as output:
        log.chmod(0o600)
        child = subprocess.Popen(
            argv,
            cwd="/",
            env={**component.environment, TOKEN: token},
            stdin=subprocess.PIPE if component.loads_after else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
        )
    process = Process.of(child.pid)
    if process:
        records.started(component, process)
    return child


def strays(installation: Installation) -> dict[str, Process]:
    """Return the processes of an installation's control plane by name, whatever has become of its folders and records.

    A component bears a token, and is told paths in the installation's folders; the node and the supervisor bear its
    name and root, and whoever has the node's lock is its node. Those of another mount namespace are another machine's,
    as a container is one.
    """
    found: dict[str, Process] = {}
    mounts = os.stat("/proc/self/ns/mnt").st_ino
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_text(errors="replace").split("\0")
            name = _name_of(line)
            if not name or (path / "ns/mnt").stat().st_ino != mounts:
                continue
            words = (path / "environ").read_text(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended, or is not ours to see
        environment = {key: value for key, _, value in (word.partition("=") for word in words)}
        process = Process.of(int(path.name)) if _is_of(installation, line, environment) else None
        if process:
            found[name] = process
    pid = locks.holder(installation.node_lock)  # of a node that somebody started by hand, wherever its run folder is
    node = Process.of(pid) if pid else None
    return {**found, "node": node} if node else found


def _is_of(installation: Installation, line: list[str], environment: Mapping[str, str]) -> bool:
    if "VS_INSTANCE" in environment:  # the node and the supervisor
        return Installation.from_environment(environment) == installation
    told = (f"={installation.state}/", f"={installation.run}/")
    return TOKEN in environment and any(part in word for word in line for part in told)


def _name_of(line: list[str]) -> str:
    """Return which of our processes a command line starts, ``""`` where it is none."""
    program, how, what = (*line, "", "", "")[:3]
    if how == "-m":
        name = "supervisor" if what == "virtualserver.controlplane" else what.removeprefix("virtualserver.")
    else:
        name = Path(what).stem if how == "-I" else Path(program).name
    return name if name in (*NAMES, "supervisor") else ""


def _with_token(token: str) -> Process | None:
    wanted = f"{TOKEN}={token}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                return Process.of(int(path.parent.name))
        except OSError:
            continue  # it has just ended, or is not ours to see
    return None
