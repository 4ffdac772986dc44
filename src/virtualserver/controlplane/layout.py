"""Where the control plane's files lie within an instance's folders. Names only: nothing here touches a file.

Tests: every test of this package.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.instance import Instance

__all__ = ["Layout"]


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """The control plane's files of one instance.

    Attributes:
        instance: The instance.
    """

    instance: Instance

    @property
    def pki(self) -> Path:
        """Holds CA certificates (world-readable), and a folder per component that only the component can read."""
        return self.instance.state / "pki"

    @property
    def etcd_data(self) -> Path:
        """Etcd's data directory."""
        return self.instance.state / "etcd"

    @property
    def kubeconfigs(self) -> Path:
        """Kubeconfigs of our own components."""
        return self.instance.state / "kubeconfigs"

    @property
    def audit(self) -> Path:
        """The folder of kube-apiserver's audit log, which kube-apiserver itself rotates."""
        return self.instance.logs / "audit"

    @property
    def processes(self) -> Path:
        """One record per running component."""
        return self.instance.run / "components"

    @property
    def socket(self) -> Path:
        """Where the supervisor answers `vs`."""
        return self.instance.run / "supervisor.sock"

    @property
    def supervisor_lock(self) -> Path:
        """Locked while a supervisor lives; lies in the state folder, so that one state never has two supervisors."""
        return self.instance.state / "supervisor.lock"

    @property
    def change_lock(self) -> Path:
        """Locked while `vs` starts, stops or changes the instance."""
        return self.instance.root / f".{self.instance.name}.lock"

    def log(self, component: str) -> Path:
        """Return the log of a component or of the supervisor."""
        return self.instance.logs / f"{component}.log"

    def ready(self, component: str) -> Path:
        """Return the file into which the operator or the node writes its PID once it works."""
        return self.instance.run / component / "ready"
