"""One installation of one-machine mode: its name, its folders and what it has recorded about itself.

An installation lives wholly in its state folder, so that several run side by side on one machine (a user's and the
tests'). This module knows folders and records only: nothing here starts a process or touches the network.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any, Final

from virtualserver.host.files import write_atomically
from virtualserver.installation.errors import InstallationError

__all__ = ["STATE_VERSION", "Installation"]

STATE_VERSION: Final = 1
"""The version of the on-disk format that this code writes; see ``docs/state.md``."""

_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?")


@dataclasses.dataclass(frozen=True, slots=True)
class Installation:
    """Names and folders of one installation.

    Attributes:
        name: A DNS label of at most 16 characters; ``default`` unless ``VS_INSTANCE`` says otherwise.
        root: Holds every installation's state folder, and what they share; ``/var/lib/virtualserver`` unless
            ``VS_STATE`` says otherwise.
        run_root: Holds every installation's run folder (sockets and PID files, gone after a reboot).
    """

    name: str = "default"
    root: Path = Path("/var/lib/virtualserver")
    run_root: Path = Path("/run/virtualserver")

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InstallationError(
                f"VS_INSTANCE: {self.name!r} is no instance name: use 1 to 16 lower-case letters, digits and dashes, "
                "beginning with a letter"
            )

    @classmethod
    def from_environment(cls) -> Installation:
        """Return the installation that ``VS_INSTANCE`` and ``VS_STATE`` name, else the default one.

        With ``VS_STATE`` the run folder is ``$VS_STATE/.run``, so that such an installation shares nothing.
        """
        name = os.environ.get("VS_INSTANCE") or "default"
        state = os.environ.get("VS_STATE")
        if not state:
            return cls(name=name)
        return cls(name=name, root=Path(state).resolve(), run_root=Path(state).resolve() / ".run")

    @property
    def state(self) -> Path:
        """The folder that holds all of this installation that outlives a reboot."""
        return self.root / self.name

    @property
    def run(self) -> Path:
        """The folder of sockets and PID files."""
        return self.run_root / self.name

    @property
    def logs(self) -> Path:
        """The folder of the components' logs."""
        return self.state / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, mode 0600."""
        return self.state / "kubeconfig"

    @property
    def shared_binaries(self) -> Path:
        """Where the control plane's programs lie, shared by all installations under one root."""
        return self.root / ".controlplane"

    def record(self) -> dict[str, Any]:
        """Return everything recorded about this installation, ``{}`` before its first start.

        Raises:
            InstanceError: The state folder was written by a newer version of this program.
        """
        self.check_version()
        path = self.state / "instance.json"
        if not path.exists():
            return {}
        return json.loads(path.read_bytes())

    def remember(self, key: str, value: Any) -> Any:
        """Record a value under a key, unless one is recorded there: the first one stays, and is returned.

        Only the process that holds the installation's lock may call this.
        """
        record = self.record()
        if key in record:
            return record[key]
        return self.change_record(key, value)

    def change_record(self, key: str, value: Any) -> Any:
        """Record a value under a key in place of what was there, and return it."""
        record = self.record()
        record[key] = value
        self.create()
        write_atomically(self.state / "instance.json", json.dumps(record, indent=2, sort_keys=True), mode=0o644)
        return value

    def identifier(self) -> str:
        """Return 6 hexadecimal digits that name this installation in link names, recorded before their first use."""
        return self.remember("identifier", secrets.token_hex(3))

    def create(self) -> None:
        """Make the folders and the version file; what exists stays as it is."""
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.run_root.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (self.state, self.run, self.logs):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)  # another's end may just have removed run_root
        version = self.state / "VERSION"
        if not version.exists():
            write_atomically(version, f"{STATE_VERSION}\n", mode=0o644)

    def check_version(self) -> None:
        """Refuse a state folder that a newer version wrote.

        Raises:
            InstanceError: The folder's version is newer than ours, or is no number.
        """
        path = self.state / "VERSION"
        if not path.exists():
            return
        text = path.read_text().strip()
        if not text.isdecimal():
            raise InstallationError(
                f"{path}: {text!r} is no version; restore the file from a backup of the state folder"
            )
        if int(text) > STATE_VERSION:
            raise InstallationError(
                f"{path}: the state has version {text}, this program knows {STATE_VERSION}: "
                "install the newer program again, or choose another folder with VS_STATE"
            )
