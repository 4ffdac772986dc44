"""A real, throw-away control plane for tests: etcd, kube-apiserver, kube-controller-manager; no operator, no node.

``PYTHONPATH=tests python -m harness.control_plane DIR`` (from the repository's root) starts one by hand, until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Generator

_DEVELOPMENT = Path("/var/cache/virtualserver-dev/bin")
ONLY_UPSTREAM = controlplane.Options(components=frozenset({"etcd", "kube-apiserver", "kube-controller-manager"}))


@dataclasses.dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    Attributes:
        installation: Its installation, whose folders are its own.
        url: The API server's address.
        kubectl_path: The client's program.
    """

    installation: Installation
    url: str
    kubectl_path: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.installation.kubeconfig

    @property
    def state(self) -> Path:
        """The installation's state folder."""
        return self.installation.state

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True, kubeconfig: Path | None = None) -> str:
        """Run kubectl and return what it prints (with check=False: errors too)."""
        done = subprocess.run(
            [
                self.kubectl_path,
                f"--kubeconfig={kubeconfig or self.kubeconfig}",
                f"--cache-dir={self.installation.root}/.kubectl",
                *args,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr


def programs() -> controlplane.Programs:
    """Return the programs that tests run: VS_CONTROLPLANE, the development folder, the product's cache."""
    if not os.environ.get("VS_CONTROLPLANE") and _DEVELOPMENT.is_dir():
        return controlplane.Programs(_DEVELOPMENT, "named")
    found = controlplane.find(Installation.from_environment()) or controlplane.find(Installation())
    assert found, "no control plane programs: name their folder in VS_CONTROLPLANE, or run `make up` once"
    return found


@contextlib.contextmanager
def an_installation(name: str = "test", *, room: str = "") -> Generator[Installation]:
    """Yield an installation in a folder of its own; stop it and remove the folder at the end.

    Args:
        name: Its name.
        room: How large a file system of its own it gets, such as ``900m``; empty: it has no file system of its own.
    """
    # Not pytest's tmp_path: that one is closed to other users, and etcd runs as one.
    root = Path(tempfile.mkdtemp(prefix="vs-test-", dir="/tmp"))
    if room:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "virtualserver-tests", root], check=True)
    root.chmod(0o755)
    installation = Installation.below(root, name)
    try:
        yield installation
    finally:
        controlplane.stop(installation)
        if room:
            subprocess.run(["umount", "--lazy", root], check=True)
        shutil.rmtree(root)


def start(installation: Installation) -> ControlPlane:
    """Start the control plane of an installation."""
    found = programs()
    status = controlplane.start(installation, found, options=ONLY_UPSTREAM)
    return ControlPlane(installation, status.url, found.kubectl)


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    root.mkdir(mode=0o755, exist_ok=True)
    installation = Installation.below(root, "dev")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"export KUBECONFIG={start(installation).kubeconfig}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        controlplane.stop(installation)


if __name__ == "__main__":
    main()
