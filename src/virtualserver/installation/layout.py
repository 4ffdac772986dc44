"""Where the control plane's files lie within an installation's folders. Names only: nothing here touches a file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.installation.installation import Installation

__all__ = ["Layout"]


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """The control plane's files of one installation.

    Attributes:
        installation: The installation.
    """

    installation: Installation

    @property
    def pki(self) -> Path:
        """Holds CA certificates (world-readable), and a folder per component that only the component can read."""
        return self.installation.state / "pki"

    @property
    def etcd_data(self) -> Path:
        """Etcd's data directory."""
        return self.installation.state / "etcd"

    @property
    def kubeconfigs(self) -> Path:
        """Kubeconfigs of our own components."""
        return self.installation.state / "kubeconfigs"

    @property
    def audit(self) -> Path:
        """The folder of kube-apiserver's audit log, which kube-apiserver itself rotates."""
        return self.installation.logs / "audit"

    @property
    def processes(self) -> Path:
        """One record per running component."""
        return self.installation.run / "components"

    @property
    def socket(self) -> Path:
        """Where the supervisor answers `vs`."""
        return self.installation.run / "supervisor.sock"

    @property
    def supervisor_lock(self) -> Path:
        """Locked while a supervisor lives; lies in the state folder, so that one state never has two supervisors."""
        return self.installation.state / "supervisor.lock"

    @property
    def change_lock(self) -> Path:
        """Locked while `vs` starts, stops or changes the installation."""
        return self.installation.root / f".{self.installation.name}.lock"

    def log(self, component: str) -> Path:
        """Return the log of a component or of the supervisor."""
        return self.installation.logs / f"{component}.log"

    def ready(self, component: str) -> Path:
        """Return the file into which the operator or the node writes its PID once it works."""
        return self.installation.run / component / "ready"
