"""Installations on one machine keep out of each other's networks, wherever they live."""

from __future__ import annotations

import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

from virtualserver.local import networks

if TYPE_CHECKING:
    from pathlib import Path

WAITS = """
import sys
from virtualserver.local import networks
with networks.choosing(lambda _what, _share: print("waits", flush=True), place=sys.argv[1]):
    print("chooses", flush=True)
"""
LOOKS = """
import ipaddress, subprocess, sys, pathlib
from virtualserver.installation import ranges
from virtualserver.installation.installation import Installation
from virtualserver.local import up
from virtualserver.local.errors import ConflictError
def ip(*line): subprocess.run(["ip", *line], check=True)
root = pathlib.Path(sys.argv[1])
installation = Installation.below(root, "mine")
chosen = ranges.choose([])
pool = chosen.private["private"][0]
ip("link", "set", "lo", "up")
ip("route", "add", f"{pool.network_address + 9}/32", "dev", "lo")
up.check_routes(installation, chosen)
ip("route", "add", str(pool), "dev", "lo")
try:
    up.check_routes(installation, chosen)
except ConflictError as error:
    print(error)
"""


def test_an_installation_in_another_root_waits_while_networks_are_chosen() -> None:
    place = f"virtualserver/test-{uuid.uuid4()}"
    elsewhere = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /var/lib && exec "$@"', "-"]
    with networks.choosing(lambda _what, _share: None, place=place):
        other = subprocess.Popen([*elsewhere, sys.executable, "-c", WAITS, place], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        said = other.stdout.readline()
    rest = other.communicate(timeout=60)[0]
    assert said == "waits\n"
    assert rest.splitlines()[-1] == "chooses"


def test_a_network_that_was_taken_while_the_installation_was_down_is_named(tmp_path: Path) -> None:
    line = ["unshare", "--net", sys.executable, "-c", LOOKS, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("198.18.0.0/24 is routed otherwise too: 198.18.0.0/24 dev lo")
    assert len(done.stdout.splitlines()) == 1, "a route to one address of the network is no conflict"
