"""The real virtctl against the whole product; ``VS_VIRTCTL`` names the program, whose build takes minutes."""

from __future__ import annotations

import base64
import contextlib
import os
import pty
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_server
from harness.guest import image as guest_image
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from e2e.internet import Internet
    from e2e.product import Product

PROGRAM = os.environ.get("VS_VIRTCTL", "")
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not PROGRAM, reason="VS_VIRTCTL names no virtctl; docs/contributing.md says how to build one"),
]


class Virtctl:
    """virtctl as the administrator of a product, and the private server that it is tried on."""

    def __init__(self, product: Product) -> None:
        self.product = product
        # Not by --kubeconfig, which ssh and scp do not hand on to the virtctl that forwards their connection.
        self.environment = {**os.environ, "KUBECONFIG": str(product.folder / "kubeconfig")}

    def attempt(self, *arguments: str) -> str:
        command = [PROGRAM, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=self.environment)
        return done.stdout + done.stderr if done.returncode else f"done: {done.stdout}"

    def run(self, *arguments: str) -> str:
        said = self.attempt(*arguments)
        assert said.startswith("done: "), said
        return said

    @contextlib.contextmanager
    def beside(self, *arguments: str, terminal: int | None = None) -> Generator[subprocess.Popen[bytes]]:
        """Have it run while the block does."""
        with subprocess.Popen(
            [PROGRAM, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=self.environment
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def printable(self) -> str:
        return str(self.product.get("vm", "asked").get("status", {}).get("printableStatus", ""))

    def boot(self) -> str:
        """Return which start of the guest this is, empty while it does not answer."""
        try:
            return self.product.guest("asked").run("cat /proc/sys/kernel/random/boot_id")
        except (AssertionError, OSError, TimeoutError):
            return ""


@pytest.fixture(scope="module")
def virtctl(product: Product) -> Iterator[Virtctl]:
    image = guest_image.build_ssh_server()
    files = ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--command-line", image.command_line]
    product.vs("image", "add", str(image.disk), "--name", "ssh-server", *files)
    product.apply(a_server("asked", image="ssh-server", network={"public": False}))
    try:
        product.wait_ready("asked", seconds=180)
        yield Virtctl(product)
    finally:
        product.delete("vs", "asked")
        product.vs("image", "remove", "ssh-server")


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def first_words(port: int) -> bytes:
    """Return what a port of this machine says first, empty while nobody is there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as opened:
            return opened.recv(100)
    except OSError:
        return b""


def test_it_knows_the_servers_version(virtctl: Virtctl) -> None:
    assert "Server Version" in virtctl.run("version")


def test_pause_and_unpause(virtctl: Virtctl) -> None:
    virtctl.run("pause", "vm", "asked")
    eventually(lambda: virtctl.printable() == "Paused", what="the guest to be paused")
    assert "already paused" in virtctl.attempt("pause", "vm", "asked")
    virtctl.run("unpause", "vm", "asked")
    eventually(lambda: virtctl.printable() == "Running", what="the guest to go on")


@pytest.mark.parametrize("verb", ["soft-reboot", "reset"])
def test_the_same_guest_starts_again(virtctl: Virtctl, verb: str) -> None:
    uid, before = virtctl.product.get("vmi", "asked")["metadata"]["uid"], virtctl.boot()
    guest = virtctl.product.guest("asked")
    guest.run("echo lost >/dev/vda")
    # What is written stays in the guest's memory while the file is open: only who goes down in order writes it out.
    guest.run("(printf kept; exec sleep 9999) >/dev/vda </dev/null 2>/dev/null &")
    virtctl.run(verb, "asked")
    eventually(lambda: virtctl.boot() not in ("", before), what="another start", seconds=180)
    assert virtctl.product.get("vmi", "asked")["metadata"]["uid"] == uid
    assert guest.run("head -c 4 /dev/vda") == {"soft-reboot": "kept", "reset": "lost"}[verb]


def test_restart_stop_start_stop_by_force_and_a_paused_start(virtctl: Virtctl) -> None:
    uid = virtctl.product.get("vmi", "asked")["metadata"]["uid"]
    virtctl.run("restart", "asked")
    eventually(
        lambda: virtctl.product.get("vmi", "asked").get("metadata", {}).get("uid", uid) != uid, what="another guest"
    )
    virtctl.product.wait_ready("asked", seconds=180)
    virtctl.run("stop", "asked")
    eventually(lambda: virtctl.printable() == "Stopped", what="the guest to have ended by itself", seconds=60)
    virtctl.run("start", "asked")
    virtctl.product.wait_ready("asked", seconds=180)
    virtctl.run("stop", "asked", "--force", "--grace-period=0")
    eventually(lambda: virtctl.printable() == "Stopped", what="the guest to be gone", seconds=60)
    virtctl.run("start", "asked", "--paused")
    eventually(lambda: virtctl.printable() == "Paused", what="a guest that stands still", seconds=180)
    virtctl.run("unpause", "vm", "asked")
    virtctl.product.wait_ready("asked", seconds=180)


def test_console(virtctl: Virtctl) -> None:
    ours, its = pty.openpty()
    try:
        with virtctl.beside("console", "asked", terminal=its):
            asked = f"\n@typed 20 {base64.b64encode(b'echo typed').decode()}\n".encode()
            wanted, heard = base64.b64encode(b"typed\n"), b""
            os.set_blocking(ours, False)

            def answered() -> bool:
                nonlocal heard
                with contextlib.suppress(BlockingIOError):
                    os.write(ours, asked)
                    heard += os.read(ours, 1 << 16)
                return wanted in heard

            eventually(answered, what="the guest's answer")
    finally:
        os.close(ours)
        os.close(its)


def test_vnc_and_a_port_that_nobody_published(virtctl: Virtctl) -> None:
    port = free_port()
    with virtctl.beside("vnc", "asked", "--proxy-only", f"--port={port}"):
        eventually(lambda: first_words(port).startswith(b"RFB 003."), what="the graphical console")
    port = free_port()
    with virtctl.beside("port-forward", "vm/asked", f"tcp/{port}:22"):
        eventually(lambda: first_words(port), what="the guest's port 22")


def test_ssh_and_scp_to_a_server_that_nobody_reaches_from_outside(virtctl: Virtctl, tmp_path: Path) -> None:
    key, sent, back = tmp_path / "key", tmp_path / "sent", tmp_path / "back"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    keys = key.with_suffix(".pub").read_text().strip()
    guest = virtctl.product.guest("asked")
    guest.run(f"mkdir -p -m 700 /root/.ssh; echo '{keys}' >/root/.ssh/authorized_keys")
    options = [f"--port={guest_image.SSH_PORT}", f"--identity-file={key}"]
    options += [f"--local-ssh-opts=-o {one}" for one in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")]
    assert virtctl.run("ssh", "root@vm/asked", *options, "--command=hostname").strip() == "done: asked"
    sent.write_bytes(os.urandom(1 << 20))
    virtctl.run("scp", *options, str(sent), "root@vmi/asked/default:copy")
    virtctl.run("scp", *options, "root@vm/asked:copy", str(back))
    assert back.read_bytes() == sent.read_bytes()


def test_expose(virtctl: Virtctl, client: Internet) -> None:
    product = virtctl.product
    virtctl.run("expose", "vm", "asked", "--name=inside", "--port=22")
    virtctl.run("expose", "vm", "asked", "--name=outside", "--port=22", "--type=LoadBalancer")
    try:
        slices = ("get", "endpointslice", "inside-ipv4", "-o", "jsonpath={.endpoints[0].addresses[0]}")
        own = product.get("vs", "asked")["status"]["network"]["internalIP"]
        eventually(lambda: product.try_kubectl(*slices).stdout == own, what="the Service to find the guest")
        ip = "jsonpath={.status.loadBalancer.ingress[0].ip}"
        address = eventually(lambda: product.kubectl("get", "service", "outside", "-o", ip), what="an address")
        eventually(lambda: client.probe("tcp", address, 22)["result"] == "open", what="the port to answer outside")
    finally:
        product.delete("service", "inside", "outside")


def test_what_is_not_offered_is_told_so(virtctl: Virtctl) -> None:
    # Of what it reads, virtctl shows only the kind of the refusal; kubectl shows the words.
    assert "does not allow this method" in virtctl.attempt("guestosinfo", "asked")
    path = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/asked/guestosinfo"
    assert "not offered on one machine" in virtctl.product.try_kubectl("get", "--raw", path).stderr
