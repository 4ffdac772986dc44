"""What the real cloud-init of Debian's package makes of user data, without a guest: its own readers and mergers."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harness.guest.image import CACHE, package

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Told", "deferral", "read", "rendered"]

_LIBRARIES: Final = "requests requests.exceptions configobj oauthlib oauthlib.oauth1 jsonpatch netifaces"
"""What cloud-init imports for other work than reading."""

_STAND_INS: Final = f"""\
for name in {_LIBRARIES!r}.split():
    sys.modules[name] = module = types.ModuleType(name)
    module.__getattr__ = lambda attribute: type(attribute, (Exception,), {{}})
"""
"""Modules in their place."""

_READER: Final = f"""\
import importlib.util, json, os, sys, traceback, types
{_STAND_INS}from cloudinit import handlers, helpers, user_data
from cloudinit.handlers import boot_hook, cloud_config, shell_script
boot_hook.subp.subp = lambda *_, **__: None
def end(*_, **__):
    traceback.print_exc()
    os._exit(1)
handlers.util.logexc = end
folder = sys.argv[1]
paths = helpers.Paths({{"cloud_dir": folder, "run_dir": folder, "templates_dir": folder}})
paths.get_ipath = lambda name: os.path.join(folder, name)
known = helpers.ContentHandlers()
readers = [one(paths, datasource=None) for one in (cloud_config.CloudConfigPartHandler,
           shell_script.ShellScriptPartHandler, boot_hook.BootHookPartHandler)]
for reader in readers:
    known.register(reader)
message = user_data.UserDataProcessor(paths).process(sys.stdin.read())
data = {{"handlers": known, "handlerdir": folder, "data": None, "frequency": "once-per-instance",
         "handlercount": 0, "excluded": []}}
handlers.walk(message, handlers.walker_callback, data=data)
print(json.dumps(readers[0].cloud_buf))
"""

_DEFERRAL: Final = f"""\
import json, sys, types
{_STAND_INS}from cloudinit.config import cc_write_files, cc_write_files_deferred
told = []
cc_write_files.write_files = lambda _name, files, *_: told.append([file["path"] for file in files])
cc_write_files_deferred.write_files = cc_write_files.write_files
config = json.load(sys.stdin)
cloud = types.SimpleNamespace(distro=types.SimpleNamespace(default_owner="root:root"))
for module in (cc_write_files, cc_write_files_deferred):
    module.handle("name", config, cloud, None, [])
print(json.dumps(told))
"""

_RENDERER: Final = f"""\
import importlib, json, pathlib, sys, types
{_STAND_INS}from cloudinit.net import network_state
name, folder, cards = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
network_state.get_interfaces_by_mac = lambda: cards
network_state.find_interface_name_from_mac = cards.get
state = network_state.parse_net_config_data(json.load(sys.stdin))
module = importlib.import_module("cloudinit.net." + name)
module.util.chownbyname = lambda *_: None
module.Renderer({{}}).render_network_state(state, target=folder)
files = [path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]
print(json.dumps({{str(path.relative_to(folder)): path.read_text() for path in files}}))
"""


class Told(NamedTuple):
    """What a guest does with user data.

    Attributes:
        config: The cloud-config that all parts have together.
        files: The scripts and boothooks, in the order of their names.
    """

    config: dict[str, Any]
    files: list[str]


def read(text: str) -> Told:
    """Return what cloud-init reads in user data."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("scripts", "boothooks", "instance/scripts"):
            Path(folder, name).mkdir(parents=True)
        config = _run(_READER, text, folder)
        files = [path.read_text() for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return Told(config, files)


def deferral(config: dict[str, Any]) -> list[Sequence[str]]:
    """Return the paths of the files that cloud-init writes before it makes users, and of those after it."""
    return _run(_DEFERRAL, json.dumps(config))


def rendered(config: dict[str, Any], renderer: str, cards: dict[str, str]) -> dict[str, str]:
    """Return the files that cloud-init writes of a network configuration, by their paths.

    Args:
        config: As the seed has it.
        renderer: A module of ``cloudinit.net``.
        cards: The kernel's names of the guest's cards, by MAC address.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _run(_RENDERER, json.dumps(config), renderer, folder, json.dumps(cards))


def _run(program: str, text: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        input=text,
        env={**os.environ, "PYTHONPATH": str(_unpacked())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def _unpacked(cache: Path = CACHE) -> Path:
    """Return where cloud-init's modules are, kept in the cache by the package's hash."""
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return asyncio.run(package("cloud-init", cache)) / "usr/lib/python3/dist-packages"
