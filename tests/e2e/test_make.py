"""What a newcomer does: ``make up`` on a machine that has nothing of ours, then what its last lines say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import control_plane as plane
from harness.pages import commands
from harness.waiting import eventually
from virtualserver.node.vmi.resolver import CLUSTER_RESOLVER

if TYPE_CHECKING:
    from collections.abc import Generator

CHECKOUT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"/sign-in/\S+")

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Newcomer:
    """Somebody without an ssh key, in a checkout of the project.

    Attributes:
        state: The folder that stands for ``/var/lib/virtualserver``.
        environment: What the commands see.
    """

    state: Path
    environment: dict[str, str]

    def make(self, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``make TARGET``, which must succeed."""
        command = ["make", "--no-print-directory", target, *arguments]
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout."""
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1500,
        )

    def shell(self, script: str) -> str:
        """Run a line as it was printed, which must succeed, and return what it printed."""
        done = self.run("sh", "-c", script)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def processes(self) -> dict[str, int]:
        """Return the PID of each component."""
        components = json.loads(self.make("status", "ARGS=-o json").stdout)["components"]
        return {component["name"]: component["pid"] for component in components}


@pytest.fixture(scope="module")
def newcomer() -> Generator[Newcomer]:
    state = Path(tempfile.mkdtemp(prefix="vsn-", dir="/tmp"))
    state.chmod(0o755)
    # The tests may themselves be run by make, whose own arguments (ARGS=...) must not come along.
    not_theirs = ("VS_", "PYTHON", "PYTEST", "MAKE", "MFLAGS", "ARGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(not_theirs)}
    one_of_ours = {
        "HOME": str(state),
        "VS_STATE": str(state),
        "VS_INSTANCE": f"new-{os.getpid()}",
        "VS_CONTROLPLANE": str(plane.programs().folder),
    }
    somebody = Newcomer(state, kept | one_of_ours)
    yield somebody
    if (state / ".venv" / "bin" / "vs").exists():
        somebody.make("purge", "ARGS=--yes")
    shutil.rmtree(state)


@pytest.fixture(scope="module")
def first(newcomer: Newcomer) -> subprocess.CompletedProcess[str]:
    """The first ``make up``."""
    return newcomer.make("up")


def printed(first: subprocess.CompletedProcess[str], label: str) -> str:
    """Return what a line of the summary says."""
    found = re.search(rf"^\s+{label}\s+(.*)$", first.stdout, re.MULTILINE)
    assert found, first.stdout
    return found[1]


def test_it_says_first_what_it_downloads_and_how_long_it_takes(first: subprocess.CompletedProcess[str]) -> None:
    announced, _, rest = first.stderr.partition("Virtual environment")
    assert re.search(r"Python packages +about \d+ MB to download", announced)
    assert re.search(r"guest image +about \d+ MB .* minutes", announced)
    assert rest


def test_every_long_step_shows_what_it_waits_for(first: subprocess.CompletedProcess[str]) -> None:
    for step in ("Virtual environment", "Guest image", "First server"):
        assert re.search(rf"^ *{step}[^:]*( … \d+ s|: \d+ s:) +\w+ \w+", first.stderr, re.MULTILINE), first.stderr


def test_the_page_answers_where_it_says(first: subprocess.CompletedProcess[str]) -> None:
    with urllib.request.urlopen(printed(first, "page"), timeout=30) as page:
        assert "It works" in page.read().decode()


def test_the_ssh_command_logs_in_and_there_is_no_password(
    newcomer: Newcomer, first: subprocess.CompletedProcess[str]
) -> None:
    assert newcomer.shell(f"{printed(first, 'log in')} hostname") == "hello"
    with_password = newcomer.shell(f"{printed(first, 'log in')} sudo cut -d: -f2 /etc/shadow | grep -v '^[!*]' || true")
    assert with_password == ""


INSIDE = {
    "cloud-init status --wait | tail -1": "status: done",
    "getent hosts hello | wc -l": "1",
    "systemctl is-enabled apt-daily.timer || true": "masked",
    "grep ^nameserver /etc/resolv.conf": f"nameserver {CLUSTER_RESOLVER[0]}",
    "systemctl --failed --plain --no-legend": "",
    "echo $(($(df --output=size -B1 / | tail -1) > 7 << 29))": "1",
    "cd /etc/ssh && echo ssh_host_*_key": "ssh_host_ed25519_key",
    "stat -c %U:%G /srv/hello/index.html /home/hello | uniq": "hello:hello",
    "ls /usr/local/sbin/locale-gen /usr/share/zoneinfo/Europe/Berlin /usr/sbin/swapon | wc -l": "3",
}


@pytest.mark.parametrize("command", INSIDE)
def test_the_guest_is_in_order(newcomer: Newcomer, first: subprocess.CompletedProcess[str], command: str) -> None:
    """Faults 19 and 20 too: whose a file is that belongs to a user, and what `cloudInit` needs of the image."""
    assert newcomer.shell(f"{printed(first, 'log in')} '{command}'") == INSIDE[command]


@pytest.mark.parametrize("user", ["root", "debian"])
def test_nobody_else_is_let_in(newcomer: Newcomer, first: subprocess.CompletedProcess[str], user: str) -> None:
    done = newcomer.run("sh", "-c", f"{printed(first, 'log in')} -l {user} -o BatchMode=yes true")
    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_the_exported_variables_make_kubectl_work(newcomer: Newcomer, first: subprocess.CompletedProcess[str]) -> None:
    export = next(line.strip() for line in first.stdout.splitlines() if line.strip().startswith("export "))
    seen = newcomer.shell(f"{export}; kubectl get vs hello -o jsonpath='{{.status.network.externalIP}}'")
    assert seen == printed(first, "address")
    assert "hello" in newcomer.shell(f"{export}; kubectl vs status -o json && kubectl get vs")


def test_it_says_how_to_stop_and_who_can_reach_the_address(first: subprocess.CompletedProcess[str]) -> None:
    assert "make down" in first.stdout
    assert "reachable from this machine only" in first.stdout


def test_it_says_that_guests_are_slow_exactly_where_they_are(
    newcomer: Newcomer, first: subprocess.CompletedProcess[str]
) -> None:
    accelerator = json.loads(newcomer.make("status", "ARGS=-o json").stdout)["accelerator"]["name"]
    assert ("about 20 times slower" in first.stdout) == (accelerator == "tcg")


def test_the_key_and_the_kubeconfig_are_nobody_elses(
    newcomer: Newcomer, first: subprocess.CompletedProcess[str]
) -> None:
    assert first.returncode == 0
    folder = newcomer.state / newcomer.environment["VS_INSTANCE"]
    private = [path for path in (folder / "ssh").iterdir() if path.suffix != ".pub"]
    for path in (folder / "kubeconfig", *private):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_run_takes_seconds_and_replaces_nothing(
    newcomer: Newcomer, first: subprocess.CompletedProcess[str]
) -> None:
    before = newcomer.processes()
    began = time.monotonic()
    second = newcomer.make("up")
    assert time.monotonic() - began < 30
    assert newcomer.processes() == before
    # The console's link is another one each time, since each signs in once.
    assert _LINK.sub("", second.stdout) == _LINK.sub("", first.stdout)


def copied(newcomer: Newcomer, first: subprocess.CompletedProcess[str], script: str) -> str:
    """Run lines of a page as somebody who copies them, in the shell that the last lines of ``make up`` are for."""
    export = next(line.strip() for line in first.stdout.splitlines() if line.strip().startswith("export "))
    return newcomer.shell(f"set -e; {export}; cd ~; {script}")


def test_the_pages_for_newcomers_are_true(newcomer: Newcomer, first: subprocess.CompletedProcess[str]) -> None:
    """Faults 48, 50 and 59: documentation ended with the first server.

    All shell commands of both pages, on one boot: those that look why nothing answers come while the server runs.
    """
    own, why = commands("first-server.md"), commands("why-no-answer.md")
    said = {heading: [copied(newcomer, first, block) for block in own.pop(heading)] for heading in list(own)[:5]}
    assert said["It starts"][0].endswith("<h1>My own server</h1>")
    assert re.search(r"80/TCP +answers", said["It starts"][0])
    assert said["Log in"] == ["own\nactive"]

    looked = "".join(copied(newcomer, first, block) for blocks in why.values() for block in blocks)
    assert re.search(r"8080/TCP +refused: nothing in the guest listens", looked)
    assert re.search(r"lost +Port: the guest refuses: nothing in it listens", looked)
    assert "cloud-init" in looked and re.search(r"LISTEN .* 0\.0\.0\.0:80 ", looked)
    assert re.search(r"restart needed: .*spec.resources.memory", looked)

    kept, gone = (copied(newcomer, first, own.pop(heading)[0]) for heading in list(own))
    assert "its disk" in kept and re.search(r"disk +6Gi", kept)
    assert gone and not own
    left = "kubectl get vs,dv,secret -o name"
    eventually(lambda: "/own" not in copied(newcomer, first, left), what="all of it to be gone")


def test_the_server_shuts_down_when_it_is_asked_to(newcomer: Newcomer, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0
    assert json.loads(newcomer.make("down", "ARGS=-o json").stdout)["switchedOff"] == []
