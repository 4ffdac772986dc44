"""A control plane with a node beside it: real API server, data plane and guests, and no operator."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness import audit_log, invariants
from harness import control_plane as plane
from harness.guest import image as guest_image
from harness.guest.driver import Guest
from harness.reading import Reader
from harness.waiting import eventually
from virtualserver.api import names
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.installation import ranges, users
from virtualserver.kube import fields
from virtualserver.local import networks
from virtualserver.machines.hypervisor import Hypervisor
from virtualserver.storage.images import ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from virtualserver.installation.installation import Installation

T = TypeVar("T")

__all__ = ["NodeWorld", "a_machine", "a_namespace", "a_node", "a_service", "a_volume", "an_empty_machine", "an_image"]

_TESTS = Path(__file__).parents[1]
_SOURCES = _TESTS.parent / "src"
_OTHERS = [ipaddress.ip_network(text) for text in ("203.0.113.0/24", "198.18.0.0/24", "10.42.0.0/16")]


class NodeWorld:
    """One installation of control plane and node.

    Attributes:
        installation: Its folders.
        api: Its control plane.
        namespace: Where the test's objects lie.
    """

    def __init__(self, installation: Installation, api: plane.ControlPlane) -> None:
        self.installation = installation
        self.api = api
        self.namespace = "default"
        self.digest = ""
        self._reader = Reader(installation)
        self._node: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Close what reads the API; everything else goes on."""
        self._reader.close()

    @property
    def log(self) -> str:
        """What the node wrote."""
        path = self.installation.logs / "node.log"
        return path.read_text() if path.exists() else ""

    def start_node(self, *, hostname: str = "", standing_by: int | None = None) -> None:
        """Start the node and wait until it is ready.

        Args:
            hostname: What the host is called as the node sees it; empty: as it is.
            standing_by: A pipe whose end of file releases it, for which it is not waited; None: it begins at once.
        """
        ready = self.installation.ready("node")
        ready.unlink(missing_ok=True)
        name = ("unshare", "--uts", "sh", "-c", f'hostname {hostname} && exec "$@"', "sh") if hostname else ()
        early = () if standing_by is None else ("--wait",)
        self._node = self.run("node", *name, sys.executable, "-m", *self.node_command, *early, stdin=standing_by)
        if standing_by is None:
            self.wait_node()

    def wait_node(self) -> None:
        """Wait until the node is ready."""
        self.eventually(self.installation.ready("node").exists, what=lambda: f"the node is ready: {self.log[-2000:]}")

    @property
    def node_command(self) -> tuple[str, ...]:
        """The node's module and its arguments."""
        return "virtualserver.node", "--instance", self.installation.name

    @property
    def operator_command(self) -> tuple[str, ...]:
        """The operator's module and its arguments."""
        return (
            "virtualserver.operator",
            *("--kubeconfig", str(self.installation.kubeconfigs / "operator")),
            *("--site", str(self.installation.effective_site)),
            *("--mac-key", str(self.installation.operator_mac_key)),
            *("--ready-file", str(self.installation.ready("operator"))),
            *("--identity", "operator-under-test"),
        )

    def run(self, name: str, *command: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
        """Start a component's command, which writes to the log of this name."""
        with self.installation.log(name).open("ab") as log:
            return subprocess.Popen(
                command,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{_SOURCES}:{_TESTS}",
                    "VS_INSTANCE": self.installation.name,
                    "VS_STATE": str(self.installation.root),
                },
                stdin=stdin,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop_node(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the node; guests and data plane stay."""
        if self._node is not None:
            self._node.send_signal(how)
            self._node.wait(20)
            self._node = None

    @property
    def node_pid(self) -> int:
        """The node's PID."""
        assert self._node is not None
        return self._node.pid

    def eventually(
        self, condition: Callable[[], T], *, seconds: float = 180, what: str | Callable[[], str] = "the condition"
    ) -> T:
        """Ask until the answer is true, and return it."""
        return eventually(condition, seconds=seconds, what=what)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create or change objects, in the test's namespace where they name none."""
        for manifest in manifests:
            manifest["metadata"].setdefault("namespace", self.namespace)
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.api.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> dict[str, Any]:
        """Return an object, empty where there is none."""
        if Reader.reads(kind):
            return self._reader.get(kind, name, namespace or self.namespace)
        text = self.api.kubectl(
            "-n", namespace or self.namespace, "get", kind, name, "-o", "json", "--ignore-not-found"
        )
        return json.loads(text) if text.strip() else {}

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> None:
        """Merge a change into an object."""
        self.api.kubectl("-n", self.namespace, "patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    def delete(self, kind: str, *names: str) -> None:
        """Delete objects and wait until they are gone."""
        self.api.kubectl("-n", self.namespace, "delete", kind, *names, "--ignore-not-found")

    def ask(
        self, name: str, verb: str, body: str = "{}", *, version: str = "v1", resource: str = "virtualmachines"
    ) -> str:
        """Ask for start, stop, restart or another verb, and return what the API server answered, a refusal too.

        Raises:
            AssertionError: Nobody answered for the node, although it says that it is ready.
        """
        path = self._subresource(name, verb, version, resource)
        answer = self.api.kubectl("replace", "--raw", path, "-f", "-", stdin=body, check=False)
        assert "ServiceUnavailable" not in answer, answer
        return answer

    def switch_off(self) -> None:
        """Have the namespace's machines stopped without a word to their guests, which take seconds to shut down."""
        for vmi in self._reader.all("vmi"):
            if vmi["metadata"]["namespace"] == self.namespace:
                self._reader.put(self._subresource(vmi["metadata"]["name"], "stop", "v1"), {"gracePeriod": 0})

    def ask_twice(self, name: str, verb: str) -> tuple[str, str]:
        """Ask without a body and with one, in a row over one connection: nothing that takes a while comes between."""
        path = self._subresource(name, verb, "v1")
        return self._reader.put(path), self._reader.put(path, {})

    def _subresource(self, name: str, verb: str, version: str, resource: str = "virtualmachines") -> str:
        return f"/apis/subresources.kubevirt.io/{version}/namespaces/{self.namespace}/{resource}/{name}/{verb}"

    def status(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object's status."""
        return self.get(kind, name).get("status") or {}

    def condition(self, kind: str, name: str, type: str) -> dict[str, Any]:
        """Return an object's condition, empty where it has none."""
        conditions: list[dict[str, Any]] = self.status(kind, name).get("conditions") or []
        return next((one for one in conditions if one["type"] == type), dict[str, Any]())

    def address_of(self, service: str, *, seconds: float = 120) -> str:
        """Return the load balancer address of a Service, once it has one."""

        def found() -> str:
            ingress = fields.items(self.status("service", service), "loadBalancer", "ingress")
            return ingress[0].get("ip", "") if ingress else ""

        return self.eventually(found, seconds=seconds, what=lambda: json.dumps(self.status("service", service)))

    def wait_printable(self, name: str, status: str, *, seconds: float = 180) -> None:
        """Wait until a machine says that it is so."""
        self.eventually(
            lambda: self.status("vm", name).get("printableStatus") == status,
            seconds=seconds,
            what=lambda: f"{name} is {status}: {json.dumps(self.status('vm', name))} {self.log[-1500:]}",
        )

    def wait_taken(self, name: str) -> None:
        """Wait until a guest took its address and all of it is in the data plane."""
        for type in (names.ADDRESS_TAKEN, names.DATA_PLANE_READY):
            self.eventually(
                lambda type=type: self.condition("vmi", name, type).get("status") == "True",
                what=lambda: f"{name}: {json.dumps(self.status('vmi', name))} {self.log[-1500:]}",
            )

    def guest(self, name: str) -> Guest:
        """Return the shell of a running guest, once it answers."""
        guest = Guest.named(
            f"{self.namespace}/{name}",
            machines=self.installation.machines,
            run=self.installation.machines_run,
        )
        guest.wait_ready()
        return guest

    def one_owner(self) -> None:
        """Fail where an address, MAC, tap or user number has not one owner everywhere."""
        invariants.one_owner(self.installation, self._reader.all)

    @property
    def has_node(self) -> bool:
        """Whether the node runs, so that what it keeps up to date is to be expected so."""
        return self._node is not None and self._node.poll() is None

    def allocations(self, owner: str) -> dict[str, str]:
        """Return what is recorded as given to an owner, by purpose."""
        with contextlib.closing(sqlite3.connect(f"file:{self.installation.allocations}?mode=ro", uri=True)) as claims:
            return dict(claims.execute("SELECT purpose, value FROM claims WHERE owner = ?", (owner,)))

    def qemu_pid(self, name: str) -> int:
        """Return the PID of a machine's QEMU."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                arguments = path.read_text().split("\0")
                is_ours = any(str(self.installation.root) in argument for argument in arguments)
                if is_ours and f"guest={self.namespace}/{name},debug-threads=on" in arguments:
                    return int(path.parent.name)
        raise AssertionError(f"no QEMU of {name}")

    def tcp(self, address: str, port: int, *, seconds: float = 5) -> str:
        """Connect from this machine, and return what the other end says first."""
        with socket.create_connection((address, port), timeout=seconds) as connection:
            return connection.recv(100).decode()

    def answers(self, address: str, port: int) -> bool:
        """Return whether a port answers now."""
        try:
            self.tcp(address, port, seconds=2)
        except OSError:
            return False
        return True

    def wait_answers(self, address: str, port: int, *, seconds: float = 180) -> None:
        """Wait until a port answers; a failure says what the data plane and the guests knew of it meanwhile."""

        def seen() -> str:
            looks = (("nft", "list", "ruleset"), ("ip", "neigh"), ("ip", "route", "show", "table", "all"))
            told = [self.in_namespace(*look) for look in looks]
            consoles = [path.read_text(errors="replace")[-500:] for path in self.installation.machines.rglob("*.log")]
            return "\n".join([f"{address}:{port} answers", *told, *consoles, self.log[-3000:]])

        self.eventually(lambda: self.answers(address, port), seconds=seconds, what=seen)

    def writes_since(self, moment: str) -> list[str]:
        """Return what the node wrote to the API, Events aside, since a time in the form of the audit log."""
        return [asked for asked in self.asked_since(moment) if asked.split()[0] not in ("get", "list", "watch")]

    def asked_since(self, moment: str) -> list[str]:
        """Return what the node asked the API for, Events aside, since a time in the form of the audit log."""
        found: list[str] = []
        for event in audit_log.entries(self.installation.audit):
            mine = event["user"]["username"] == "virtualserver:node" and event["objectRef"]["resource"] != "events"
            if event["stage"] == "ResponseComplete" and mine and event["requestReceivedTimestamp"] >= moment:
                found.append(f"{event['verb']} {event['requestURI']}")
        return found

    def in_namespace(self, *command: str) -> str:
        """Run a program in the data plane's namespace, and return what it says."""
        name = f"/run/netns/vs-{self.installation.name}"
        done = subprocess.run(
            ("nsenter", f"--net={name}", *command), check=True, timeout=60, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def data_plane(self) -> DataPlane:
        """Return the installation's data plane."""
        record = self.installation.record()
        assert record.ranges
        return DataPlane(
            installation=self.installation.name,
            identifier=record.identifier,
            ranges=ranges.decode(record.ranges),
            run=self.installation.fabric_run,
            dhcp_user=users.recorded(self.installation).dnsmasq,
        )

    async def end_machines(self) -> None:
        """End all machines as `vs down` does, without the node."""
        hypervisor = Hypervisor(
            machines=self.installation.machines,
            run=self.installation.machines_run,
            installation=self.installation.name,
        )
        try:
            for uid, machine in (await hypervisor.adopt()).items():
                await machine.quit()
                await hypervisor.discard(uid)
        finally:
            await hypervisor.close()


def _add_image(world: NodeWorld) -> None:
    built = guest_image.build()
    image = ImageStore(world.installation.images).add(
        disk=built.disk, kernel=built.kernel, initrd=built.initrd, command_line=built.command_line, name="tiny"
    )
    world.digest = image.digest
    world.apply(an_image("tiny", image.digest))


def an_image(name: str, digest: str) -> dict[str, Any]:
    """Return the claim that stands for an image."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": names.IMAGE_NAMESPACE, "annotations": {names.IMAGE: digest}},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "64Mi"}}},
    }


def _choose_ranges(installation: Installation) -> None:
    taken = [*asyncio.run(ranges.networks_in_use()), *_OTHERS]
    chosen = ranges.choose(taken)
    small = next(next(iter(chosen.public.values()))[0].subnets(new_prefix=29))
    with installation.changing() as record:
        record.ranges = ranges.encode(ranges.choose(taken, public=(small,)))


@contextlib.contextmanager
def a_node(name: str = "", *, room: str = "") -> Generator[NodeWorld]:
    """Yield a control plane and a running node with the tests' image; the public pool has 6 addresses.

    Args:
        name: The installation's name; empty: one of this process.
        room: As for `plane.an_installation`.
    """
    with plane.an_installation(name or f"node-{os.getpid()}", room=room) as installation:
        installation.identifier()
        world = NodeWorld(installation, plane.start(installation))
        try:
            _add_image(world)
            # What other tests start meanwhile would take the same networks until ours can be seen as routes.
            with networks.choosing(lambda _what, _share: None):
                _choose_ranges(installation)
                world.start_node()
            yield world
            if world.has_node:
                world.one_owner()
        finally:
            world.stop_node()
            world.close()
            asyncio.run(world.end_machines())
            if installation.record().ranges:
                asyncio.run(world.data_plane().stop())


@contextlib.contextmanager
def a_namespace(node: NodeWorld) -> Generator[str]:
    """Yield the name of a new namespace; what the node has to do with is deleted in the end."""
    name = f"test-{uuid.uuid4().hex[:6]}"
    node.api.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        node.namespace = name
        node.switch_off()
        # What the node has to do with is awaited; the namespace itself takes five seconds more for nothing.
        node.delete("vm,vmi,dv,service", "--all")
        node.api.kubectl("delete", "namespace", name, "--wait=false")


def a_volume(name: str, *, source: str = "tiny", size: str = "64Mi") -> dict[str, Any]:
    """Return a DataVolume."""
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": name},
        "spec": {
            "source": {"pvc": {"namespace": names.IMAGE_NAMESPACE, "name": source}},
            "storage": {"resources": {"requests": {"storage": size}}},
        },
    }


def a_service(name: str, *, selects: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a LoadBalancer Service.

    Args:
        name: Its name.
        selects: The value of our label ``…/uid`` that it selects; None: no selector.
        changes: ``annotations``, ``ports`` and further fields of the spec.
    """
    annotations = changes.pop("annotations", {})
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "allocateLoadBalancerNodePorts": False,
        "ports": [
            {"name": f"{protocol.lower()}-{port}", "port": port, "protocol": protocol}
            for protocol, port in changes.pop("ports", (("TCP", 22),))
        ],
        **changes,
    }
    if selects:
        spec["selector"] = {names.UID: selects}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }


def an_empty_machine(name: str, *, owner: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a VirtualMachine without a disk: its guest is firmware that finds nothing to boot, and is never missed.

    Args:
        name: Its name.
        owner: The owner reference that it bears; None: none.
        changes: As for `a_machine`.
    """
    machine = a_machine(name, strategy=changes.pop("strategy", "Always"), **changes)
    spec = machine["spec"]["template"]["spec"]
    spec |= {"terminationGracePeriodSeconds": 0, "volumes": []}
    spec["domain"]["devices"]["disks"] = []
    if owner:
        machine["metadata"]["ownerReferences"] = [owner]
    return machine


def a_machine(name: str, *, strategy: str = "RerunOnFailure", attach: str | None = None, **spec: Any) -> dict[str, Any]:
    """Return a VirtualMachine of the tests' image, labelled with its name.

    Args:
        name: Its name, and its DataVolume's.
        strategy: Its run strategy.
        attach: The Service whose addresses its NIC has.
        spec: Further fields of the template's spec; ``memory`` is the guest's.
    """
    memory = spec.pop("memory", "96Mi")
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {
            "runStrategy": strategy,
            "template": {
                "metadata": {
                    "labels": {names.UID: name},
                    "annotations": {names.ATTACH_LOAD_BALANCER: attach} if attach else {},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 30,
                    "domain": {
                        "cpu": {"cores": 1},
                        "memory": {"guest": memory},
                        "devices": {
                            "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                            "interfaces": [{"name": "default", "bridge": {}}],
                        },
                    },
                    "networks": [{"name": "default", "pod": {}}],
                    "volumes": [{"name": "root", "dataVolume": {"name": name}}],
                    **spec,
                },
            },
        },
    }
