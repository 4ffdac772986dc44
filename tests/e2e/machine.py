"""A machine for the product alone: namespaces of its own for links, mounts and processes, and a look at all of it.

What a test compares here is the whole machine, by the kernel's own word, and nobody else is on it: what is there after
and was not there before is ours. A client stands on the far side of its only uplink.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.internet import Internet
from e2e.product import Product
from harness import control_plane as plane
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Machine", "a_folder", "a_machine"]

_INIT = r"""
import os, signal, subprocess, sys
def do(*line):
    subprocess.run(line, check=True)
with open("/proc/self/mounts") as file:
    for target in [line.split()[1] for line in file][::-1]:
        if target.startswith("/run/"):  # others' namespaces, which come and go
            subprocess.run(["umount", "--lazy", target], stderr=subprocess.DEVNULL)
do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
os.makedirs("/run/sys")
do("mount", "-t", "sysfs", "sysfs", "/run/sys")
do("mount", "--rbind", "/sys/fs/cgroup", "/run/sys/fs/cgroup")
do("mount", "--rbind", "/run/sys", "/sys")
do("umount", "-l", "/run/sys")
os.rmdir("/run/sys")
os.makedirs("/etc/systemd/system", exist_ok=True)
do("mount", "-t", "tmpfs", "-o", "mode=755", "virtualserver-tests", "/etc/systemd/system")
do("ip", "link", "set", "lo", "up")
for line in sys.stdin.read().splitlines():
    do(*line.split())
