"""One installation of one-machine mode: its name, every path and name that follows from it, and its record.

An installation lives wholly in its state folder, so that several run side by side on one machine (a user's and the
tests'). This module knows folders and records only: nothing here starts a process or touches the network. No other
module spells out a path of an installation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired import names
from virtualserver.host.files import make_folder
from virtualserver.installation import mac_key, migrations, record
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from virtualserver.installation.record import Record

__all__ = ["Installation"]

_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?")
_ROOT: Final = Path("/var/lib/virtualserver")
_RUN_ROOT: Final = Path("/run/virtualserver")


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
    root: Path = _ROOT
    run_root: Path = _RUN_ROOT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InstallationError(
                f"VS_INSTANCE: {self.name!r} is no instance name: use 1 to 16 lower-case letters, digits and dashes, "
                "beginning with a letter"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Installation:
        """Return the installation that ``VS_INSTANCE`` and ``VS_STATE`` name, else the default one.

        One place is one installation, however it is written: relative, through a link, or as the default.

        Args:
            environment: Of this process, or of another one that has our working directory or was given a whole path.
        """
        name = environment.get("VS_INSTANCE") or "default"
        state = environment.get("VS_STATE")
        if state and not _is_same(Path(state), _ROOT):
            return cls.below(Path(state).resolve(), name)
        found, earlier = cls(name, _ROOT, _RUN_ROOT), cls.below(_ROOT, name)
        # Earlier versions put the run folder there where VS_STATE named the default. What runs goes on there.
        return earlier if earlier.run.exists() and not found.run.exists() else found

    @classmethod
    def below(cls, root: Path, name: str = "default") -> Installation:
        """Return an installation whose run folder lies below its root too, so that it shares nothing outside of it."""
        return cls(name, root, root / ".run")

    def environment(self) -> dict[str, str]:
        """Return what makes a child process work on this installation; see `from_environment`."""
        own_root = {"VS_STATE": str(self.root)} if self.run_root == self.root / ".run" else {}
        return {"VS_INSTANCE": self.name, **own_root}

    @property
    def state(self) -> Path:
        """The folder that holds all of this installation that outlives a reboot."""
        return self.root / self.name

    @property
    def run(self) -> Path:
        """The folder of what a reboot may take: sockets, PID files, locks of components."""
        return self.run_root / self.name

    # What installations under one root share.

    @property
    def shared_binaries(self) -> Path:
        """The control plane's programs, and what their build leaves for the next one."""
        return self.root / ".controlplane"

    @staticmethod
    def usual_binaries() -> Path:
        """Return the `shared_binaries` of installations that lie where they usually do."""
        return _ROOT / ".controlplane"

    @property
    def commands(self) -> Path:
        """What a user adds to PATH: ``vs``, its kubectl plugin, and kubectl."""
        return self.root / ".bin"

    @property
    def change_lock(self) -> Path:
        """Locked while `vs` starts, stops or changes the installation.

        It lies outside of the state folder, since a purge removes that.
        """
        return self.root / f".{self.name}.lock"

    # The state folder: docs/state.md is the same list for people.

    @property
    def record_file(self) -> Path:
        """What the installation has recorded about itself; see `record`."""
        return self.state / "instance.json"

    @property
    def site_file(self) -> Path:
        """What the administrator says of this place; nobody else writes it, and often it does not exist."""
        return self.state / "site.yaml"

    @property
    def effective_site(self) -> Path:
        """What holds: the last faultless content of `site_file`, with the pools that were recorded."""
        return self.state / "effective-site.yaml"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, mode 0600."""
        return self.state / "kubeconfig"

    @property
    def kubectl_cache(self) -> Path:
        """What root's kubectl remembers of the API server's kinds."""
        return self.state / "kubectl-cache"

    @property
    def ssh(self) -> Path:
        """The caller's key where one had to be made, and the configuration for ``ssh -F``; 0700, the caller's."""
        return self.state / "ssh"

    @property
    def pki(self) -> Path:
        """CA certificates (world-readable), and a folder per component that only the component can read."""
        return self.state / "pki"

    @property
    def kubeconfigs(self) -> Path:
        """Kubeconfigs of our own components, each named after its component."""
        return self.state / "kubeconfigs"

    @property
    def etcd_data(self) -> Path:
        """Etcd's data directory."""
        return self.state / "etcd"

    @property
    def supervisor_lock(self) -> Path:
        """Locked while a supervisor lives; in the state folder, so that one state never has two supervisors."""
        return self.state / "supervisor.lock"

    @property
    def node_lock(self) -> Path:
        """Locked while a node lives; beside the records, disks and machines that two of them would both write to."""
        return self.state / "node.lock"

    @property
    def logs(self) -> Path:
        """The components' logs."""
        return self.state / "logs"

    @property
    def audit(self) -> Path:
        """Kube-apiserver's audit log, which kube-apiserver itself rotates."""
        return self.logs / "audit"

    @property
    def rights(self) -> Path:
        """How the roles and policies were left when they were applied last."""
        return self.state / "rights.json"

    @property
    def allocations(self) -> Path:
        """The node's record of every address, MAC, tap and user number."""
        return self.state / "claims.sqlite"

    @property
    def mac_key(self) -> Path:
        """The secret from which MAC addresses follow that nobody chose; 0600, root's."""
        return self.state / mac_key.FILE

    @property
    def operator_mac_key(self) -> Path:
        """The operator's copy of it, which a start writes."""
        return self.run_of("operator") / mac_key.FILE

    @property
    def accelerator(self) -> Path:
        """What the node found out about KVM at its last start."""
        return self.state / "accelerator.json"

    @property
    def images(self) -> Path:
        """The store of images."""
        return self.state / "images"

    @property
    def image_build(self) -> Path:
        """Where an image is built.

        One folder for all builds, so that the next one finds and removes what a killed one left.
        """
        return self.state / ".build"

    @property
    def disks(self) -> Path:
        """Servers' disks."""
        return self.state / "disks"

    @property
    def seeds(self) -> Path:
        """Cloud-init's disks."""
        return self.state / "seeds"

    @property
    def machines(self) -> Path:
        """What each machine was started with and how it ended; a folder per machine."""
        return self.state / "machines"

    # The run folder.

    @property
    def socket(self) -> Path:
        """Where the supervisor answers `vs`."""
        return self.run / "supervisor.sock"

    @property
    def processes(self) -> Path:
        """A record of each running component."""
        return self.run / "components"

    @property
    def machines_run(self) -> Path:
        """The machines' sockets; a folder per machine."""
        return self.run / "machines"

    @property
    def fabric_run(self) -> Path:
        """The data plane's files: dnsmasq's configuration and leases."""
        return self.run / "fabric"

    def run_of(self, component: str) -> Path:
        """Return the run folder of the operator or the node, which only that component can write."""
        return self.run / component

    def ready(self, component: str) -> Path:
        """Return the file into which the operator or the node writes its PID once it works."""
        return self.run_of(component) / "ready"

    @property
    def console_socket(self) -> Path:
        """Where the console gives links that sign in, to everybody who shows who they are."""
        return self.run_of("links") / "console"

    def log(self, component: str) -> Path:
        """Return the log of a component or of the supervisor."""
        return self.logs / f"{component}.log"

    # Names in the kernel.

    @property
    def namespace(self) -> str:
        """The network namespace that holds the data plane."""
        return names.namespace_of(self.name)

    def record(self) -> Record:
        """Return everything recorded about this installation, an empty record before its first start.

        Raises:
            InstallationError: The state folder has another version than this program's, or the record is damaged.
        """
        if migrations.is_older(self.state):
            raise InstallationError(
                f"{self.state} was written by an earlier version of this program: run `vs up`, which takes it over"
            )
        return record.read(self.record_file)

    @contextlib.contextmanager
    def changing(self) -> Generator[Record]:
        """Yield the record, and write it once the body has changed it; nothing is written where the body fails.

        Only the process that holds the installation's lock may call this.
        """
        self.create()
        recorded = self.record()
        yield recorded
        record.write(self.record_file, recorded)

    def neighbours(self) -> dict[str, Record]:
        """Return what every other installation under the same root has recorded, by its name."""
        files = sorted(self.root.glob(f"*/{self.record_file.name}"))
        return {file.parent.name: record.read(file) for file in files if file.parent.name != self.name}

    def identifier(self) -> str:
        """Return 6 hexadecimal digits that name this installation in link names, recorded before their first use."""
        if not self.record().identifier:
            with self.changing() as recorded:
                recorded.identifier = secrets.token_hex(3)
        return self.record().identifier

    def create(self) -> None:
        """Make the folders, and bring what is there to this program's version."""
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.run_root.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (self.state, self.run):
            make_folder(folder, 0o755)  # another's end may just have removed run_root
        make_folder(self.logs, 0o711)
        migrations.migrate(self.state)


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one folder, which need not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()
