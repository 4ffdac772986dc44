"""One guest's network for tests of images: a namespace with a tap and the DHCP service that the product's is like."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import struct
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ADDRESS", "GATEWAY", "MAC", "Wire", "a_wire"]

ADDRESS = "10.42.0.11"
GATEWAY = "169.254.1.1"
MAC = "02:00:00:00:00:11"

_TUNSETIFF = 0x400454CA
_TAP_NO_PI_VNET_HDR = 0x0002 | 0x1000 | 0x4000

_DNSMASQ = f"""
port=0
keep-in-foreground
log-facility=-
leasefile-ro
interface=tap0
bind-dynamic
no-ping
dhcp-authoritative
shared-network={GATEWAY},10.42.0.0
dhcp-range=10.42.0.0,static,255.255.0.0,1h
dhcp-host={MAC},{ADDRESS},named-by-dhcp
dhcp-option=option:netmask,255.255.255.255
dhcp-option=option:router,{GATEWAY}
dhcp-option=option:classless-static-route,{GATEWAY}/32,0.0.0.0,0.0.0.0/0,{GATEWAY}
dhcp-option=option:dns-server,{GATEWAY},192.0.2.53
dhcp-option=option:domain-search,a.test,cluster.test
dhcp-option=option:mtu,1400
"""


class Wire:
    """The namespace at the other end of a guest's cable."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def run(self, *command: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a program beside the guest; its failure is the caller's to judge."""
        line = ["ip", "netns", "exec", self.namespace, *command]
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout, check=False)

    def open_tap(self, device: str) -> int:
        """Open the tap for QEMU."""
        opened: list[int] = []

        def inside() -> None:
            namespace = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY | os.O_CLOEXEC)
            entered = ctypes.CDLL(None, use_errno=True).setns(namespace, 0)
            os.close(namespace)
            assert entered == 0, os.strerror(ctypes.get_errno())
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH14x", device.encode(), _TAP_NO_PI_VNET_HDR))
            opened.append(descriptor)

        # A thread of its own, whose namespace ends with it.
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return opened[0]


@contextlib.contextmanager
def a_wire() -> Generator[Wire, None, None]:
    """Make namespace, tap and DHCP; everything goes with the namespace in the end."""
    wire = Wire(f"vsm-{secrets.token_hex(3)}")
    subprocess.run(["ip", "netns", "add", wire.namespace], check=True)
    try:
        for command in (
            "ip link set lo up",
            "ip tuntap add dev tap0 mode tap vnet_hdr",
            f"ip addr add {GATEWAY}/32 dev tap0",
            "ip link set tap0 up",
            f"ip route add {ADDRESS}/32 dev tap0",
        ):
            done = wire.run(*command.split())
            assert done.returncode == 0, f"{command}: {done.stderr}"
        with tempfile.TemporaryDirectory(prefix="vsm-dhcp-") as folder:
            configuration = Path(folder, "dnsmasq.conf")
            configuration.write_text(_DNSMASQ)
            line = ["ip", "netns", "exec", wire.namespace, "dnsmasq", f"--conf-file={configuration}"]
            with subprocess.Popen(line, stderr=subprocess.DEVNULL) as server:
                try:
                    yield wire
                finally:
                    server.terminate()
    finally:
        subprocess.run(["ip", "netns", "del", wire.namespace], check=True)