os.close(0)
print("ready", flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        signal.sigtimedwait([signal.SIGCHLD], 0.2)
"""
"""The first process: makes the machine, then takes in orphans as any init does."""

_LOOK = r"""
import json, os, subprocess, sys
def told(*line):
    return sorted(subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines())
def files(*tops):
    return sorted(os.path.join(folder, name) for top in tops for folder, below, names in os.walk(top)
                  for name in below + names)
def settings():
    for path in files("/proc/sys/net"):
        try:
            with open(path) as file:
                yield path, file.read().strip()
        except OSError:
            pass
own, pid = set(), os.getpid()
while pid:
    own.add(pid)
    with open(f"/proc/{pid}/stat") as file:
        pid = int(file.read().rpartition(")")[2].split()[1])
processes = {}
for entry in os.listdir("/proc"):
    if entry.isdigit() and int(entry) not in own:
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                processes[entry] = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass
with open("/proc/self/mounts") as file:
    # Other tests' file systems come and go beside us.
    mounts = sorted(line for line in file.read().splitlines() if not line.startswith("virtualserver-tests "))
json.dump({
    "links": [line.split(" state ")[0] for line in told("ip", "-o", "link")],
    "addresses": told("ip", "-o", "address"),
    "routes": told("ip", "-4", "route", "show", "table", "all") + told("ip", "-6", "route", "show", "table", "all"),
    "policy": told("ip", "-4", "rule") + told("ip", "-6", "rule"),
    "neighbours": told("ip", "neighbour", "show", "proxy"),
    "rules": subprocess.run(["nft", "--stateless", "list", "ruleset"], check=True, capture_output=True,
                            text=True).stdout.splitlines(),
    "mounts": mounts,
    "processes": processes,
    "run": files("/run"),
    "configuration": files("/etc"),
    "memberships": told("getent", "passwd") + told("getent", "group"),
    "abstract sockets": sorted(line.split()[-1] for line in open("/proc/net/unix") if "@" in line),
    "cgroups": [path for path in files("/sys/fs/cgroup") if os.path.isdir(path) and sys.argv[1] in path],
    "settings": dict(settings()),
}, sys.stdout)
"""


_REBOOT = r"""
import json, os, pathlib, signal, subprocess, sys, time, uuid
instance, own, pid = sys.argv[1], {1}, os.getpid()
while pid:
    own.add(pid)
    pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
def others():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
while others():
    for number in others():
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(0.05)
subprocess.run(["umount", "/run/netns/vs-" + instance])
pathlib.Path("/run/netns/vs-" + instance).unlink()
subprocess.run(["nft", "delete", "table", "inet", "vs-" + instance], check=True)
for name, setting in json.loads(pathlib.Path("/run/virtualserver-host.json").read_text())["settings"].items():
    if pathlib.Path("/proc/sys", name).exists():  # a kernel that starts has its defaults
        pathlib.Path("/proc/sys", name).write_text(setting["was"])
for path in pathlib.Path("/run").glob("virtualserver*"):
    subprocess.run(["rm", "-rf", str(path)], check=True)
subprocess.run(["rm", "-rf", sys.argv[2]], check=True)
for folder, below, _ in os.walk("/sys/fs/cgroup", topdown=False):
    if "virtualserver-" + instance in folder:
        os.rmdir(folder)
boot = pathlib.Path("/run/boot_id")
boot.write_text(f"{uuid.uuid4()}\n")
subprocess.run(["mount", "--bind", str(boot), "/proc/sys/kernel/random/boot_id"], check=True)
"""


_CALL = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"
_LISTEN = """
import socket, sys, time
with socket.create_server(("", int(sys.argv[1]))):
    print("listening")
    time.sleep(600)
"""


class Machine:
    """What a test does with the machine.

    Attributes:
        enter: The command line before each command that runs on the machine.
        client: A client out there, beyond the machine's uplink.
        folder: For the state of instances.
    """

    def __init__(self, enter: list[str], client: Internet, folder: Path) -> None:
        """Name what `a_machine` made."""
        self.enter = enter
        self.client = client
        self.folder = folder

    def product(self, instance: str) -> Product:
        """Name an instance on the machine; nothing is started."""
        return Product(instance, self.folder, programs=plane.programs().folder, enter=self.enter)

    def attempt(self, *command: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program on the machine; its failure is the caller's to judge."""
        return subprocess.run(
            [*self.enter, *command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def run(self, *command: str, stdin: str = "", timeout: float = 60) -> str:
        """Run a program on the machine, which must succeed, and return its output."""
        done = self.attempt(*command, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
        return done.stdout

    def calls(self, address: str, port: int) -> bool:
        """Return whether a TCP port takes calls of the machine itself."""
        return self.attempt(sys.executable, "-c", _CALL, address, str(port)).returncode == 0

    @contextmanager
    def listening(self, port: int) -> Generator[None]:
        """Have a program of the machine listen on a TCP port of all its addresses."""
        line = [*self.enter, "setpriv", "--pdeathsig", "KILL", sys.executable, "-u", "-c", _LISTEN, str(port)]
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            try:
                assert program.stdout.readline() == "listening\n"
                yield
            finally:
                program.kill()

    def reboot(self, product: Product) -> None:
        """Leave what a loss of power leaves: files that are no run files. No process, namespace, table or link."""
        self.run(sys.executable, "-c", _REBOOT, product.installation, str(product.run_folder.parent))

    def look(self, instance: str) -> dict[str, Any]:
        """Return all that is on the machine, by kind; of the control groups, which are shared, the instance's."""
        return json.loads(self.run(sys.executable, "-c", _LOOK, instance))

    def unlisted(self, before: dict[str, Any], instance: str, inventory: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what is on the machine now, was not before, and is in no inventory."""
        names = {item["name"] for item in inventory} | {item["detail"] for item in inventory if item["detail"]}

        def is_listed(kind: str, thing: str) -> bool:
            if kind == "rules" and not thing.startswith("+ table"):
                return True  # it is in a table
            if kind == "run":
                return thing.removeprefix("+ ") in names
            return any(name in thing.replace("/", ".") if kind == "settings" else name in thing for name in names)

        found: dict[str, Any] = {}
        for kind, changes in _differences(before, self.look(instance)).items():
            if kind == "processes":  # a machine's is that of a program that waits for QEMU, or QEMU's own
                left = [
                    line for pid, line in changes.items() if f"pid {pid}" not in names and "qemu-system" not in line
                ]
            else:
                left = [thing for thing in changes if not is_listed(kind, thing)]
            if left:
                found[kind] = left
        return found

    def is_as(self, before: dict[str, Any], instance: str) -> None:
        """Wait a moment until the machine is as it was, and say what is not."""

        def same() -> bool:
            differences = _differences(before, self.look(instance))
            assert not differences, json.dumps(differences, indent=1)
            return True

        # The kernel takes namespaces apart behind the back of who removed them.
        eventually(same, what="the machine to be as it was before", seconds=15)


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, was in before.items():
        now = after[kind]
        if kind == "settings":
            # Which ones there are depends on the modules that the kernel has loaded for whomever.
            changes = {name: f"{value} -> {now[name]}" for name, value in was.items() if now.get(name, value) != value}
            changes = {name: change for name, change in changes.items() if not name.endswith("_conntrack_count")}
        elif kind == "processes":
            changes = {pid: line for pid, line in now.items() if pid not in was}
            changes |= {pid: f"gone: {line}" for pid, line in was.items() if pid not in now}
        else:
            changes = [f"+ {item}" for item in now if item not in was]
            changes += [f"- {item}" for item in was if item not in now]
        if changes:
            found[kind] = changes
    return found


@contextmanager
def a_machine(name: str) -> Generator[Machine]:
    """Make a machine; whatever runs on it ends with it.

    Args:
        name: Of the client's network namespace, at most 10 characters.
    """
    own, client = "100.98.0.1", "100.98.0.2"
    setup = f"""
        ip netns add {name}
        ip link add uplink type veth peer name eth0 netns {name}
        ip address add {own}/30 dev uplink
        ip link set uplink addrgenmode none up
        ip -n {name} address add {client}/30 dev eth0
        ip -n {name} link set lo up
        ip -n {name} link set eth0 up
        ip -n {name} route add default via {own}
        ip route add default via {client}
    """
    # Ended with us, even where we are killed.
    new = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]
    with (
        a_folder() as folder,
        subprocess.Popen(
            [*new, sys.executable, "-u", "-c", _INIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        ) as outer,
    ):
        assert outer.stdin is not None and outer.stdout is not None
        first = -1
        try:
            outer.stdin.write("\n".join(line.strip() for line in setup.strip().splitlines()))
            outer.stdin.close()
            assert outer.stdout.readline() == "ready\n"
            pid = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().strip()
            first = os.pidfd_open(int(pid))
            enter = ["nsenter", "--target", pid, "--net", "--mount", "--pid", f"--wd={os.getcwd()}", "--"]
            yield Machine(enter, _Client(name, client, own, enter), folder)
        finally:
            outer.kill()  # and with it, by --kill-child, the first process, which ends after all others
            if first >= 0:
                select.select([first], [], [], 30)
                os.close(first)
            shutil.rmtree(folder)  # on this machine nothing runs any more


@contextmanager
def a_folder() -> Generator[Path]:
    """Make a folder for state: short, for the sockets' sake, and open to the components' users, unlike pytest's.

    It stays where an instance was not purged: what may still run needs it.
    """
    folder = Path(tempfile.mkdtemp(prefix="vse-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if not list(folder.glob("*/instance.json")):
            shutil.rmtree(folder, ignore_errors=True)


class _Client(Internet):
    """The client whose namespace only the machine knows."""

    def __init__(self, namespace: str, address: str, gateway: str, enter: list[str]) -> None:
        super().__init__(namespace, address, gateway)
        self._enter = enter

    def command(self, *arguments: str) -> list[str]:
        return [*self._enter, *super().command(*arguments)]
