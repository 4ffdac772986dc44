"""``make up`` by somebody who is not root: it goes through sudo, and what is made for a person is that person's."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import control_plane as plane
from harness.guest import image as guest_image

if TYPE_CHECKING:
    from collections.abc import Generator

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(1200)


class Ada:
    """A user of this machine who may use sudo.

    Attributes:
        name: The login name.
        state: The folder that stands for ``/var/lib/virtualserver``.
        folder: The instance's state folder.
        checkout: A checkout that the user may read.
    """

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.state = state
        self.installation = f"su-{os.getpid()}"
        self.folder = state / self.installation
        self.checkout = state / "checkout"

    @property
    def uid(self) -> int:
        """The user's number."""
        return pwd.getpwnam(self.name).pw_uid

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout as this user, with nothing of ours in the environment."""
        passed = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "https_proxy", "HTTPS_PROXY")
        environment = {
            **{name: os.environ[name] for name in passed if name in os.environ},
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": pwd.getpwnam(self.name).pw_dir,
            "VS_STATE": str(self.state),
            "VS_INSTANCE": self.installation,
            "VS_CONTROLPLANE": str(plane.programs().folder),
        }
        return subprocess.run(
            ["/usr/sbin/runuser", "-u", self.name, "--", *command],
            cwd=self.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def make(self, *arguments: str) -> str:
        """Run ``make``, which must succeed, and return what it printed."""
        done = self.run("make", "--no-print-directory", *arguments)
        assert done.returncode == 0, f"make {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def ada() -> Generator[Ada]:
    """Somebody who has started an instance; user, permission and instance are removed afterwards."""
    name = f"vsada{os.getpid()}"
    permission = Path("/etc/sudoers.d") / name
    state = Path(tempfile.mkdtemp(prefix="vsa-", dir="/tmp"))
    state.chmod(0o755)
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    try:
        permission.write_text(f"{name} ALL=(root) NOPASSWD: ALL\n")
        permission.chmod(0o440)
        somebody = Ada(name, state)
        try:
            left_out = shutil.ignore_patterns(".git", ".venv", "node_modules", "__pycache__", "build")
            shutil.copytree(CHECKOUT, somebody.checkout, ignore=left_out)
            somebody.make("up", "ARGS=--no-hello")
            yield somebody
        finally:
            if (state / ".venv" / "bin" / "vs").exists():
                somebody.make("purge", "ARGS=--yes")
    finally:
        permission.unlink(missing_ok=True)
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)
        shutil.rmtree(state)


def test_the_kubeconfig_is_the_callers_and_works(ada: Ada) -> None:
    kubeconfig = ada.folder / "kubeconfig"
    status = kubeconfig.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (ada.uid, 0o600)
    done = ada.run(str(ada.state / ".bin" / "kubectl"), f"--kubeconfig={kubeconfig}", "get", "nodes", "-o", "name")
    assert done.stdout.startswith("node/"), done.stderr


def test_the_key_is_the_callers(ada: Ada) -> None:
    image = guest_image.build()
    files = ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--command-line", image.command_line]
    subprocess.run(
        [str(ada.state / ".venv" / "bin" / "vs"), "image", "add", str(image.disk), "--name", "debian", *files],
        env={**os.environ, "VS_STATE": str(ada.state), "VS_INSTANCE": ada.installation, "PYTHONPATH": ""},
        check=True,
        capture_output=True,
    )
    # The key comes first; the tests' image has no ssh server to wait for.
    ada.run("make", "up", "ARGS=--timeout 1")
    key = ada.folder / "ssh" / "id_ed25519"
    assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (ada.uid, 0o600)
    assert (key.parent.stat().st_uid, key.parent.stat().st_mode & 0o777) == (ada.uid, 0o700)
    assert ada.run("ssh-keygen", "-y", "-f", str(key)).returncode == 0


def test_the_status_goes_through_sudo_and_without_it_says_so(ada: Ada) -> None:
    assert "kube-apiserver" in ada.make("status")
    done = ada.run(str(ada.state / ".bin" / "vs"), "status")
    assert done.returncode == 1
    assert "sudo env PATH=$PATH vs status" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_else_in_the_state_folder_is_the_callers(ada: Ada) -> None:
    theirs = {path for path in ada.folder.rglob("*") if path.lstat().st_uid == ada.uid}
    folder = ada.folder / "ssh"
    assert {path for path in theirs if folder not in [path, *path.parents]} == {ada.folder / "kubeconfig"}
