"""Conversations about nftables of several namespaces at once, in one process."""

from __future__ import annotations

import subprocess
import sys

_AT_ONCE = """
import ctypes, subprocess, threading
from virtualserver.fabric.kernel.netfilter import Netfilter

SETS = '''table inet t {
  set seen { type iface_index . mark; size 65535; flags dynamic,timeout; counter; timeout 1d; }
  set known { type ifname . ether_addr; }
}'''
ELEMENT = '{ "one" . 02:00:00:00:00:01 }'
wrong = []

def work(prefix):
    assert ctypes.CDLL(None).unshare(0x40000000) == 0
    names = [f"{prefix}{number}" for number in range(60)]
    batch = "".join(f"link add {name} type bridge\\n" for name in names)
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
    with Netfilter() as netfilter:
        elements = ", ".join(f"{name} . 1 counter" for name in names)
        netfilter.load([SETS])
        netfilter.load(["add element inet t seen { " + elements + " }"])
        for _ in range(ROUNDS):
            if {name for name, _ in netfilter.counts("inet", "t", "seen")} != set(names):
                wrong.append(prefix)
            netfilter.load([f"add element inet t known {ELEMENT}"])
            netfilter.load([f"delete element inet t known {ELEMENT}"])

threads = [threading.Thread(target=work, args=(prefix,)) for prefix in ("a", "b")]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("wrong names:", len(wrong))
"""


def test_two_namespaces_are_spoken_to_at_once_and_neither_takes_the_others_names() -> None:
    """Libnftables has one list of links' names for the whole process: without turns it crashes within a second."""
    script = _AT_ONCE.replace("ROUNDS", "300")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "wrong names: 0\n"), done.stderr[-1000:]
