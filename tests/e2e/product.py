"""The whole product as its users meet it: the ``vs`` command, kubectl, and nothing behind them."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from harness import invariants
from harness.guest.driver import Guest
from harness.reading import Reader
from harness.waiting import eventually
from virtualserver import controlplane
from virtualserver.api.conditions import in_full
from virtualserver.installation.installation import Installation
from virtualserver.local import inventory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Product"]


class Product:
    """One instance of one-machine mode.

    Attributes:
        instance: Its name.
        state: The folder given as ``VS_STATE``.
        programs: The folder of the control plane's programs.
        enter: The command line before each command of ours, where the product runs on another machine.
    """

    def __init__(self, instance: str, state: Path, *, programs: Path, enter: Sequence[str] = ()) -> None:
        """Name the instance; nothing is started."""
        self.installation = instance
        self.state = state
        self.programs = programs
        self.enter = list(enter)
        self._files = Installation.below(state, instance)
        self._reader = Reader(self._files)
        self.environment = {
            **os.environ,
            "VS_INSTANCE": instance,
            "VS_STATE": str(state),
            "VS_CONTROLPLANE": str(programs),
            "KUBECONFIG": "",
        }

    def close(self) -> None:
        """Close what reads the API; the product goes on."""
        self._reader.close()

    @property
    def folder(self) -> Path:
        """The instance's state folder."""
        return self.state / self.installation

    @property
    def run_folder(self) -> Path:
        """The instance's run folder."""
        return self.state / ".run" / self.installation

    @property
    def namespace(self) -> str:
        """The network namespace of the data plane."""
        return f"vs-{self.installation}"

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs ``vs``."""
        return [*self.enter, sys.executable, "-m", "virtualserver.cli", *arguments]

    def attempt(self, *arguments: str, stdin: str = "", timeout: float = 400) -> subprocess.CompletedProcess[str]:
        """Run ``vs`` and return what it did, whatever it was."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def vs(self, *arguments: str, stdin: str = "", timeout: float = 400) -> str:
        """Run ``vs``, which must succeed, and return its standard output."""
        done = self.attempt(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"vs {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the bundled kubectl and return what it did, whatever it was."""
        return subprocess.run(
            [
                *self.enter,
                str(self.programs / "kubectl"),
                f"--kubeconfig={self.folder / 'kubeconfig'}",
                f"--cache-dir={self.state / '.kubectl-cache'}",
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run the bundled kubectl, which must succeed, and return its standard output."""
        done = self.try_kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> str:
        """Apply manifests with kubectl."""
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def refused(self, *manifests: dict[str, Any]) -> str:
        """Apply manifests that must be refused, and return kubectl's words."""
        done = self.try_kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
        assert done.returncode != 0, f"accepted: {done.stdout}"
        return done.stderr

    def get(self, kind: str, name: str, *, namespace: str = "default") -> dict[str, Any]:
        """Return an object, ``{}`` where there is none."""
        if not self.enter and Reader.reads(kind):
            return self._reader.get(kind, name, namespace)
        text = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else {}

    def objects(self, kind: str, *, namespace: str = "default") -> list[dict[str, Any]]:
        """Return all objects of a kind in a namespace."""
        return json.loads(self.kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]

    def components(self) -> dict[str, dict[str, Any]]:
        """Return the components by their names: ``pid``, ``ready``, ``trouble``, as ``vs status`` has them.

        On this machine the supervisor is asked without the command: a process each time would take half a processor.
        """
        if self.enter:
            told = json.loads(self.vs("status", "-o", "json"))["components"]
        else:
            told = [dataclasses.asdict(component) for component in controlplane.status(self._files).components]
        return {component["name"]: component for component in told}

    @property
    def is_ready(self) -> bool:
        """Whether all components run and are ready."""
        components = self.components().values()
        return bool(components) and all(component["ready"] for component in components)

    def process(self, name: str) -> int:
        """Return the PID of one of our processes (a component, ``supervisor``, ``dnsmasq``, ``qemu``), 0 for none."""
        components = self.components()
        if name in components:
            return components[name]["pid"] or 0
        for entry in self.inventory():
            if entry["kind"] == "process" and entry["name"].startswith(name):
                return int(entry["detail"].split(",")[0].removeprefix("pid "))  # after a comma: its record was lost
        return 0

    def inventory(self) -> list[dict[str, Any]]:
        """Return what exists on the host because of the instance, as ``vs status --inventory`` tells it."""
        if not self.enter:
            return [dataclasses.asdict(item) for item in inventory.of(self._files)]
        return json.loads(self.vs("status", "--inventory", "-o", "json"))

    def pools(self) -> list[dict[str, Any]]:
        """Return the address pools, as ``vs status`` tells them."""
        return json.loads(self.vs("status", "-o", "json"))["pools"]

    def one_owner(self) -> None:
        """Fail where an address, MAC, tap or user number has not one owner everywhere."""
        invariants.one_owner(self._files, self._everywhere if self.enter else self._reader.all, enter=self.enter)

    @property
    def has_node(self) -> bool:
        """Whether it is up, so that what a node keeps up to date is to be expected so."""
        return self._files.socket.exists()

    def _everywhere(self, kind: str) -> list[dict[str, Any]]:
        return json.loads(self.kubectl("get", kind, "--all-namespaces", "-o", "json"))["items"]

    def condition(self, name: str, kind: str = "Ready", *, namespace: str = "default") -> dict[str, Any]:
        """Return one condition of a VirtualServer; Ready has all that there is to say in its message."""
        conditions = self.get("vs", name, namespace=namespace).get("status", {}).get("conditions", [])
        found: dict[str, Any] = {}
        for condition in conditions:
            if condition["type"] == kind:
                found = condition
        return {**found, "message": in_full(conditions)} if kind == "Ready" and found else found

    def wait_ready(self, name: str, *, namespace: str = "default", seconds: float = 120) -> dict[str, Any]:
        """Wait until a server is Ready and return it."""

        def ready() -> bool:
            condition = self.condition(name, namespace=namespace)
            assert condition.get("status") == "True", f"{condition.get('reason')}: {condition.get('message')}"
            return True

        eventually(ready, what=f"{namespace}/{name} to be Ready", seconds=seconds)
        return self.get("vs", name, namespace=namespace)

    def wait_message(self, name: str, words: str, *, kind: str = "Ready", seconds: float = 90) -> str:
        """Wait until a condition's message contains the words, and return the message."""

        def there() -> str:
            message = str(self.condition(name, kind).get("message", ""))
            assert words in message, message
            return message

        return eventually(there, what=f"{name} {kind} to say {words!r}", seconds=seconds)

    def wait_reason(self, name: str, reason: str, *, kind: str = "Ready", seconds: float = 90) -> dict[str, Any]:
        """Wait until a condition has a reason, and return the condition."""

        def there() -> dict[str, Any]:
            condition = self.condition(name, kind)
            assert condition.get("reason") == reason, f"{condition.get('reason')}: {condition.get('message')}"
            return condition

        return eventually(there, what=f"{name} {kind} {reason}", seconds=seconds)

    def guest(self, name: str, *, namespace: str = "default") -> Guest:
        """Return the shell inside a running server of the tests' image, once it answers."""
        found = Guest.named(f"{namespace}/{name}", machines=self.folder / "machines", run=self.run_folder / "machines")
        return found.wait_ready()

    def power(self, name: str, verb: str, *, namespace: str = "default") -> str:
        """PUT start, stop or restart, as clients of the service do, and return the answer's body."""
        path = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}/{verb}"
        return self.kubectl("replace", "--raw", path, "-f", "-", stdin="{}")

    def delete(self, *arguments: str) -> None:
        """Delete with kubectl and wait until the objects are gone."""
        self.kubectl("delete", "--ignore-not-found", "--wait", "--timeout=90s", *arguments)
