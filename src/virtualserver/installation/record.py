"""What an installation has recorded about itself: the content of ``instance.json``, typed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

import msgspec

from virtualserver.fabric.desired import names
from virtualserver.host.files import write_atomically
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ControlPlaneSettings", "Record", "RecordedOptions", "RecordedRanges", "UidRange", "read", "write"]


class UidRange(msgspec.Struct, frozen=True):
    """The UIDs of one installation; each is used as a GID too.

    Attributes:
        base: The first UID.
        size: How many there are.
    """

    base: int
    size: int

    @property
    def etcd(self) -> int:
        """The UID of etcd."""
        return self.base

    @property
    def kube_apiserver(self) -> int:
        """The UID of kube-apiserver."""
        return self.base + 1

    @property
    def kube_controller_manager(self) -> int:
        """The UID of kube-controller-manager."""
        return self.base + 2

    @property
    def operator(self) -> int:
        """The UID of the operator."""
        return self.base + 3

    @property
    def dnsmasq(self) -> int:
        """The UID of the DHCP and DNS server."""
        return self.base + 4

    @property
    def relay(self) -> int:
        """The UID of the relay, which listens for users of other machines."""
        return self.base + 5

    @property
    def console(self) -> int:
        """The UID of the console, which serves web pages and holds the credentials of who is signed in."""
        return self.base + 6

    @property
    def guests(self) -> range:
        """The UIDs that QEMU runs under, one for each server."""
        return range(self.base + 16, self.base + self.size)


class RecordedRanges(msgspec.Struct, frozen=True):
    """The networks of an installation as text; `ranges.decode` makes networks of them.

    Attributes:
        public: Networks of each public pool.
        private: Networks of each private pool.
        guest: Where guests' own addresses come from.
        service: Where ClusterIPs come from.
        link: The networks of the link to the host, one of each family; early versions wrote the one of IPv4.
        routed: Networks of pools that the network beyond routes; early versions wrote whether all pools are.
        former: Networks that a pool had before and that addresses are still held of, by pool.
        uplink: The link on which named public pools are answered for; ``""``: none.
        host: Pools that are the machine's own address, and so have no network.
    """

    public: dict[str, list[str]]
    private: dict[str, list[str]]
    guest: list[str]
    service: list[str]
    link: list[str] | str
    routed: list[str] | bool
    host: list[str] = []
    former: dict[str, list[str]] = {}
    uplink: str = ""

    @property
    def digest(self) -> str:
        """A text that is another one where other networks are recorded."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


class RecordedOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the owner chose about the control plane, as text; `controlplane.Options` makes values of it.

    Attributes:
        service_ranges: Where ClusterIPs come from.
        bind: The address that kube-apiserver listens on.
        components: The names of the components that run, sorted.
        listen: The address on which the relay listens; ``""``: there is none.
        names: What else the API server's certificate says.
        networks: A digest of the recorded networks, since the node reads them at its start only.
    """

    service_ranges: list[str]
    bind: str
    components: list[str]
    listen: str = ""
    names: list[str] = []
    networks: str = ""


class ControlPlaneSettings(msgspec.Struct, frozen=True):
    """What the control plane was last started with; a start with other settings replaces its processes.

    Attributes:
        programs: The folder of its programs.
        options: What its owner chose.
        version: The version of our code, with the digest of its files.
    """

    programs: str
    options: RecordedOptions
    version: str


class Record(msgspec.Struct, omit_defaults=True):
    """What was chosen once and stays; a field has its default until it is chosen.

    Attributes:
        identifier: 6 hexadecimal digits in the names of links.
        ranges: The networks.
        ports: TCP ports by the names in `ports.NAMES`.
        uids: The users of the processes.
        controlplane: What the control plane was last started with.
        aliases_granted: Whether everybody was let clone the aliases that an earlier version made without saying so.
    """

    identifier: str = ""
    ranges: RecordedRanges | None = None
    ports: dict[str, int] = {}
    uids: UidRange | None = None
    controlplane: ControlPlaneSettings | None = None
    aliases_granted: bool = False

    @property
    def link(self) -> str:
        """The name of the host's end of the link to the data plane; only after `identifier` was chosen."""
        return names.link_of(self.identifier)


def read(path: Path) -> Record:
    """Return what a file records, an empty record where there is no file.

    Raises:
        InstallationError: The file is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return Record()
    except msgspec.MsgspecError as error:
        raise InstallationError(f"{path}: {error}: restore it from a backup of the state folder") from error


def write(path: Path, record: Record) -> None:
    """Replace what a file records; keys of the file that are no fields of a record stay."""
    present = cast("dict[str, Any]", json.loads(path.read_bytes())) if path.exists() else {}
    content = present | cast("dict[str, Any]", msgspec.to_builtins(record))
    write_atomically(path, json.dumps(content, indent=2, sort_keys=True), mode=0o644)
