"""The person behind the command: root, or the user who called it through sudo, and that user's ssh key.

What is made for a person (the kubeconfig, a key) belongs to that person.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import subprocess
from pathlib import Path

from virtualserver.host.files import write_atomically
from virtualserver.local.errors import LocalError

__all__ = ["Caller", "SshKey", "require_root", "ssh_key", "write_for"]

_KEY_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Who called the command.

    Attributes:
        name: The login name.
        uid: The user's number.
        gid: The number of the user's group.
        home: The user's home folder, whether it exists or not.
    """

    name: str
    uid: int
    gid: int
    home: Path

    @classmethod
    def find(cls) -> Caller:
        """Return the user who called sudo, else the user that this process runs as."""
        uid = os.getuid()
        sudo = os.environ.get("SUDO_UID", "")
        if uid == 0 and sudo.isdecimal():
            uid = int(sudo)
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(name=str(uid), uid=uid, gid=uid, home=Path("/nonexistent"))
        return cls(name=entry.pw_name, uid=uid, gid=entry.pw_gid, home=Path(entry.pw_dir))

    def own(self, path: Path, *, mode: int = 0o600) -> None:
        """Give a file or folder to the caller; only root can, and nobody else needs to."""
        if os.getuid() == 0:
            os.chown(path, self.uid, self.gid)
            path.chmod(mode)


@dataclasses.dataclass(frozen=True, slots=True)
class SshKey:
    """A key with which the caller logs in.

    Attributes:
        public: The line of the public key.
        private: The file of the private key; None where it is not beside the public one (an agent may hold it).
        made: True where it was made by us.
    """

    public: str
    private: Path | None
    made: bool

    def options(self) -> list[str]:
        """Return the arguments that ssh needs to find this key by itself."""
        return ["-i", str(self.private)] if self.made and self.private else []


def write_for(caller: Caller, path: Path, content: str) -> None:
    """Write a file of mode 0600 that belongs to the caller, as a whole or not at all."""
    write_atomically(path, content)
    caller.own(path)


def require_root(command: str) -> None:
    """Refuse to go on without root.

    Raises:
        LocalError: This process is not root; says how to become it.
    """
    if os.getuid() != 0:
        raise LocalError(
            f"`{command}` needs root: it makes network namespaces and starts guests.",
            remedy=f"Run it through sudo: sudo env PATH=$PATH {command}",
        )


def ssh_key(caller: Caller, folder: Path) -> SshKey:
    """Return the caller's own ssh key, else one made for the caller and kept in a folder.

    Args:
        caller: Whose ``~/.ssh`` is looked into.
        folder: Where a key is made if the caller has none; made if missing, and given to the caller.

    Raises:
        LocalError: The caller has no key and none can be made.
    """
    own = _existing_key(caller.home / ".ssh")
    if own is not None:
        return own
    private = folder / "id_ed25519"
    public = private.with_suffix(".pub")
    if not public.exists():
        _make_key(caller, private)
    return SshKey(public=public.read_text().strip(), private=private, made=True)


def _existing_key(folder: Path) -> SshKey | None:
    preferred = [folder / f"{name}.pub" for name in _KEY_NAMES]
    try:
        others = sorted(set(folder.glob("*.pub")) - set(preferred))
        for public in [*preferred, *others]:
            if not public.is_file():
                continue
            # A certificate, an empty file or one that is no text in UTF-8 is no key that a guest could let in.
            line = public.read_text(encoding="utf-8", errors="replace").strip()
            if "\ufffd" in line:
                continue
            if line.startswith(("ssh-", "ecdsa-", "sk-")) and "-cert-" not in line.split()[0]:
                private = public.with_suffix("")
                return SshKey(public=line, private=private if private.exists() else None, made=False)
    except PermissionError:
        return None
    return None


def _make_key(caller: Caller, private: Path) -> None:
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    caller.own(private.parent, mode=0o700)
    # A private key without its public half is left by an interrupted run, and ssh-keygen would ask about it.
    private.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{caller.name}@virtualserver", "-f", str(private)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise LocalError("no ssh key and no ssh-keygen.", remedy="apt-get install openssh-client") from error
    except subprocess.CalledProcessError as error:
        raise LocalError(f"ssh-keygen could not make {private}: {error.stderr.strip()}") from error
    caller.own(private)
    caller.own(private.with_suffix(".pub"), mode=0o644)
